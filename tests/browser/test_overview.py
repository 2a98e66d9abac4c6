"""The overview: where a run stands, what became of its versions, its curves, its roles."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import NARROW, Visitor

RUN = "/runs/example/overview"


def test_the_overview_says_how_far_a_run_is(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    expect(page.get_by_test_id("version")).to_have_text("50")
    expect(page.get_by_test_id("held-out")).to_have_text("0 %")
    expect(page.get_by_test_id("timeline-lanes").locator("svg")).to_have_attribute(
        "aria-label", re.compile("Versions 0 to 50.*published: 51, .*evaluated: 8")
    )
    expect(page.get_by_test_id("held-out-levels").locator("tbody tr")).to_have_count(5)
    expect(page.get_by_test_id("role-trainer")).to_contain_text("1,200")
    expect(page.get_by_test_id("missing")).to_contain_text("Not in this log: KL")
    look(page, "overview")


def test_a_chart_has_its_figures_as_a_table_too(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    chart = page.get_by_test_id("held-out-curve")
    expect(chart.locator("figcaption")).to_contain_text("held out: 4.7 % at version 0, 0 % at")
    chart.get_by_role("button", name="Table").click()
    expect(chart.locator("tbody tr")).to_have_count(8)
    expect(chart.locator("tbody tr").last).to_contain_text("4.7 %")
    chart.get_by_role("button", name="Chart").click()
    expect(chart.locator("canvas")).to_be_visible()


def _read(page: Page) -> str:
    return page.locator("[data-testid=held-out-curve] .legend").inner_text()


@pytest.mark.long
def test_keys_move_along_a_chart(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    plot = page.locator("[data-testid=held-out-curve] .chart-plot")
    plot.focus()
    plot.press("ArrowLeft")
    expect(page.locator("[data-testid=held-out-curve] .legend")).to_contain_text("version 50")
    newest = _read(page)
    plot.press("ArrowLeft")
    assert _read(page) != newest
    plot.press("Enter")
    expect(page).to_have_url(re.compile(r"at=48$"))


@pytest.mark.long
def test_a_click_on_the_timeline_sets_all_views(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    lanes = page.get_by_test_id("timeline-lanes").locator("svg")
    box = lanes.bounding_box()
    assert box
    lanes.click(position={"x": box["width"] / 2, "y": 20})
    expect(page.get_by_test_id("back-to-now")).to_be_visible()
    at = int(page.url.rpartition("at=")[2])
    assert 15 < at < 30
    expect(page.get_by_test_id("version")).to_have_text(str(at))


@pytest.mark.long
def test_the_colours_are_as_one_says(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN, width=NARROW)
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(f"() => {paper}")
    page.get_by_test_id("theme").click()
    assert page.evaluate(f"() => {paper}") != light
    page.reload()
    expect(page.get_by_test_id("theme")).to_contain_text("Light")
    assert page.evaluate(f"() => {paper}") != light


@pytest.mark.long
def test_a_run_that_has_said_nothing_says_so(live: Served, visit: Visitor) -> None:
    page = visit(f"{live.url}/runs/living/overview")
    expect(page.get_by_test_id("timeline")).to_contain_text("No version has been published yet")
    expect(page.get_by_test_id("held-out-curve")).to_contain_text("No version has been evaluated")
    look(page, "overview-empty")


@pytest.mark.long
def test_the_overview_goes_on_with_the_run(living: Living, live: Served, visit: Visitor) -> None:
    living.tell(30)
    page = visit(f"{live.url}/runs/living/overview")
    before = page.get_by_test_id("version")
    expect(before).to_have_text(re.compile(r"^\d+$"))
    old = before.inner_text()
    living.tell(60)
    expect(page.get_by_test_id("version")).not_to_have_text(old)
