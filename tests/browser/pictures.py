"""A page light and dark, wide and narrow: no text leaves the page sideways or breaks a rule of
accessibility. With EVOLVENT_PICTURES, a folder, a picture of each stays there."""

import os
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, TimeoutError

from tests.browser.accessible import serious_faults
from tests.browser.visitor import HEIGHT, NARROW, WIDE

VARIABLE = "EVOLVENT_PICTURES"
LOOKS: Final[tuple[tuple[int, Literal["light", "dark"]], ...]] = (
    (WIDE, "light"),
    (NARROW, "light"),
    (WIDE, "dark"),
    (NARROW, "dark"),
)
SCANNED = (LOOKS[0], LOOKS[-1])
"""What a scan takes its time for: both widths, both schemes."""


def look(page: Page, name: str) -> None:
    """Fails where a look of the page is not as it must be."""
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme)
        picture(page, f"{name}-{width}-{scheme}")
        too_wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert too_wide <= 0, f"{name} at {width} is {too_wide} pixels too wide"
        faults = serious_faults(page) if (width, scheme) in SCANNED else []
        assert not faults, f"{name}, {width}, {scheme}: {faults}"
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    page.emulate_media(color_scheme="light")


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get(VARIABLE):
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / f"{name}.png"
        try:
            page.screenshot(path=path, full_page=True)
        except TimeoutError:
            # On a busy machine Chromium may never draw the frame that it was asked for.
            page.screenshot(path=path, full_page=True)
