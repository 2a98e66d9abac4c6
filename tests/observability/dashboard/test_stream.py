"""The stream of a page: nothing is lost, whoever goes and comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.events import Event
from bus.sqlite.bus import SqliteBus
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from evolvent.watching.sources import sources
from observability.dashboard.asked import Wrong
from observability.dashboard.routes.stream import Listener, heard_of
from observability.dashboard.runs import Runs
from tests.observability.replay.told import told

SECONDS = 30.0


def a_run(path: Path) -> Path:
    RunFolder(path).create(load_recipe("strings"))
    SqliteBus(path / "log.sqlite")
    return path


async def say(run: Path, events: list[Event]) -> None:
    bus = SqliteBus(run / "log.sqlite", create=False)
    await bus.publish(events)
    await bus.close()


async def heard(runs: Runs, number: int, last: str | None) -> tuple[list[str], str]:
    """The ids of the next events, as many at least, and the id of the last message."""
    found: list[str] = []
    listener = Listener(runs, list(runs), heard_of(last))
    messages = listener.__aiter__()
    async with asyncio.timeout(SECONDS):
        async for message in messages:
            last = message.id
            if message.event == "events":
                data: dict[str, Any] = json.loads(str(message.data))
                found += [one["id"] for one in data["events"]]
            if len(found) >= number and (number or message.event == "runs"):
                break
    await messages.aclose()  # type: ignore[attr-defined]
    assert last is not None
    return found, last


def test_who_comes_back_hears_what_it_missed(tmp_path: Path) -> None:
    events = told(6)
    third = len(events) // 3

    async def follow() -> None:
        first, second = a_run(tmp_path / "one"), a_run(tmp_path / "two")
        await say(first, events[:third])
        runs = Runs(sources([first, second], None))
        runs.start()
        _, last = await heard(runs, 0, None)
        await say(first, events[third : 2 * third])
        found, last = await heard(runs, third, last)
        await runs.close()
        # The server is started again while more is said.
        await say(first, events[2 * third :])
        await say(second, events[:third])
        runs = Runs(sources([first, second], None))
        runs.start()
        more, _ = await heard(runs, len(events) - third, last)
        await runs.close()
        wanted = [event.id for event in [*events[third:], *events[:third]]]
        assert sorted(found + more) == sorted(wanted)

    asyncio.run(follow())


def test_who_saw_no_event_yet_hears_each_once(tmp_path: Path) -> None:
    events = told(3)

    async def follow() -> None:
        run = a_run(tmp_path / "one")
        await say(run, events[:10])
        runs = Runs(sources([run], None))
        runs.start()
        found, last = await heard(runs, 10, json.dumps({"one": {}}))
        await say(run, events[10:])
        more, _ = await heard(runs, len(events) - 10, last)
        await runs.close()
        assert sorted(found + more) == sorted(event.id for event in events)

    asyncio.run(follow())


def test_a_log_that_cannot_be_read_is_a_sentence_until_it_can(tmp_path: Path) -> None:
    events = told(2)

    async def follow() -> None:
        run = a_run(tmp_path / "one")
        await say(run, events)
        log = run / "log.sqlite"
        aside = log.rename(tmp_path / "aside")
        runs = Runs(sources([run], None))
        runs.start()
        listener: AsyncIterator[Any] = Listener(runs, list(runs), {}).__aiter__()
        kinds: list[str] = []
        async with asyncio.timeout(SECONDS):
            async for message in listener:
                kinds.append(str(message.event))
                data = json.loads(str(message.data))
                if message.event == "problem" and aside.exists() and "opened" not in data["error"]:
                    assert "log.sqlite" in data["error"]
                    aside.rename(log)
                if message.event == "recovered":
                    break
        await runs.close()
        assert kinds.index("problem") < kinds.index("recovered")

    asyncio.run(follow())


@pytest.mark.parametrize(
    "last",
    [
        "[]",
        "x",
        '{"a": 1}',
        '{"a": {"tasks": "x"}}',
        "{" * 99_999,
        '{"a": {"tasks/0": 1e999}}',
        "[" * 3000,
    ],
)
def test_an_id_that_is_none(last: str) -> None:
    with pytest.raises(Wrong, match="Last-Event-ID"):
        heard_of(last)
