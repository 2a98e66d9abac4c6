"""The tasks of a run: filters that the address keeps, and one task with all that came of it."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import NARROW, Visitor

TASKS = "/runs/example/tasks"


def rows(page: Page) -> int:
    return int(page.get_by_test_id("task-table").get_attribute("aria-rowcount") or 0) - 1


def test_a_value_that_is_clicked_filters_and_the_address_keeps_it(
    recorded: Served, visit: Visitor
) -> None:
    whole = f"{recorded.asked(f'{TASKS}?limit=1')['total']:,} in all"
    page = visit(f"{recorded.url}{TASKS}")
    expect(page.get_by_test_id("tasks")).to_contain_text(whole)
    look(page, "tasks")
    picked = page.get_by_test_id("pick-level").first
    level = picked.inner_text()
    picked.click()
    expect(page).to_have_url(re.compile(rf"\?level={level}$"))
    expect(page.get_by_test_id("chip-level")).to_have_text(re.compile(f"level: {level}"))
    wanted = recorded.asked(f"{TASKS}?level={level}")["total"]
    expect(page.get_by_test_id("tasks")).to_contain_text(f"{wanted:,} fit the filters")
    assert rows(page) == wanted

    page.get_by_test_id("filter-solved").select_option("partly")
    shared = visit(page.url, beside=page)
    wanted = recorded.asked(f"{TASKS}?level={level}&solved=partly")["total"]
    for tab in (page, shared):
        expect(tab.get_by_test_id("tasks")).to_contain_text(f"{wanted:,} fit the filters")
    shared.get_by_role("button", name="Clear all").click()
    expect(shared.get_by_test_id("tasks")).to_contain_text(whole)


def test_a_task_shows_its_samples_token_by_token(recorded: Served, visit: Visitor) -> None:
    [task] = recorded.asked(f"{TASKS}?solved=partly&version=9&limit=1")["tasks"]
    page = visit(f"{recorded.url}{TASKS}?solved=partly&version=9")
    page.get_by_test_id("task-table").get_by_role("row").nth(1).click()
    expect(page).to_have_url(re.compile(f"/tasks/{task['task']}\\?"))
    expect(page.get_by_test_id("question")).to_have_text(task["question"])
    expect(page.get_by_test_id("sample")).to_have_count(task["samples"])
    expect(page.get_by_text("✓ right", exact=True)).to_have_count(task["correct"])
    expect(page.get_by_test_id("taught")).to_contain_text("learned from it")
    look(page, "task")

    strip = page.get_by_test_id("tokens").first
    strip.focus()
    page.keyboard.press("ArrowRight")
    told = page.get_by_test_id("token-said").first
    expect(told).to_have_text(re.compile(r"token 1 of \d+ .+ %, log-probability −?\d"))
    page.keyboard.press("End")
    expect(told).to_have_text(re.compile(r"token (\d+) of \1 "))
    page.get_by_test_id("all-tasks").click()
    expect(page).to_have_url(re.compile(r"tasks\?.*solved=partly"))


@pytest.mark.long
@pytest.mark.parametrize(
    "query",
    [
        "family=spell_backward", "text=ed", "reward_min=0.4&reward_max=0.6", "version=7",
        "sampled=7", "consumed=7", "solved=no", "solved=yes&level=3", "state=judged",
        "source=curriculum", "sort=reward", "at=3", "at=3&solved=partly", "text=nothing+is+so",
    ],
)  # fmt: skip
def test_every_filter_shows_what_the_log_says(recorded: Served, visit: Visitor, query: str) -> None:
    found = recorded.asked(f"{TASKS}?{query}&limit=500")
    page = visit(f"{recorded.url}{TASKS}?{query}")
    if not found["total"]:
        expect(page.get_by_test_id("empty")).to_have_text("No task fits all of these filters.")
        return
    expect(page.get_by_test_id("tasks")).to_contain_text(f"{found['total']:,} ")
    first = page.get_by_test_id("task-table").get_by_role("row").nth(1)
    expect(first).to_contain_text(found["tasks"][0]["question"][:40])


@pytest.mark.long
def test_what_a_person_types_filters_when_the_typing_ends(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{TASKS}", width=NARROW)
    page.get_by_test_id("filter-text").press_sequentially("ed", delay=30)
    expect(page).to_have_url(re.compile(r"\?text=ed$"))
    wanted = recorded.asked(f"{TASKS}?text=ed")["total"]
    expect(page.get_by_test_id("tasks")).to_contain_text(f"{wanted:,} fit the filters")
    page.reload()
    expect(page.get_by_test_id("filter-text")).to_have_value("ed")


@pytest.mark.long
def test_a_long_list_is_read_page_by_page(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{TASKS}?sort=oldest")
    table = page.get_by_test_id("task-table")
    last = str(recorded.asked(f"{TASKS}?limit=1")["total"] + 1)
    table.focus()
    for _ in range(40):
        page.keyboard.press("End")
        page.wait_for_timeout(50)
        if table.get_by_role("row").last.get_attribute("aria-rowindex") == last:
            break
    newest = recorded.asked(f"{TASKS}?limit=1")["tasks"][0]
    expect(table.get_by_role("row").last).to_have_attribute("aria-rowindex", last)
    expect(table.get_by_role("row").last).to_contain_text(newest["question"][:40])
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("question")).to_be_visible()
    assert table.count() == 0


@pytest.mark.long
def test_a_task_leads_to_what_it_taught_and_to_its_events(recorded: Served, visit: Visitor) -> None:
    [task] = recorded.asked(f"{TASKS}?consumed=9&limit=1")["tasks"]
    page = visit(f"{recorded.url}{TASKS}/{task['task']}")
    taught = page.get_by_test_id("taught").get_by_role("link").first
    expect(taught).to_have_attribute("href", re.compile("/runs/example/versions/9"))
    page.get_by_test_id("task").get_by_role("link", name=task["place"]).click()
    expect(page.get_by_test_id("event")).to_contain_text(task["place"])


@pytest.mark.long
def test_before_a_task_was_asked_there_is_none(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{TASKS}?at=tasks/0=0")
    expect(page.get_by_test_id("empty")).to_have_text("Nobody has asked a task up to here.")
    look(page, "tasks-before")
