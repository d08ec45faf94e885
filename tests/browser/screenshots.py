"""Takes the pictures in docs/images from the Prefect UI of a demo that KEEP=1 has left up.

``make screenshots`` does all of it: the demo, the pictures, and the end of the demo.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from backfill_form import BackfillForm, read_report, watch
from chromium import Browser, chromium
from PIL import Image
from prefect_api import events, everything

from devstack.demo.ground import FOLDER
from devstack.demo.kept import ENVIRONMENT
from devstack.folders import PROJECT

IMAGES = PROJECT / "docs" / "images"
USER = "10000007"
COLOURS = 256
"""Enough for a page, and less than half of the bytes."""


def main() -> int:
    """Writes all pictures; the exit code."""
    url = _address()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, chromium(url, Path(profile)) as browser:
        for name, (path, expected, size) in _pages(url).items():
            browser.driver.set_window_size(*size)
            browser.open(path, *expected)
            _take(browser, name)
        _backfill(browser, url)
    return 0


def _backfill(browser: Browser, url: str) -> None:
    """A backfill by its form: filled in, the run that comes of it, its report."""
    browser.driver.set_window_size(1280, 1100)
    form = BackfillForm(browser, url)
    form.fill_in(USER)
    _take(browser, "backfill-form")
    run = form.start()
    watch(browser, run)
    _take(browser, "backfill-run")
    read_report(browser)
    _take(browser, "backfill-report")


def _take(browser: Browser, name: str) -> None:
    """Keeps what is open as a picture."""
    _calm(browser)
    picture = IMAGES / f"{name}.png"
    with Image.open(BytesIO(browser.driver.get_screenshot_as_png())) as taken:
        taken.convert("RGB").quantize(COLOURS).save(picture, optimize=True)
    sys.stdout.write(f"{picture.relative_to(PROJECT)}: {picture.stat().st_size:,} bytes\n")


def _address() -> str:
    lines = (FOLDER / ENVIRONMENT).read_text(encoding="utf-8").splitlines()
    (found,) = [line for line in lines if line.startswith("export PREFECT_API_URL=")]
    return found.partition("=")[2].strip("'")


def _pages(url: str) -> dict[str, tuple[str, tuple[str, ...], tuple[int, int]]]:
    """By picture: the page, what must stand there, and the window's size."""
    runs = [run for run in everything(url, "flow_runs") if run["state_type"] == "COMPLETED"]
    runs.sort(key=lambda run: str(run["start_time"]))
    last = runs[-1]
    (report,) = [
        a
        for a in everything(url, "artifacts")
        if a["flow_run_id"] == last["id"] and a["type"] == "markdown"
    ]
    told: dict[str, Any] = events(url, "prefect.asset.materialization")[0]
    return {
        "run": (f"/runs/flow-run/{last['id']}", (last["name"], "Finished"), (1280, 1000)),
        "report": (f"/artifacts/artifact/{report['id']}", ("Sources", "Rows"), (1400, 1100)),
        "lineage": (
            f"/events/event/{told['occurred'][:10]}/{told['id']}",
            ("redis://demo_bank/profile",),
            (1280, 1000),
        ),
    }


def _calm(browser: Browser) -> None:
    """Waits until the page has stopped moving: two pictures a while apart are the same."""
    before = b""
    for _ in range(20):
        browser.driver.execute_async_script("setTimeout(arguments[0], 700)")
        now = browser.driver.get_screenshot_as_png()
        if now == before:
            return
        before = now


if __name__ == "__main__":
    sys.exit(main())
