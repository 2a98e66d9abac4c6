"""Every run that is served, with its tags and its note."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from evolvent.opened.example import write_example
from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor

TOKEN = "open-sesame"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Served]:
    """Two runs side by side, of a server with a token."""
    write_example(tmp_path / "example")
    living = Living(tmp_path / "living")
    living.tell(200)
    folders = [str(tmp_path / "example"), str(living.folder)]
    served = Served(tmp_path / "printed.txt", *folders, "--control", "--token", TOKEN)
    yield served
    served.stop()
    shutil.rmtree(tmp_path / "example")


def test_a_run_says_where_it_stands(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}/runs")
    row = page.get_by_test_id("run-row").filter(has_text="example")
    [run] = [run for run in recorded.asked("/runs")["runs"] if run["id"] == "example"]
    said = f"example.*idle.*recipe words.*{run['versions']}.*{run['events']:,}"
    expect(row).to_contain_text(re.compile(said, re.DOTALL))
    look(page, "runs")
    row.get_by_role("link", name="example").click()
    expect(page).to_have_url(re.compile("/runs/example/overview$"))


@pytest.mark.long
def test_tags_and_a_note_stay(both: Served, visit: Visitor) -> None:
    page = visit(f"{both.url}/runs?token={TOKEN}")
    rows = page.get_by_test_id("run-row")
    expect(rows).to_have_count(2)
    first = rows.filter(has_text="example")
    first.get_by_test_id("edit-note").click()
    first.get_by_test_id("tags").fill("baseline, <b>bold</b>")
    first.get_by_test_id("note-field").fill("<script>of no use</script>")
    first.get_by_test_id("save-note").click()
    expect(first.get_by_test_id("note-text")).to_have_text("<script>of no use</script>")
    look(page, "runs-noted")
    first.get_by_test_id("tag").first.click()
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows.get_by_test_id("tag").first).to_have_text("baseline")


@pytest.mark.long
def test_two_runs_are_chosen_to_be_compared(both: Served, visit: Visitor) -> None:
    page = visit(f"{both.url}/runs?token={TOKEN}")
    for name in ("example", "living"):
        page.get_by_label(f"Compare {name}").check()
    expect(page.get_by_test_id("compare-two")).to_have_attribute(
        "href", "/compare?a=example&b=living"
    )
    page.get_by_test_id("runs-text").fill("liv")
    expect(page.get_by_test_id("run-row")).to_have_count(1)
