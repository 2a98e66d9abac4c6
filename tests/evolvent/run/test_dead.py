"""Dead letters of a run: listed with their reasons, and sent again once for each death."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bus.events import Attempt, Control, Event, Task, Weights, derive_id
from bus.runner import Rejected, Runner
from evolvent.cli import main
from evolvent.recipe.load import load_recipe
from evolvent.run.archive import archive_run
from evolvent.run.folder import RunFolder
from harness.runs import audit, read_topic
from tests.bus.solving import until

RUN = "mine"
GRANT = Weights(
    id=derive_id(RUN, "trainer", "seed model"), run=RUN, agent="trainer", number=0, parent=None,
    parent_id=None, location="checkpoints/v0", files={}, step=0, epoch=1,
)  # fmt: skip


def task(index: int) -> Task:
    return Task(
        id=derive_id(RUN, "proposer", GRANT.id, index), run=RUN, agent="proposer", domain="words",
        family="reverse", level=index, prompt="ab", question="ab", answer="ba",
        weights_version=0, granted_by=GRANT.id, source="seed",
    )  # fmt: skip


class Refuses:
    """Answers tasks with attempts, and nothing of level 3 nor any other event."""

    async def handle(self, event: Any) -> Sequence[Event]:
        if not isinstance(event, Task) or event.level == 3:
            raise Rejected("no such level")
        return [
            Attempt(
                id=derive_id(RUN, "solver", event.id), run=RUN, agent="solver", task=event,
                samples=(), temperature=1.0,
            )
        ]  # fmt: skip


def work(folder: RunFolder, group: str, topic: str) -> None:
    """Let a group that refuses come to the end of a topic."""

    async def within() -> None:
        async with (
            folder.log(writable=True) as bus,
            bus.subscribe([topic], group, group) as subscription,
        ):
            stop = asyncio.Event()
            runner: Runner[Any] = Runner(Refuses(), subscription, group=group, run=RUN)
            working = asyncio.ensure_future(runner.run(stop))
            await until(lambda: not any(lag.backlog for lag in bus.log.lag(group)))
            stop.set()
            await working

    asyncio.run(within())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(load_recipe("words"), RUN)

    async def fill() -> None:
        async with run.log(writable=True) as bus:
            await bus.publish([GRANT, *(task(index) for index in range(5))])

    asyncio.run(fill())
    work(run, "solver", "tasks")
    return run


def tell(*words: str) -> object:
    """The exit code of `evolvent dead`."""
    with pytest.raises(SystemExit) as ended:
        main(["dead", *words])
    return ended.value.code


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert tell(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_letters_are_listed_with_their_reasons(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    [letter] = said(capsys, str(folder.path))["dead"]
    assert letter["topic"] == "tasks.dead" and letter["group"] == "solver"
    assert letter["reason"] == "no such level" and letter["bytes"] > 300
    assert not letter["sent_again"]
    assert tell(str(folder.path)) == 0
    assert "no such level" in capsys.readouterr().out


def test_a_letter_is_sent_again_once_and_its_next_one_too(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(folder.path)
    [letter] = said(capsys, run)["dead"]
    first = said(capsys, run, "--requeue", letter["id"])
    again = said(capsys, run, "--requeue", letter["id"][:8])
    assert first["new"] and not again["new"] and again["event"] == first["event"]
    tasks = [event for event in read_topic(folder.path, "tasks") if isinstance(event, Task)]
    [sent] = [one for one in tasks if one.id == first["event"]]
    assert len(tasks) == 6 and sent.agent == "operator" and sent.level == 3

    work(folder, "solver", "tasks")
    both = said(capsys, run)["dead"]
    assert [one["sent_again"] for one in both].count(True) == 1
    [second] = [one for one in both if not one["sent_again"]]
    assert said(capsys, run, "--requeue", second["id"])["new"]
    assert len(read_topic(folder.path, "tasks")) == 7
    assert not [one for one in audit(folder.path)["violations"] if one["code"] in ("I1", "I2")]


def test_a_letter_whose_record_was_trimmed_is_sent_again(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    async def trim() -> None:
        async with folder.log(writable=True) as bus:
            await bus.publish([task(index) for index in range(5, 40)])
        await asyncio.to_thread(work, folder, "solver", "tasks")
        await archive_run(folder, None, lambda what, done, whole: None)
        async with folder.log(writable=True) as bus:
            await bus.trim({at: end for at, end in bus.log.heads().items() if at[0] == "tasks"})

    asyncio.run(trim())
    [letter] = said(capsys, str(folder.path))["dead"]
    assert said(capsys, str(folder.path), "--requeue", letter["id"])["new"]


def test_of_a_dead_attempt_its_task_is_sent_again(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    work(folder, "critic", "attempts")
    letter = next(
        one for one in said(capsys, str(folder.path))["dead"] if one["topic"] == "attempts.dead"
    )
    sent = said(capsys, str(folder.path), "--requeue", letter["id"])
    assert sent["topic"] == "tasks"
    work(folder, "solver", "tasks")
    assert len(read_topic(folder.path, "attempts")) == 5


def test_a_version_that_could_not_be_evaluated_is_asked_for_again(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    work(folder, "evaluator", "weights")
    work(folder, "proposer", "weights")
    dead = {one["group"]: one for one in said(capsys, str(folder.path))["dead"]}
    said(capsys, str(folder.path), "--requeue", dead["evaluator"]["id"])
    [asked] = read_topic(folder.path, "control")
    assert isinstance(asked, Control)
    assert (asked.command, asked.weights_version) == ("evaluate", 0)
    assert tell(str(folder.path), "--requeue", dead["proposer"]["id"]) == 2
    assert "granted by the next one" in capsys.readouterr().err


@pytest.mark.parametrize(("named", "why"), [("ffffffff", "no dead letter"), ("f", "at least 4")])
def test_what_is_no_letter_is_a_sentence(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], named: str, why: str
) -> None:
    assert tell(str(folder.path), "--requeue", named) == 2
    assert why in capsys.readouterr().err
