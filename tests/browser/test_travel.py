"""The time slider: one position for all views, by keys, by a click, by what `--at` takes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.living import Living
from tests.browser.served import Served
from tests.browser.visitor import Visitor

RUN = "/runs/example/overview"


def newest(served: Served) -> int:
    return int(served.asked("/runs/example/resolve")["version"])


def test_keys_move_the_slider_and_all_that_is_shown(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    last = newest(recorded)
    slider, said = page.get_by_test_id("slider-range"), page.get_by_test_id("slider-said")
    expect(slider).to_have_attribute("max", str(last + 2))
    slider.focus()
    slider.press("ArrowLeft")
    expect(said).to_contain_text(f"Paused at version {last}")
    slider.press("PageDown")
    expect(said).not_to_contain_text(f"version {last} ")
    expect(said).to_contain_text("Paused at version")
    expect(slider).to_be_focused()
    slider.press("Home")
    expect(said).to_contain_text("before version 0")
    expect(page.get_by_test_id("version")).to_have_text("none yet")
    slider.press("End")
    expect(said).to_contain_text("Now")
    expect(page).to_have_url(recorded.url + RUN)


def test_a_position_stays_from_view_to_view(recorded: Served, visit: Visitor) -> None:
    last = newest(recorded)
    middle = last // 2
    page = visit(f"{recorded.url}{RUN}?at={middle}")
    expect(page.get_by_test_id("version")).to_have_text(str(middle))
    page.get_by_test_id("view-versions").click()
    expect(page).to_have_url(re.compile(rf"/versions\?at={middle}$"))
    table = page.get_by_test_id("versions-table")
    for shown, press in ((middle, "slider-next"), (middle + 1, "back-to-now"), (last, None)):
        expect(table).to_have_attribute("aria-rowcount", str(shown + 2))
        if press:
            page.get_by_test_id(press).click()


@pytest.mark.long
@pytest.mark.parametrize("asked", ["3", "time", "tasks/0=1"])
def test_the_field_takes_what_at_takes(asked: str, recorded: Served, visit: Visitor) -> None:
    if asked == "time":
        asked = recorded.asked("/runs/example/versions/3")["time"][:19]
    there = recorded.asked(f"/runs/example/resolve?at={asked}")
    page = visit(recorded.url + RUN)
    page.get_by_test_id("slider-at").fill(asked)
    page.get_by_test_id("slider-at").press("Enter")
    version = "before version 0" if there["version"] is None else f"version {there['version']} "
    expect(page.get_by_test_id("slider-said")).to_contain_text(f"Paused at {version}")
    expect(page.get_by_test_id("slider-said")).to_contain_text(f"{there['events']:,} event")


@pytest.mark.long
def test_a_position_that_is_none_is_a_sentence(recorded: Served, visit: Visitor) -> None:
    visit.expected.append("400")
    page = visit(recorded.url + RUN)
    page.get_by_test_id("slider-at").fill("4000")
    page.get_by_test_id("slider-at").press("Enter")
    expect(page.get_by_test_id("slider-error")).to_contain_text("the newest is")
    page.get_by_test_id("back-to-now").click()
    expect(page.get_by_test_id("slider-said")).to_contain_text("Now")


@pytest.mark.long
def test_nothing_is_asked_while_one_travels(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{RUN}?at=3")
    expect(page.get_by_test_id("version")).to_have_text("3")
    expect(page.get_by_test_id("live")).to_have_text("not following")
    page.wait_for_timeout(1000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert not asked
    page.get_by_test_id("back-to-now").click()
    expect(page.get_by_test_id("live")).to_have_text("live")
    assert any("/stream" in url for url in asked)


@pytest.mark.long
def test_the_browsers_history_goes_back_in_time(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{RUN}?at=3")
    page.get_by_test_id("view-versions").click()
    page.get_by_test_id("back-to-now").click()
    page.go_back()
    expect(page).to_have_url(re.compile(r"/versions\?at=3$"))
    page.go_back()
    expect(page.get_by_test_id("version")).to_have_text("3")


@pytest.mark.long
def test_the_page_mends_itself_when_its_server_is_there_again(
    living: Living, live: Served, visit: Visitor
) -> None:
    visit.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    living.tell(40)
    page = visit(f"{live.url}/runs/living/overview")
    expect(page.get_by_test_id("live")).to_have_text("live")
    version = page.get_by_test_id("version")
    expect(version).to_have_text(re.compile(r"^\d+$"))
    before = version.inner_text()
    live.kill()
    expect(page.get_by_test_id("live")).to_have_text("server away")
    expect(version).to_have_text(before)
    living.tell(60)
    live.start()
    expect(page.get_by_test_id("live")).to_have_text("live")
    expect(version).not_to_have_text(before)
