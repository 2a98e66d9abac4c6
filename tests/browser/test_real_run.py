"""A run that really evolves, watched from its first version to its end."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.runs import command, launch
from tests.browser.pictures import look, picture
from tests.browser.served import Served
from tests.browser.visitor import Visitor
from tests.evolvent.conftest import TINY

MINUTE = 60_000
VIEWS = ("overview", "tasks", "versions", "events", "agents")


@pytest.mark.long
def test_every_view_follows_a_run_that_evolves(visit: Visitor, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "tiny.toml", tmp_path / "tiny"
    recipe.write_text(TINY.replace("budget_seconds = 3", "budget_seconds = 40"))
    words = command("run", "--recipe", str(recipe), "--dir", str(folder))
    run = launch(tmp_path / "run.txt", words, None)
    while not (folder / "log.sqlite").exists():
        assert run.poll() is None, (tmp_path / "run.txt").read_text()
    served = Served(tmp_path / "served.txt", str(folder))
    try:
        page = visit(f"{served.url}/runs/tiny/overview")
        said = page.get_by_test_id("slider-said")
        expect(said).to_contain_text(re.compile(r"version [3-9]|version \d\d"), timeout=2 * MINUTE)
        expect(page.get_by_test_id("state")).to_have_text("running")
        for view in VIEWS:
            page.get_by_test_id(f"view-{view}").click()
            before = said.inner_text()
            expect(said).not_to_have_text(before, timeout=MINUTE)
            picture(page, f"running-{view}")
            expect(page.get_by_test_id("error")).to_have_count(0)
        run.wait(120)
        expect(page.get_by_test_id("state")).not_to_have_text("running", timeout=MINUTE)
        look(page, "ended-agents")
        page.close()
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
        served.stop()
