"""What a page of the dashboard costs in Chromium: to its first paint, and in memory."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.browser.chromium import browser

_SETTLES_SECONDS = 5


def painted(url: str, run: str) -> dict[str, Any]:
    """The overview of a run, opened for the first time: seconds to the first contentful paint on
    the clock and of the renderer, and the heap of scripts once it has settled."""
    with ThreadPoolExecutor(1) as thread, browser(thread) as chromium:

        def look() -> dict[str, Any]:
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable")
            page.goto(f"{url}runs/{run}/overview")
            page.get_by_test_id("slider").wait_for()
            time.sleep(_SETTLES_SECONDS)
            said = session.send("Performance.getMetrics")["metrics"]
            metrics = {one["name"]: one["value"] for one in said}
            paint = page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            return {
                "first_paint_seconds": round(paint / 1000, 2),
                "page_cpu_seconds": round(metrics["TaskDuration"], 2),
                "heap_mb": round(metrics["JSHeapUsedSize"] / 1e6, 1),
            }

        return thread.submit(look).result()
