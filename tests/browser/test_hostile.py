"""What a model says is text: no view takes it for markup, and what hides is shown."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bus.events import Attempt, DeadLetter, Event, Judgment
from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor
from tests.observability.story import Story, dead_letter, judgment

MARKUP = (
    "<script>window.taken = true</script><img src=x onerror='window.taken = true'>"
    "<svg onload='window.taken = true'></svg><a href='javascript:window.taken = true'>here</a>"
    "</pre></div><style>* { display: none }</style><iframe src='http://example.com'></iframe>"
    "&lt;b&gt; ${1} <!-- "
)
ODD = "\u202edrawkcab\u202c a\u200bb \x00\x1b[31m \u2066isolate \ufeff \U0001f469\u200d\U0001f467 "
SHOWN = "⟨U+202E⟩drawkcab⟨U+202C⟩ a⟨U+200B⟩b ␀␛[31m ⟨U+2066⟩isolate ⟨U+FEFF⟩ "
HOSTILE = MARKUP + ODD + "long" * 5_000


def told() -> Iterator[Event]:
    """Two versions, and a task of which all that can be said is hostile."""
    yield from Story(versions=1).of_version(0)
    said: Judgment = judgment(0, 5, wrong=HOSTILE)
    task = said.attempt.task.model_copy(
        update={"question": HOSTILE, "answer": HOSTILE, "metadata": {HOSTILE[:90]: HOSTILE}}
    )
    attempt: Attempt = said.attempt.model_copy(update={"task": task})
    verdicts = tuple(
        one.model_copy(update={"reason": HOSTILE, "provenance": MARKUP}) for one in said.verdicts
    )
    judged = said.model_copy(update={"attempt": attempt, "verdicts": verdicts, "critic": MARKUP})
    letter: DeadLetter = dead_letter(HOSTILE)
    yield from (task, attempt, judged, letter)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("hostile") / "hostile"
    events = list(told())
    Living(folder, events).tell(len(events))
    served = Served(folder.with_suffix(".txt"), str(folder))
    yield served
    served.stop()


def is_text(page: Page) -> None:
    assert page.evaluate("() => window.taken === undefined")
    assert page.locator("#view script, #view img, #view iframe, #view style").count() == 0


def test_a_task_of_hostile_text_is_text(hostile: Served, visit: Visitor) -> None:
    page = visit(f"{hostile.url}/runs/hostile/tasks?text=window.taken")
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
    hostile: Served, visit: Visitor, view: str, said: str
) -> None:
    page = visit(f"{hostile.url}/runs/hostile/{view}")
    expect(page.locator("#view")).to_contain_text(re.compile(said))
    is_text(page)
    look(page, f"hostile-{view.partition('?')[0]}-{said.partition('|')[0]}")


@pytest.mark.long
def test_a_hostile_event_and_its_way_are_text(hostile: Served, visit: Visitor) -> None:
    page = visit(f"{hostile.url}/runs/hostile/events?show=dead")
    page.get_by_test_id("dead-table").get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("body")).to_contain_text("window.taken = true")
    is_text(page)
    page.goto(f"{hostile.url}/runs/hostile/tasks?text=window.taken")
    page.get_by_test_id("task-table").get_by_role("row").nth(1).click()
    expect(page.get_by_test_id("question")).to_contain_text(MARKUP)
    look(page, "hostile-task")
    page.get_by_test_id("follow").click()
    expect(page.get_by_test_id("in-words")).to_contain_text("window.taken = true")
    is_text(page)
    look(page, "hostile-interaction")
