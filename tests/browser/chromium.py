"""Headless Chromium on the Prefect UI: opens pages, and keeps all that it has seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.programs import program

PATIENCE_S = 60
SIZE = (1280, 900)
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to have one as root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)


class Browser:
    """The pages of one Prefect server; ``seen`` has text and source of each by its path."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self._url = driver, url.removesuffix("/api")
        self.seen: dict[str, str] = {}

    def open(self, path: str, *expected: str) -> str:
        """The text of a page, once all that is expected stands there."""
        self.driver.get(self._url + path)
        return self._awaited(path, expected)

    def turn_to(self, tab: str, *expected: str) -> str:
        """The text of the page that is open, once a tab of it is chosen and stands there whole."""
        path = f"{self.driver.current_url.removeprefix(self._url)}#{tab}"
        label = f"//li[contains(@class, 'p-tab')][normalize-space()='{tab}']"
        WebDriverWait(self.driver, PATIENCE_S).until(
            lambda driver: driver.find_element(By.XPATH, label)
        ).click()
        return self._awaited(path, expected)

    def press(self, button: str) -> None:
        """Presses the first button, or follows the first link, that has this text in it."""
        path = f"//*[self::button or self::a][descendant-or-self::*[normalize-space()='{button}']]"

        def pressed(driver: webdriver.Chrome) -> bool:
            driver.find_element(By.XPATH, path).click()
            return True

        # It may still slide into its place, below something else.
        moving = [
            ElementClickInterceptedException,
            ElementNotInteractableException,
            StaleElementReferenceException,
        ]
        WebDriverWait(self.driver, PATIENCE_S, ignored_exceptions=moving).until(pressed)

    def write(self, field: str, text: str) -> None:
        """Writes into the first box of a form's field that is a list."""
        label = f"//*[contains(@class, 'p-label')][.//span[normalize-space()='{field}']]"
        WebDriverWait(self.driver, PATIENCE_S).until(
            lambda driver: driver.find_element(By.XPATH, f"({label}//textarea)[last()]")
        ).send_keys(text)

    def holds(self, text: str) -> None:
        """Waits until a box of the form that is open has this text in it."""
        boxes = "return [...document.querySelectorAll('textarea')].map(box => box.value)"
        WebDriverWait(self.driver, PATIENCE_S).until(
            lambda driver: text in driver.execute_script(boxes)
        )

    def until(self, *expected: str) -> str:
        """The text of the open page, once all that is expected stands there."""
        return self._awaited(self.driver.current_url.removeprefix(self._url), expected)

    @property
    def text(self) -> str:
        """What a person sees of the open page, on one line."""
        return " ".join(self.driver.find_element(By.TAG_NAME, "body").text.split())

    def links(self, text: str) -> list[str]:
        """The paths that the links with this text lead to."""
        found = self.driver.find_elements(By.LINK_TEXT, text)
        return [str(link.get_attribute("href")).removeprefix(self._url) for link in found]

    def _awaited(self, path: str, expected: tuple[str, ...]) -> str:
        try:
            WebDriverWait(self.driver, PATIENCE_S).until(lambda _: self._lacks(expected) == [])
        except TimeoutException:
            raise AssertionError(f"{path} lacks {self._lacks(expected)}:\n{self.text}") from None
        self.seen[path] = f"{self.text}\n{self.driver.page_source}"
        return self.text

    def _lacks(self, expected: tuple[str, ...]) -> list[str]:
        text = self.text
        return [each for each in expected if each not in text]


@contextmanager
def chromium(url: str, profile: Path) -> Iterator[Browser]:
    """A browser for the UI of a Prefect server, with a profile folder of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    try:
        yield Browser(driver, url)
    finally:
        driver.quit()
