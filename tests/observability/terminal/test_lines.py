"""What the operator has said is a line of its own, where there is something to say."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console, RenderableType

from bus.events import Control, Event, Weights, derive_id
from observability.progress.progress import Progress
from observability.progress.status import as_json
from observability.terminal.activity import Activity
from observability.terminal.live import plain_line
from observability.terminal.screen import Screen
from observability.terminal.summary import summary
from tests.bus.examples import EXAMPLES
from tests.observability.known import progress_of
from tests.observability.story import RUN, Story

STORY = Story(versions=3)
EVOLVING = Activity(phase="evolving")


def said(command: str, role: str = "all", **settings: Any) -> Control:
    return Control.model_validate(
        {
            "id": derive_id(RUN, "operator", f"{command} {role} {settings}"),
            "run": RUN,
            "agent": "operator",
            "command": command,
            "role": role,
            "settings": settings,
        }
    )


def after_story(events: Sequence[Event]) -> Progress:
    return of_story([*STORY.events(), *events])


def of_story(events: Sequence[Event]) -> Progress:
    return progress_of(events, ["solver", "critic"])


def shown(renderable: RenderableType, width: int = 100, height: int = 40) -> str:
    console = Console(width=width, height=height)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


TOLD = [
    ([said("pause")], ["paused +solver, critic"]),
    ([said("pause"), said("resume", "solver")], ["paused +critic"]),
    ([said("stop", "critic")], ["stopped +critic"]),
    ([said("objective", advance_at=0.5)], ["objective +advance_at = 0.5"]),
    (
        [said("objective", levels=[1, 2], name="[red]"), said("stop"), said("pause", "solver")],
        [
            r"paused +solver",
            r"stopped +solver, critic",
            r'objective +levels = \[1, 2\], name = "\[red\]"',
        ],
    ),
]


@pytest.mark.parametrize(("events", "lines"), TOLD)
def test_the_operators_words_are_shown(events: list[Event], lines: list[str]) -> None:
    progress = after_story(events)
    plain = plain_line(progress, EVOLVING)
    for text in (shown(summary(progress)), shown(Screen(progress, EVOLVING)), plain):
        assert all(re.search(line, text) for line in lines)
        assert text.count("objective") + text.count("paused") + text.count("stopped") == len(lines)


def test_how_far_tries_and_lessons_come_is_said() -> None:
    first, *others = Story(versions=3).events()
    newest = max((one for one in others if isinstance(one, Weights)), key=lambda one: one.number)
    shares = {"solved_by_try_1": 0.25, "solved_by_try_2": 0.5, "reward": 0.5}
    tried = newest.model_copy(update={"metrics": shares})
    events = [first, *(tried if one is newest else one for one in others), EXAMPLES["lesson"]]
    progress = progress_of(events, ["solver"])
    assert as_json(progress)["lessons"] == {"count": 1, "solved_by_try": [0.25, 0.5]}
    for text in (shown(summary(progress)), shown(Screen(progress, EVOLVING))):
        assert re.search("tries +25% by try 1 · 50% by try 2 · 1 lessons", text)
    assert "1 lessons" in shown(Screen(progress, EVOLVING))
    assert "tries" not in shown(summary(after_story([])))


def test_what_the_domain_measures_is_said_at_the_start_and_now() -> None:
    story = Story(versions=3, quantities=(("kl_to_data", 0.5),))
    progress = progress_of(story.events(), ["solver"])
    assert as_json(progress)["quantities"] == {"kl_to_data": pytest.approx(0.05)}
    assert as_json(progress)["curve"][0]["quantities"] == {"kl_to_data": 0.5}
    for text in (shown(summary(progress)), shown(Screen(progress, EVOLVING))):
        assert "measured" in text and "kl to data 0.5 → 0.05" in text
    assert "measured" not in shown(summary(after_story([])))


def test_policies_that_are_trained_are_shown_apart() -> None:
    def told(event: Event) -> Event:
        moves = isinstance(event, Weights) and event.number in (1, 2)
        return event.model_copy(update={"policy": "challenger"}) if moves else event

    progress = of_story(list(map(told, Story(versions=3).events())))
    assert as_json(progress)["policies"] == {
        "current": {"version": 3, "versions": 1},
        "challenger": {"version": 2, "versions": 2},
    }
    for text in (shown(summary(progress)), shown(Screen(progress, EVOLVING))):
        assert "policies" in text and "current 3 (1 versions) · challenger 2 (2 versions)" in text
    alone = of_story(Story(versions=3).events())
    assert as_json(alone)["policies"] == {"current": {"version": 3, "versions": 3}}
    assert "policies" not in shown(summary(alone))


@pytest.mark.parametrize(
    "events",
    [
        [],
        [said("pause"), said("resume")],
        [said("stop"), said("start")],
        [said("pause", "nobody that is known")],
        [said("objective")],
    ],
)
def test_nothing_is_shown_where_nothing_holds(events: list[Event]) -> None:
    progress = after_story(events)
    texts = [shown(summary(progress)), shown(Screen(progress, EVOLVING))]
    for text in (*texts, plain_line(progress, EVOLVING)):
        assert not re.search("paused|stopped|objective", text)


@pytest.mark.parametrize("width", [60, 120])
def test_a_long_objective_makes_the_screen_neither_wider_nor_higher(width: int) -> None:
    long = said("objective", **{f"setting_{number}": "a long value" for number in range(30)})
    progress = after_story([long, said("pause")])
    lines = shown(Screen(progress, EVOLVING), width, height=30).splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= width
    assert max(map(len, shown(summary(progress), width).splitlines())) <= width
