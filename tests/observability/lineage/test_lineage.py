"""What stands behind a version, what a task taught, and what happened to it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bus.events import DeadLetter, Event, Judgment, Refusal, Weights
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from bus.topics import TOPICS
from observability.lineage.chain import Chain
from observability.lineage.lineage import UnknownEvent, lineage
from observability.lineage.picture import drawn
from observability.lineage.taught import taught
from observability.lineage.trace import trace
from observability.lineage.trees import lines_of_trace, text_of, tree_of_lineage, tree_of_taught
from tests.observability.audit.audited_run import VERSIONS, judgment_of, task_of


@pytest.fixture(scope="module")
def log(whole: Path) -> Iterator[Log]:
    bus = SqliteBus(whole / "log.sqlite", read_only=True)
    yield bus.log
    asyncio.run(bus.close())


def all_of(log: Log, topic: str) -> list[Event]:
    parts = range(TOPICS[topic].partitions)
    return [record.event() for part in parts for record in log.read(topic, part)]


def consumed_by(log: Log, version: Weights) -> list[Event]:
    """Looked up record by record, apart from the code under test."""
    found = []
    for place, ranges in version.positions.items():
        topic, _, partition = place.rpartition("/")
        for start, end in ranges:
            found += [record.event() for record in log.read(topic, int(partition), start, end)]
    return found


@pytest.mark.parametrize("whole_path", [False, True])
def test_behind_a_version_are_its_judgments_and_those_of_its_path(
    whole: Path, log: Log, whole_path: bool
) -> None:
    versions = {one.number: one for one in all_of(log, "weights") if isinstance(one, Weights)}
    newest = versions[VERSIONS]
    found = lineage(log, whole, VERSIONS, whole=whole_path)
    read = [newest] if not whole_path else [versions[n] for n in range(VERSIONS, -1, -1)]
    events = [event for one in read for event in consumed_by(log, one)]
    judgments = {event.id: event for event in events if isinstance(event, Judgment)}
    assert {source.judgment for source in found.sources} == set(judgments)
    for source in found.sources:
        judgment = judgments[source.judgment]
        assert (source.attempt, source.task) == (judgment.attempt.id, judgment.attempt.task.id)
        assert source.granted_by == judgment.attempt.task.weights_version
        assert source.sampled_by == (judgment.attempt.oldest_version,)
        assert source.learned and source.counted == source.correct == 1
    assert set(found.refusals) == {event.id for event in events if isinstance(event, Refusal)}
    assert [step.version for step in found.path] == list(range(VERSIONS, -1, -1))
    for step in found.path:
        own = consumed_by(log, versions[step.version])
        assert step.judgments == sum(isinstance(event, Judgment) for event in own)
        assert step.refusals == sum(isinstance(event, Refusal) for event in own)
    assert found.behind.judgments == sum(step.judgments for step in found.path)
    assert found.behind.dropped == sum(one.dropped for one in versions.values())


def test_a_task_leads_to_the_version_that_learned_from_it(whole: Path, log: Log) -> None:
    found = lineage(log, whole, 3)
    source = found.sources[0]
    for event_id, kind in (
        (source.task, "task"),
        (source.attempt, "attempt"),
        (source.judgment, "judgment"),
    ):
        came = taught(log, whole, event_id)
        assert (came.type, came.task, came.attempt) == (kind, source.task, source.attempt)
        [learner] = came.learners
        assert (learner.version, learner.learned) == (3, True)
        assert (learner.descendants, learner.newest) == (VERSIONS - 3, VERSIONS)


def test_what_was_dropped_is_not_called_learned(whole: Path, log: Log) -> None:
    [refusal] = [one for one in all_of(log, "refusals") if one.answers == _id(log, 1)]
    [learner] = taught(log, whole, refusal.id).learners
    assert not learner.learned and learner.reason == "dead letter of someone: poison"
    letters = [one for topic in ("tasks.dead", "attempts.dead") for one in all_of(log, topic)]
    assert letters
    for letter in letters:
        assert isinstance(letter, DeadLetter)
        place = (letter.origin_topic, letter.origin_partition, letter.origin_offset)
        origin = next(log.read(*place)).event()
        came = taught(log, whole, origin.id)
        assert came.letters == (letter.id,) and came.judgment is None
        [learner] = came.learners
        assert not learner.learned
        assert f"dead letter {letter.id}" in text_of(tree_of_taught(came))


def _id(log: Log, number: int) -> str:
    return next(one.id for one in all_of(log, "weights") if getattr(one, "number", -1) == number)


def test_without_its_manifest_a_version_is_said_to_have_consumed(
    whole: Path, log: Log, tmp_path: Path
) -> None:
    [version] = [one for one in Chain(log) if one.dropped and one.number == 2]
    found = lineage(log, tmp_path, 2)
    assert {source.learned for source in found.sources} == {None}
    assert "dropped:" not in text_of(tree_of_lineage(found))
    refusal = found.refusals[0]
    [learner] = taught(log, tmp_path, refusal).learners
    assert learner.learned is None and learner.version == version.number


def test_a_task_that_is_open_has_taught_nobody(whole: Path, log: Log) -> None:
    tasks = {one.id for one in all_of(log, "tasks")}
    tried = {one.answers for one in all_of(log, "attempts")}
    dead = all_of(log, "tasks.dead")
    [first, *_] = sorted(
        tasks
        - tried
        - {
            next(log.read(d.origin_topic, d.origin_partition, d.origin_offset)).event_id
            for d in dead
            if isinstance(d, DeadLetter)
        }
    )
    came = taught(log, whole, first)
    assert (came.attempt, came.judgment, came.learners) == (None, None, ())
    assert "no version has consumed it" in text_of(tree_of_taught(came))
    assert [one.type for one in trace(log, whole, first)] == ["weights", "task"]


def test_a_trace_is_what_happened_in_order(whole: Path, log: Log) -> None:
    source = lineage(log, whole, 2).sources[0]
    happened = trace(log, whole, source.judgment)
    types = ["weights", "task", "attempt", "judgment", "weights"]
    assert [one.type for one in happened] == types
    assert [one.id for one in happened][1:4] == [source.task, source.attempt, source.judgment]
    assert happened[0].versions == (source.granted_by,) and happened[-1].versions == (2,)
    assert [one.at for one in happened] == sorted(one.at for one in happened)
    assert happened == trace(log, whole, source.task)
    lines = lines_of_trace(happened)
    assert len(lines) == 5 and "version 2 learned from it" in lines[-1]
    assert "1 samples: 'ba' (by version " in lines[2] and source.place in lines[3]


def test_an_answer_with_another_id_is_found_where_it_must_lie(tmp_path: Path) -> None:
    """A role of a plug-in has other ids than ours."""
    first = Weights(
        id="0" * 32, run="r", agent="t", number=0, parent=None, parent_id=None, location=".",
        files={}, step=0, epoch=1,
    )  # fmt: skip
    task = task_of(first, 0)
    from tests.observability.audit.audited_run import attempt_of

    attempt = attempt_of(task).model_copy(update={"id": "ab" * 16})
    judgment = judgment_of(attempt).model_copy(update={"id": "cd" * 16})

    async def write() -> SqliteBus:
        bus = SqliteBus(tmp_path / "log.sqlite")
        await bus.publish([first, task, attempt, judgment])
        return bus

    bus = asyncio.run(write())
    came = taught(bus.log, tmp_path, task.id)
    asyncio.run(bus.close())
    assert (came.attempt, came.judgment) == (attempt.id, judgment.id)


def test_branches_and_strangers_are_told_apart(tmp_path: Path) -> None:
    """Two trainers went on from version 1; a version without a parent stands in no chain."""

    def version(number: int, name: str, parent: str | None) -> Weights:
        return Weights(
            id=name * 32, run="r", agent="trainer", number=number,
            parent=None if parent is None else number - 1,
            parent_id=None if parent is None else parent * 32,
            location=".", files={}, step=number, epoch=1,
        )  # fmt: skip

    versions = [
        version(0, "0", None), version(1, "1", "0"), version(2, "2", "1"),
        version(2, "a", "1"), version(3, "b", "a"), version(3, "3", "2"), version(4, "c", "d"),
    ]  # fmt: skip

    async def write() -> SqliteBus:
        bus = SqliteBus(tmp_path / "log.sqlite")
        await bus.publish(versions)
        return bus

    bus = asyncio.run(write())
    chain = Chain(bus.log)
    asyncio.run(bus.close())
    assert len(chain) == 6
    second = chain.numbered(2)
    assert second is not None and second.id == "2" * 32
    assert [one.id[0] for one in chain.descendants(second)] == ["3"]
    other = chain.get("b" * 32)
    assert other is not None
    assert [one.id[0] for one in chain.path(other)] == ["b", "a", "1", "0"]


def test_what_is_not_there_is_one_sentence(whole: Path, log: Log) -> None:
    with pytest.raises(UnknownEvent, match=f"no version 99 on the log: the newest is {VERSIONS}"):
        lineage(log, whole, 99)
    with pytest.raises(UnknownEvent, match="there is no event " + "f" * 32):
        taught(log, whole, "f" * 32)
    [control] = all_of(log, "control")
    with pytest.raises(UnknownEvent, match="is a control: name a task"):
        trace(log, whole, control.id)


def test_a_lineage_is_a_tree_json_and_a_picture(whole: Path, log: Log) -> None:
    found = lineage(log, whole, VERSIONS)
    said = text_of(tree_of_lineage(found, most=3))
    assert said.startswith(f"version {VERSIONS} of r, ")
    assert "… 3 more" in said and "the root" in said and "… 2 versions …" in said
    assert json.loads(json.dumps(asdict(found), default=str))["version"] == VERSIONS
    picture = ElementTree.fromstring(drawn(found))
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert f"version {VERSIONS}" in texts and "reverse 2: 6 of 6 right" in texts
    root = ElementTree.fromstring(drawn(lineage(log, whole, 0)))
    assert root is not None
