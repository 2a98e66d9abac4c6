"""The versions: the list, one of them, what taught it, and two side by side."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor

RUN = "/runs/example/versions"


def test_a_version_shows_where_it_comes_from_and_what_taught_it(
    recorded: Served, visit: Visitor
) -> None:
    page = visit(recorded.url + RUN)
    table = page.get_by_test_id("versions-table")
    expect(table.get_by_role("row").nth(1)).to_contain_text("50")
    table.focus()
    table.press("ArrowDown")
    table.press("ArrowDown")
    table.press("Enter")
    expect(page).to_have_url(re.compile(r"/versions/49$"))
    page.goto(f"{recorded.url}{RUN}/24")
    expect(page.get_by_test_id("ancestry")).to_contain_text("24 versions before it")
    expect(page.get_by_test_id("evaluation").locator("tbody tr")).to_have_count(5)
    expect(page.get_by_test_id("judgments-table")).to_have_attribute("aria-rowcount", "25")
    page.get_by_test_id("judgments-table").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/runs/example/tasks/[0-9a-f]{32}$"))


@pytest.mark.long
def test_the_list_holds_all_versions_and_draws_few(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    table = page.get_by_test_id("versions-table")
    expect(table).to_have_attribute("aria-rowcount", "52")
    assert table.get_by_role("row").count() < 45
    table.focus()
    table.press("End")
    expect(table.get_by_role("row").last).to_contain_text("0")
    expect(table.locator(".active")).to_contain_text("4.7 %")
    page.get_by_test_id("versions-order").click()
    expect(page).to_have_url(re.compile("order=oldest"))
    expect(table.get_by_role("row").nth(1)).to_contain_text("4.7 %")
    look(page, "versions")


@pytest.mark.long
def test_a_version_that_is_none_is_a_sentence(recorded: Served, visit: Visitor) -> None:
    visit.expected.append("404")
    page = visit(f"{recorded.url}{RUN}/4000")
    expect(page.get_by_test_id("error")).to_contain_text("4000")
    page.get_by_test_id("all-versions").click()
    expect(page.get_by_test_id("versions-table")).to_be_visible()


@pytest.mark.long
def test_two_versions_stand_side_by_side(recorded: Served, visit: Visitor) -> None:
    page = visit(f"{recorded.url}{RUN}/24")
    expect(page.get_by_test_id("judgments-table")).to_be_visible()
    look(page, "version")
    page.get_by_role("link", name="Compare with 23").click()
    expect(page.get_by_test_id("heads")).to_contain_text("example@23")
    expect(page.get_by_test_id("scores").locator("tbody tr")).to_have_count(5)
    expect(page.get_by_test_id("answers-why")).to_contain_text("scores")
    page.get_by_test_id("swap").click()
    expect(page).to_have_url(re.compile("a=example%4024&b=example%4023"))
    page.get_by_test_id("compare-at-a").fill("48")
    page.get_by_test_id("compare-at-a").press("Enter")
    expect(page.get_by_test_id("heads")).to_contain_text("example@48")
    look(page, "compare")
