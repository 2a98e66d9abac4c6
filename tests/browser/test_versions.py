"""The versions: the list, one of them, what taught it, and two side by side."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor

RUN = "/runs/example/versions"


def newest(served: Served) -> int:
    return int(served.asked("/runs/example/resolve")["version"])


def evaluated(served: Served) -> int:
    """A version in the middle of the run that was evaluated."""
    versions = served.asked("/runs/example/versions?limit=500")["versions"]
    known = [one["version"] for one in versions if one["held_out"] is not None]
    return int(known[len(known) // 2])


def test_a_version_shows_where_it_comes_from_and_what_taught_it(
    recorded: Served, visit: Visitor
) -> None:
    last, middle = newest(recorded), evaluated(recorded)
    page = visit(recorded.url + RUN)
    table = page.get_by_test_id("versions-table")
    expect(table.get_by_role("row").nth(1)).to_contain_text(str(last))
    table.focus()
    table.press("ArrowDown")
    table.press("ArrowDown")
    table.press("Enter")
    expect(page).to_have_url(re.compile(rf"/versions/{last - 1}$"))
    page.goto(f"{recorded.url}{RUN}/{middle}")
    version = recorded.asked(f"/runs/example/versions/{middle}")
    expect(page.get_by_test_id("ancestry")).to_contain_text(
        f"{version['path_length'] - 1} versions before it"
    )
    rows = page.get_by_test_id("evaluation").locator("tbody tr")
    expect(rows).to_have_count(len(version["evaluation"]["scores"]))
    judgments = page.get_by_test_id("judgments-table")
    expect(judgments).to_have_attribute("aria-rowcount", str(version["consumed"]["judgments"] + 1))
    judgments.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/runs/example/tasks/[0-9a-f]{32}$"))


@pytest.mark.long
def test_the_list_holds_all_versions_and_draws_few(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    table = page.get_by_test_id("versions-table")
    expect(table).to_have_attribute("aria-rowcount", str(newest(recorded) + 2))
    assert table.get_by_role("row").count() < 45
    table.focus()
    table.press("End")
    expect(table.locator(".active").get_by_role("link")).to_have_text("0")
    page.get_by_test_id("versions-order").click()
    expect(page).to_have_url(re.compile("order=oldest"))
    expect(table.get_by_role("row").nth(1).get_by_role("link")).to_have_text("0")
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
    last, middle = newest(recorded), evaluated(recorded)
    page = visit(f"{recorded.url}{RUN}/{middle}")
    expect(page.get_by_test_id("judgments-table")).to_be_visible()
    look(page, "version")
    page.get_by_role("link", name=f"Compare with {middle - 1}").click()
    expect(page.get_by_test_id("heads")).to_contain_text(f"example@{middle - 1}")
    scores = recorded.asked(f"/runs/example/versions/{middle}")["evaluation"]["scores"]
    expect(page.get_by_test_id("scores").locator("tbody tr")).to_have_count(len(scores))
    expect(page.get_by_test_id("answers-why")).to_contain_text("scores")
    page.get_by_test_id("swap").click()
    expect(page).to_have_url(re.compile(f"a=example%40{middle}&b=example%40{middle - 1}"))
    page.get_by_test_id("compare-at-a").fill(str(last))
    page.get_by_test_id("compare-at-a").press("Enter")
    expect(page.get_by_test_id("heads")).to_contain_text(f"example@{last}")
    look(page, "compare")
