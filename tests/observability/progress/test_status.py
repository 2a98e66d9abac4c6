"""What programs read of a run besides its course: what the operator has said, and the plug-ins."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from bus.events import Control, Event, Plugin, derive_id
from bus.memory.bus import MemoryBus
from observability.progress.progress import Progress
from observability.progress.status import as_json
from tests.observability.known import progress_of
from tests.observability.story import BEGIN, RUN, Story, start

GROUPS = ("solver", "critic")


def said(command: str, role: str = "all", **changes: Any) -> Control:
    return Control.model_validate(
        {
            "id": derive_id(RUN, "operator", f"{command} {role}"),
            "run": RUN,
            "agent": "operator",
            "created_at": BEGIN,
            "command": command,
            "role": role,
            **changes,
        }
    )


def status_of(events: Sequence[Event], groups: Sequence[str] | None = GROUPS) -> dict[str, Any]:
    status = as_json(progress_of(events, groups))
    assert json.loads(json.dumps(status, allow_nan=False)) == status
    return status


def test_nothing_was_said() -> None:
    status = status_of([start()])
    assert status["control"] == {"paused": [], "stopped": [], "objective": None}
    assert status["plugins"] == []


def test_who_is_paused_and_who_is_stopped() -> None:
    status = status_of([said("pause"), said("resume", "critic"), said("stop", "critic")])
    assert status["control"]["paused"] == ["solver"]
    assert status["control"]["stopped"] == ["critic"]


def test_the_groups_are_those_that_subscribed_unless_others_are_given() -> None:
    """One that subscribes later is known at the next refresh."""
    bus = MemoryBus()
    asyncio.run(bus.publish([said("pause")]))
    progress = Progress(bus.log)
    progress.refresh()
    assert progress.paused == []
    for group in ("solver", "archive"):
        bus.subscribe(["tasks"], group, f"{group}-1")
    progress.refresh()
    assert progress.paused == ["archive", "solver"]
    assert as_json(progress)["lag"] == {"archive": {"tasks": 0}, "solver": {"tasks": 0}}
    only = Progress(bus.log, ["solver"])
    only.refresh()
    assert as_json(only)["lag"] == {"solver": {"tasks": 0}}
    assert only.paused == ["solver"]


def test_a_start_ends_the_stops_before_it() -> None:
    assert status_of([said("stop"), start()])["control"]["stopped"] == []
    assert status_of([start(), said("stop")])["control"]["stopped"] == list(GROUPS)


def test_the_objective_and_the_curriculum_that_came_of_it() -> None:
    objective = said("objective", settings={"advance_at": 0.5})
    curriculum = Story().curriculum(3)
    assert status_of([curriculum])["curriculum"]["objective"] is None
    named = curriculum.model_copy(update={"objective": objective.id})
    status = status_of([objective, named])
    assert status["control"]["objective"] == {"advance_at": 0.5}
    assert status["curriculum"]["objective"] == objective.id


def test_the_plug_ins_are_those_of_the_newest_start() -> None:
    plugin = Plugin(name="chess", sha256="ab" * 32, parts=("domain/chess", "judge/engine"))
    first, second = start(), start(seconds=60.0)
    with_plugin = second.model_copy(update={"plugins": (plugin,)})
    assert status_of([first, with_plugin])["plugins"] == [
        {"name": "chess", "sha256": "ab" * 32, "parts": ["domain/chess", "judge/engine"]}
    ]
    without = start(seconds=120.0)
    assert status_of([first, with_plugin, without])["plugins"] == []
