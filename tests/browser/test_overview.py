"""The overview: where a run stands, what became of its versions, its curves, its roles."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import NARROW, Visitor

RUN = "/runs/example/overview"
NUMBER = re.compile(r"^\d+$")


def evaluated(served: Served) -> list[int]:
    """The versions whose held-out accuracy is known."""
    series: Any = served.asked("/runs/example/series")
    return [
        version
        for version, held_out in zip(series["version"], series["columns"]["held_out"], strict=True)
        if held_out is not None
    ]


def test_the_overview_says_how_far_a_run_is(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    state = recorded.asked("/runs/example/state")
    status = state["status"]
    expect(page.get_by_test_id("version")).to_have_text(str(status["version"]))
    expect(page.get_by_test_id("held-out")).to_have_text(re.compile(r"^[\d.]+ %$"))
    expect(page.get_by_test_id("timeline-lanes").locator("svg")).to_have_attribute(
        "aria-label",
        re.compile(
            f"Versions 0 to {status['version']}.*published: {status['versions']}, "
            f".*evaluated: {len(evaluated(recorded))}"
        ),
    )
    levels = sum(map(len, status["accuracy_by_level"].values()))
    expect(page.get_by_test_id("held-out-levels").locator("tbody tr")).to_have_count(levels)
    for role in state["roles"]:
        expect(page.get_by_test_id(f"role-{role['role']}")).to_contain_text(f"{role['done']:,}")
    expect(page.get_by_test_id("missing")).to_contain_text("Not in this log:")
    expect(page.get_by_test_id("control-none")).to_contain_text("only watches")
    look(page, "overview")


def test_a_chart_has_its_figures_as_a_table_too(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    chart = page.get_by_test_id("held-out-curve")
    expect(chart.locator("figcaption")).to_contain_text(
        re.compile(r"held out: [\d.]+ % at version 0, ")
    )
    chart.get_by_role("button", name="Table").click()
    expect(chart.locator("tbody tr")).to_have_count(len(evaluated(recorded)))
    chart.get_by_role("button", name="Chart").click()
    expect(chart.locator("canvas")).to_be_visible()


@pytest.mark.long
def test_keys_move_along_a_chart(recorded: Served, visit: Visitor) -> None:
    *_, last_but_one, last = evaluated(recorded)
    page = visit(recorded.url + RUN)
    plot = page.locator("[data-testid=held-out-curve] .chart-plot")
    legend = page.locator("[data-testid=held-out-curve] .legend")
    plot.focus()
    plot.press("ArrowLeft")
    expect(legend).to_contain_text(f"version {last}")
    plot.press("ArrowLeft")
    expect(legend).to_contain_text(f"version {last_but_one}")
    plot.press("Enter")
    expect(page).to_have_url(re.compile(rf"at={last_but_one}$"))


@pytest.mark.long
def test_a_click_on_the_timeline_sets_all_views(recorded: Served, visit: Visitor) -> None:
    page = visit(recorded.url + RUN)
    lanes = page.get_by_test_id("timeline-lanes").locator("svg")
    box = lanes.bounding_box()
    assert box
    lanes.click(position={"x": 0.6 * box["width"], "y": 20})
    expect(page.get_by_test_id("back-to-now")).to_be_visible()
    at = int(page.url.rpartition("at=")[2])
    assert 0.3 < at / evaluated(recorded)[-1] < 0.8
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
def test_what_an_operator_says_in_the_page_stands_on_the_log(
    living: Living, visit: Visitor, tmp_path: Path
) -> None:
    living.tell(30)
    served = Served(
        tmp_path / "printed.txt", str(living.folder), "--control", "--token", "operator"
    )
    page = visit(f"{served.url}/runs/living/overview?token=operator")
    page.get_by_test_id("control-role").select_option("solver")
    page.get_by_test_id("pause").click()
    expect(page.get_by_test_id("control-said")).to_contain_text("pause was said to solver")
    expect(page.get_by_test_id("role-solver")).to_contain_text("paused")
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("stop")).to_have_text("Stop: press again")
    look(page, "overview-control")
    served.stop()


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
    version = page.get_by_test_id("version")
    expect(version).to_have_text(NUMBER)
    before = version.inner_text()
    living.tell(60)
    expect(version).not_to_have_text(before)
    expect(version).to_have_text(NUMBER)
