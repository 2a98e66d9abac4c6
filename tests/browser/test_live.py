"""A run that goes on while people look: pages follow it, in every tab, over a server's death; one
that travels in time does not."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.living import Living
from tests.browser.served import Served
from tests.browser.visitor import Visitor

COMING = "/runs/living/events?show=coming"


def places(page: Page) -> list[str]:
    cells = page.get_by_test_id("coming-table").locator(".mono").all_inner_texts()
    return [text for text in cells if "/" in text]


def follows(page: Page) -> None:
    expect(page.get_by_test_id("live")).to_have_text("live")
    expect(page.get_by_test_id("slider-said")).to_contain_text("Now")


@pytest.mark.long
def test_every_event_is_shown_once_in_every_tab_over_a_servers_death(
    living: Living, live: Served, visit: Visitor
) -> None:
    living.tell(7)
    page = visit(f"{live.url}{COMING}")
    beside = visit(f"{live.url}{COMING}", beside=page)
    for tab in (page, beside):
        follows(tab)
    said = [*living.tell(4)]
    for tab in (page, beside):
        expect(tab.get_by_test_id("coming")).to_contain_text("4 since")
    # The browser says that it cannot connect.
    visit.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE"]
    live.kill()
    expect(page.get_by_test_id("live")).to_have_text("server away")
    said += living.tell(5)
    live.start()
    for tab in (page, beside):
        expect(tab.get_by_test_id("coming")).to_contain_text(f"{len(said)} since")
        assert len(set(places(tab))) == len(places(tab)) == len(said)
    living.tell(1)
    for tab in (page, beside):
        expect(tab.get_by_test_id("coming")).to_contain_text(f"{len(said) + 1} since")


@pytest.mark.long
@pytest.mark.parametrize("view", ["tasks", "agents", "events?topic=tasks", "overview"])
def test_a_view_moves_on_with_the_run(
    living: Living, live: Served, visit: Visitor, view: str
) -> None:
    living.tell(20)
    page = visit(f"{live.url}/runs/living/{view}")
    follows(page)
    said = page.get_by_test_id("slider-said")
    expect(said).to_contain_text("20 events")
    before = page.locator("#view").inner_text()
    living.tell(60)
    expect(said).to_contain_text("80 events")
    expect(page.locator("#view")).not_to_have_text(before)
    expect(page.get_by_test_id("error")).to_have_count(0)


@pytest.mark.long
def test_a_page_that_travels_by_keyboard_stays_where_it_is_until_told(
    living: Living, live: Served, visit: Visitor
) -> None:
    living.tell(80)
    page = visit(f"{live.url}/runs/living/tasks")
    follows(page)
    slider = page.get_by_test_id("slider-range")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    said = page.get_by_test_id("slider-said")
    expect(said).to_contain_text("Paused")
    page.keyboard.press("Home")
    expect(said).to_contain_text("before version 0")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text(re.compile("Paused at version 0"))
    expect(page.get_by_test_id("live")).to_have_text("not following")
    count = page.get_by_test_id("tasks").inner_text()
    living.tell(60)
    page.wait_for_timeout(1500)
    assert page.get_by_test_id("tasks").inner_text() == count
    page.get_by_test_id("back-to-now").click()
    expect(said).to_contain_text("140 events")
    follows(page)


@pytest.mark.long
def test_a_log_that_cannot_be_read_is_a_sentence_and_the_page_recovers(
    living: Living, live: Served, visit: Visitor
) -> None:
    visit.expected += ["503"]
    living.tell(20)
    page = visit(f"{live.url}/runs/living/tasks")
    follows(page)
    log = living.folder / "log.sqlite"
    away = log.with_suffix(".away")
    log.rename(away)
    page.reload()
    expect(page.get_by_test_id("view-tasks")).to_be_visible()
    away.rename(log)
    living.tell(20)
    expect(page.get_by_test_id("slider-said")).to_contain_text("40 events")
