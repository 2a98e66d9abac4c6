"""The log itself: partitions from any offset, searches, dead letters, one event as JSON."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor

EVENTS = "/runs/example/events"


def places(page: Page) -> list[str]:
    cells = page.get_by_test_id("event-table").locator(".mono").all_inner_texts()
    return [text for text in cells if "/" in text]


def test_a_partition_is_read_from_any_offset_forwards_and_back(
    recorded: Served, visit: Visitor
) -> None:
    page = visit(f"{recorded.url}{EVENTS}?topic=judgments&partition=2")
    expect(page.get_by_test_id("window")).to_contain_text("of judgments/2")
    look(page, "events")
    page.get_by_test_id("offset").fill("20")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("window")).to_have_text(re.compile("Offsets 20 to 29 of"))
    assert places(page) == [f"judgments/2/{offset}" for offset in range(20, 30)]
    page.get_by_test_id("events-next").click()
    expect(page.get_by_test_id("window")).to_have_text(re.compile("Offsets 30 to 39 of"))
    page.get_by_test_id("events-previous").click()
    expect(page.get_by_test_id("window")).to_have_text(re.compile("Offsets 20 to 29 of"))
    page.get_by_test_id("events-first").click()
    expect(page.get_by_test_id("window")).to_have_text(re.compile("Offsets 0 to 9 of"))
    expect(page.get_by_test_id("events-previous")).to_be_disabled()


def test_an_event_is_copied_as_json_and_leads_to_what_it_answers(
    recorded: Served, visit: Visitor
) -> None:
    one = f"{EVENTS}?topic=attempts&partition=0&offset=5&limit=1&direction=next"
    [event] = recorded.asked(one)["events"]
    page = visit(f"{recorded.url}{EVENTS}?topic=attempts&partition=0&offset=0&direction=next")
    page.get_by_test_id("event-table").get_by_text(event["place"]).click()
    expect(page).to_have_url(re.compile(f"/events/{event['id']}\\?"))
    expect(page.get_by_test_id("body")).to_contain_text(event["id"])
    look(page, "event")
    page.get_by_test_id("copy-event").click()
    expect(page.get_by_test_id("copy-event")).to_have_text("Copied")
    copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert copied == recorded.asked(f"{EVENTS}/one?id={event['id']}")
    page.get_by_test_id("answers").get_by_role("link").click()
    expect(page.get_by_test_id("event")).to_contain_text(re.compile(r"tasks/\d/\d+"))


@pytest.mark.long
def test_all_views_go_to_the_moment_of_an_event(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{EVENTS}/{quote('weights/0/3', safe='')}")
    page.get_by_test_id("travel-here").click()
    expect(page.get_by_test_id("slider-said")).to_contain_text("Paused at version 3")
    page.get_by_test_id("view-tasks").click()
    wanted = recorded.asked("/runs/example/tasks?at=3")["total"]
    expect(page.get_by_test_id("tasks")).to_contain_text(f"{wanted} in all")


@pytest.mark.long
@pytest.mark.parametrize(
    "query", ["text=ed", "topic=weights", "header=ce_modelversion:7", "text=nothing+is+so"]
)
def test_a_search_finds_what_the_log_has(recorded: Served, visit: Visitor, query: str) -> None:
    found = recorded.asked(f"{EVENTS}/search?{query}&limit=500")
    page = visit(f"{recorded.url}{EVENTS}?show=search&{query}")
    if not found["events"]:
        expect(page.get_by_test_id("empty")).to_have_text("No event fits.")
        return
    expect(page.get_by_test_id("searched")).to_contain_text(" found among ")
    expect(page.get_by_test_id("event-table")).to_contain_text(found["events"][0]["place"])


@pytest.mark.long
def test_a_search_is_bounded_by_time_and_key(recorded: Served, visit: Visitor) -> None:
    one = f"{EVENTS}?topic=tasks&partition=1&offset=9&limit=1&direction=next"
    [first] = recorded.asked(one)["events"]
    page = visit(f"{recorded.url}{EVENTS}?show=search")
    page.get_by_test_id("search-key").fill(first["key"])
    page.get_by_test_id("search-until").fill(first["time"][:19])
    page.get_by_test_id("search-go").click()
    expect(page.get_by_test_id("empty")).to_have_text("No event fits.")
    page.get_by_test_id("chip-until").get_by_role("button").click()
    expect(page.get_by_test_id("event-table")).to_contain_text(first["place"])
    look(page, "search")


@pytest.mark.long
def test_dead_letters_say_why(living: Living, live: Served, visit: Visitor) -> None:
    living.tell(1000)
    page = visit(f"{live.url}/runs/living/events?show=dead")
    table = page.get_by_test_id("dead-table")
    expect(table).to_contain_text("cannot be read")
    look(page, "dead")
    table.get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("body")).to_contain_text("cannot be read")


@pytest.mark.long
def test_where_nothing_died_it_is_said(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{EVENTS}?show=dead&at=0")
    expect(page.get_by_test_id("empty")).to_contain_text("there is no dead letter")
