"""A browser without a window: Debian's chromium, driven by its chromedriver, and nothing from the network."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

__all__ = ["WIDTHS", "dress", "missing", "opened", "picture"]

#: A telephone and a laptop, in CSS pixels.
WIDTHS = {390: 844, 1280: 900}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str:
    """Return why there is no browser here; empty where there is one."""
    if not any(map(shutil.which, _BROWSERS)):
        return "there is no chromium on this machine"
    if not shutil.which("chromedriver"):
        return (
            "there is no chromedriver on this machine: the package is often called chromium-driver"
        )
    return ""


@contextmanager
def opened() -> Iterator[Chrome]:
    """Return a browser that knows nothing of its user, and keeps what it asks for in its performance log."""
    options = ChromeOptions()
    options.binary_location = next(found for name in _BROWSERS if (found := shutil.which(name)))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        for argument in (
            "--headless",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",  # containers have little of it
            "--hide-scrollbars",
            "--no-first-run",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        # Named, so that nothing is looked for in the network.
        driver = Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def dress(driver: Chrome, width: int, *, height: int = 0, dark: bool = False) -> None:
    """Make the window as wide as that, and let pages believe that their reader likes it *dark*."""
    size = {"width": width, "height": height or WIDTHS.get(width, 900)}
    metrics = {**size, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def picture(driver: Chrome, page: Path, target: Path, *, at: str = "") -> None:
    """Write a picture of the *page* to *target*, from what the selector *at* finds on."""
    driver.get(page.absolute().as_uri())
    if at:
        driver.execute_script(
            "document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant'})", at
        )
    assert driver.save_screenshot(os.fspath(target)), f"{target} cannot be written"
