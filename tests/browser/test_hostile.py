"""What a model says is text: no view takes it for markup, and what hides is shown."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hostile import MARKUP, SHOWN
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor


def is_text(page: Page) -> None:
    assert page.evaluate("() => window.taken === undefined")
    assert page.locator("#view script, #view img, #view iframe, #view style").count() == 0


def test_a_task_of_hostile_text_is_text(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}/runs/hostile/tasks?text=window.taken")
    table = page.get_by_test_id("task-table")
    expect(table).to_contain_text("<script>window.taken")
    is_text(page)
    table.get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("question")).to_contain_text(MARKUP)
    expect(page.get_by_test_id("question")).to_contain_text(SHOWN)
    expect(page.get_by_test_id("verdict").first).to_contain_text(MARKUP)
    is_text(page)


@pytest.mark.long
@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("events?topic=tasks&offset=0", "asked"),
        ("events?show=search&text=window.taken", "window.taken"),
        ("events?show=dead", "window.taken"),
        ("agents", "Spell|window.taken"),
        ("overview", "held"),
    ],
)
def test_hostile_text_is_text_in_every_view(
    recorded: Served, visit: Visitor, view: str, said: str
) -> None:
    page = visit(f"{recorded.url}/runs/hostile/{view}")
    expect(page.locator("#view")).to_contain_text(re.compile(said))
    is_text(page)
    look(page, f"hostile-{view.partition('?')[0]}-{said.partition('|')[0]}")


@pytest.mark.long
def test_a_hostile_event_and_its_way_are_text(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}/runs/hostile/events?show=dead")
    page.get_by_test_id("dead-table").get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("body")).to_contain_text("window.taken = true")
    is_text(page)
    page.goto(f"{recorded.url}/runs/hostile/tasks?text=window.taken")
    page.get_by_test_id("task-table").get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("question")).to_contain_text(MARKUP)
    look(page, "hostile-task")
    page.get_by_test_id("follow").click()
    expect(page.get_by_test_id("in-words")).to_contain_text("window.taken = true")
    is_text(page)
    look(page, "hostile-interaction")
