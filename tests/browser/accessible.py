"""What axe-core finds in a page: https://github.com/dequelabs/axe-core, unchanged, in `vendor`."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
RUN = """async () => (await axe.run({resultTypes: ["violations"], preload: false})).violations"""
SERIOUS = ("serious", "critical")


def serious_faults(page: Page) -> list[str]:
    """A sentence for each rule that a page breaks, with the first elements that do."""
    if page.evaluate("() => window.axe === undefined"):
        # The debugger is under no policy of the page, which stays as strict as it is.
        debugger = page.context.new_cdp_session(page)
        debugger.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        debugger.detach()
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [_said(one) for one in found if one["impact"] in SERIOUS]


def _said(violation: dict[str, Any]) -> str:
    nodes = "; ".join(f"{node['html'][:160]}" for node in violation["nodes"][:4])
    why = violation["nodes"][0]["failureSummary"].replace("\n", " ")
    return f"{violation['id']}: {violation['help']} ({why}): {nodes}"
