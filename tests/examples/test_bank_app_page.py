"""The example app's page in a real browser: by keyboard, as a customer uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from chromium import PATIENCE_S, chromium
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from devstack.bank.passwords import password
from devstack.bank.words import ODD_NAMES
from examples.bank_app.offers import MOST, offers_of

PASSWORD = password(0)


class Page:
    """The page as a person sees it."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url
        driver.get(url)

    @property
    def text(self) -> str:
        return " ".join(self.driver.find_element(By.TAG_NAME, "body").text.split())

    def one(self, selector: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def all(self, selector: str) -> list[str]:
        return [found.text for found in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def awaits(self, expected: str) -> None:
        wait = WebDriverWait(self.driver, PATIENCE_S)
        wait.until(lambda _: expected in self.text, f"{expected!r} is not in {self.text!r}")

    def log_in(self, email: str, typed: str) -> None:
        """As with a keyboard alone: field by field, then Enter."""
        self.awaits("Log in")
        field = self.driver.find_element(By.ID, "email")
        field.clear()
        field.send_keys(email, Keys.TAB)
        self.focused.send_keys(typed, Keys.ENTER)

    def press(self, label: str) -> None:
        self.driver.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()

    @property
    def focused(self) -> Any:
        return self.driver.switch_to.active_element


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium("", tmp_path_factory.mktemp("chromium")) as browser:
        yield browser.driver


@pytest.fixture
def page(driver: webdriver.Chrome, serve: Any, bank: Any) -> Page:
    client: httpx.Client = serve(bank)
    driver.delete_all_cookies()
    return Page(driver, str(client.base_url))


def test_a_customer_logs_in_looks_and_logs_out(page: Page, bank: Any) -> None:
    user, profile = next(
        (user, profile)
        for user, (profile, _) in bank.profiles.items()
        if len(offers_of(profile)) == MOST and not profile["auth"]["closed"]
    )
    page.log_in(profile["identity"]["email"], password(user))
    page.awaits("Hello")
    assert page.one("#name") == profile["identity"]["name"]
    assert page.focused.text == f"Hello, {profile['identity']['name']}"
    assert page.driver.title == "Demo bank"
    assert page.all("#permissions li") == sorted(profile["permissions"])
    assert page.one("#roles") == ", ".join(sorted(profile["roles"]))
    offers = offers_of(profile)
    assert page.all("#offers h3") == [offer.title for offer in offers]
    assert page.all("#offers .because") == [offer.because for offer in offers]
    page.press("Make a payment")
    page.awaits("Done: you may.")
    page.driver.refresh()
    page.awaits("Hello")
    assert page.driver.execute_script("return document.cookie") == ""
    page.press("Log out")
    page.awaits("E-mail address")
    assert profile["identity"]["name"] not in page.driver.page_source
    assert page.focused.text == "Log in"
    page.driver.refresh()
    page.awaits("E-mail address")
    assert page.driver.get_cookies() == []


def test_a_wrong_password_and_a_locked_customer(page: Page, bank: Any) -> None:
    user, profile = next(
        (user, profile)
        for user, (profile, _) in bank.profiles.items()
        if profile["auth"]["locked"] and not profile["auth"]["closed"]
    )
    wrong = "The e-mail address or the password is wrong."
    for email in (profile["identity"]["email"], "nobody@bank.example"):
        page.log_in(email, "wrong")
        page.awaits(wrong)
        assert page.one("[role=alert]") == wrong
        assert page.focused.get_attribute("id") == "password"
    page.log_in(profile["identity"]["email"], password(user))
    page.awaits("Your access is locked.")
    assert page.driver.get_cookies() == []


def test_what_a_profile_holds_is_text_to_the_browser(page: Page, bank: Any) -> None:
    wish = {"title": "<img src=x onerror=alert(1)>", "category": "travel"}
    page.log_in(bank.put(78), PASSWORD)
    page.awaits("Hello")
    page.driver.get_log("browser")  # that the first look found no session
    for name in ODD_NAMES:
        identity = {"name": name, "email": "user78@bank.example"}
        wanted = {"topics": ["offers"]}
        bank.put(78, identity=identity, preferences=wanted, wish_list=[wish])
        page.driver.refresh()
        page.awaits("Travel insurance")
        shown = page.driver.find_element(By.ID, "name").get_attribute("textContent")
        assert shown == name
        assert page.all("#offers .because") == [f"“{wish['title']}” is on your wish list."]
        width = "return document.documentElement.scrollWidth - window.innerWidth"
        assert page.driver.execute_script(width) <= 0
    assert page.driver.get_log("browser") == []


def test_who_is_locked_meanwhile_is_out(page: Page, bank: Any) -> None:
    page.log_in(bank.put(77), PASSWORD)
    page.awaits("There are no offers for you today.")
    bank.put(77, permissions=["accounts.read"])
    page.press("Make a payment")
    page.awaits("Your access does not include this.")
    bank.put(77, auth={"locked": True, "closed": False})
    page.press("Make a payment")
    page.awaits("Your access is locked.")
    page.driver.refresh()
    page.awaits("E-mail address")
    assert page.one("#login-problem").startswith("Your access is locked.")


def test_labels_and_parts_are_named(page: Page) -> None:
    page.awaits("Log in")
    for field in page.driver.find_elements(By.TAG_NAME, "input"):
        assert field.accessible_name in ("E-mail address", "Password")
    assert page.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    assert page.driver.find_element(By.CSS_SELECTOR, "main:not([hidden])").aria_role == "main"
