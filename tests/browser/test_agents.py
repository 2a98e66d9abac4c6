"""Who talks to whom, and one task on its way through all of them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor

AGENTS = "/runs/example/agents"


def test_the_picture_and_the_tables_say_who_talks_to_whom(recorded: Served, visit: Visitor) -> None:
    tasks = recorded.asked("/runs/example/tasks?limit=1")["total"]
    page = visit(f"{recorded.url}{AGENTS}")
    picture = page.get_by_test_id("graph-picture")
    expect(picture).to_have_attribute("aria-label", re.compile(f"to solver: tasks {tasks:,}"))
    expect(page.get_by_test_id("traffic")).to_contain_text("judgments")
    expect(page.get_by_test_id("roles").locator("tbody tr")).to_have_count(5)
    look(page, "agents")


def test_one_task_is_followed_through_all_agents(recorded: Served, visit: Visitor) -> None:
    [task] = recorded.asked("/runs/example/tasks?consumed=9&limit=1")["tasks"]
    wanted = recorded.asked(f"/runs/example/tasks/{task['task']}/trace")["happened"]
    page = visit(f"{recorded.url}/runs/example/tasks/{task['task']}")
    page.get_by_test_id("follow").click()
    happened = page.get_by_test_id("happened")
    expect(happened).to_have_count(len(wanted))
    assert [one["type"] for one in wanted][:4] == ["weights", "task", "attempt", "judgment"]
    for told, one in zip(happened.all(), wanted, strict=True):
        expect(told).to_contain_text(one["says"][:60])
    said = page.get_by_test_id("sequence").get_attribute("aria-label") or ""
    assert re.search("proposer to solver: task, then solver to critic: attempt", said)
    look(page, "interaction")


@pytest.mark.long
def test_at_a_position_of_the_past_the_picture_counts_up_to_there(
    recorded: Served, visit: Visitor
) -> None:
    page = visit(f"{recorded.url}{AGENTS}?at=3")
    picture = page.get_by_test_id("graph-picture")
    tasks = recorded.asked("/runs/example/tasks?at=3")["total"]
    expect(picture).to_have_attribute("aria-label", re.compile(f"solver: tasks {tasks}"))
    look(page, "agents-at-3")


@pytest.mark.long
def test_an_id_that_nobody_has_is_a_sentence(recorded: Served, visit: Visitor) -> None:
    visit.expected.append("404")
    page = visit(f"{recorded.url}{AGENTS}")
    page.get_by_test_id("follow-id").fill("0" * 32)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("error")).to_contain_text("0" * 32)
