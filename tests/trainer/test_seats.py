"""Turns that may not be learned from: they age nothing, and no row is made of them."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bus.events import Judgment, Sample, Turn
from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, check_exactly_once
from tests.trainer.lessons import PARTS, batch, delivery, judgment, learner, turn
from trainer.batch import Batch, BatchConfig, Gathering, arrival
from trainer.filters.everything import AllConfig
from trainer.replay import Replay
from trainer.rows import Row
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import SOLVED, NllConfig
from trainer.updates.update import Update

PROMPT, FROZEN = (31, 5, 27), (40, 41, 1)


def frozen(version: int = 0) -> Turn:
    said = {"seat": "second", "trainable": False, "policy": "reference"}
    return turn(FROZEN, version, PROMPT).model_copy(update=said)


def with_turns(judged: Judgment, *more: Turn, only: bool = False) -> Judgment:
    """Every sample with `more` turns after its own, or with them alone."""
    attempt = judged.attempt
    samples = [Sample(turns=(*(() if only else one.turns), *more)) for one in attempt.samples]
    changed = attempt.model_copy(update={"samples": tuple(samples)})
    return judged.model_copy(update={"attempt": changed})


def taken(judged: Judgment, parent: int) -> Batch:
    gathered = Gathering(BatchConfig(size=1, max_staleness=2), {})
    gathered.add([arrival(delivery(judged, 0))], 0.0)
    found = gathered.take(parent, 0.0) or gathered.take(parent, 99.0)
    assert found is not None
    return found


def rows_of(update: Update, judged: Judgment, replay: Replay) -> list[Row]:
    return [row for rows in update.steps(batch([judged]), replay, Random(0)) for row in rows]


def test_a_frozen_turn_of_version_0_makes_no_attempt_stale() -> None:
    fresh = with_turns(judgment(1, version=9), frozen(0))
    assert fresh.attempt.oldest_version == 9
    assert taken(fresh, parent=10).judgments == (fresh,)
    stale = with_turns(judgment(1, version=7), frozen(10))
    assert [dropped.reason for dropped in taken(stale, parent=10).dropped] == [
        "stale: 3 versions old"
    ]


def test_an_attempt_of_frozen_turns_alone_is_of_no_age() -> None:
    judged = with_turns(judgment(1), frozen(0), only=True)
    assert judged.attempt.oldest_version is None
    assert taken(judged, parent=99).judgments == (judged,)


@pytest.mark.parametrize("config", [NllConfig(), GrpoConfig()])
def test_rows_are_made_of_trainable_turns_alone(config: NllConfig | GrpoConfig) -> None:
    judged = judgment(1, [1.0, 0.0, 0.0])
    expected = rows_of(config.build(PARTS), judged, Replay(8))
    assert expected
    for mixed in (with_turns(judged, frozen()), with_turns(judged, frozen(), frozen(5))):
        assert rows_of(config.build(PARTS), mixed, Replay(8)) == expected
    alone = with_turns(judged, frozen(), only=True)
    assert rows_of(config.build(PARTS), alone, Replay(8)) == []


def test_every_trainable_turn_of_a_sample_shares_its_advantage() -> None:
    second = turn((9, 1), 0, PROMPT)
    rows = rows_of(
        GrpoConfig().build(PARTS), with_turns(judgment(1, [1.0, 0.0]), frozen(), second), Replay(8)
    )
    weights: dict[tuple[int, ...], Any] = {}
    for row in rows:
        weights.setdefault(row.completion, []).append(row.weight)
    assert FROZEN not in weights
    assert sorted(weights.pop((9, 1))) == sorted(value[0] for value in weights.values())


def test_frozen_turns_are_not_replayed() -> None:
    replay = Replay(8)
    update = NllConfig().build(PARTS)
    list(update.steps(batch([with_turns(judgment(1, [1.0]), frozen())]), replay, Random(0)))
    [queue] = replay.names(SOLVED)
    kept = {replay.draw(queue, Random(seed)).completion for seed in range(20)}
    assert kept == {judgment(1, [1.0]).attempt.samples[0].turns[0].tokens}


def test_a_batch_of_frozen_turns_alone_moves_nothing() -> None:
    one = learner(update=GrpoConfig().build(PARTS), keeps=AllConfig().build(PARTS))
    before = {name: value.clone() for name, value in one.published().items()}
    metrics = one.learn(batch([with_turns(judgment(1), frozen(), only=True)]), 1)
    assert (metrics["steps"], metrics["chosen"]) == (0, 1)
    assert all(value.equal(before[name]) for name, value in one.published().items())


def test_a_version_is_made_of_attempts_that_nobody_may_learn_from(tmp_path: Path) -> None:
    room = Classroom(MemoryBus(), tmp_path)
    judged = [with_turns(judgment(index), frozen(), only=True) for index in range(SIZE)]

    async def scenario() -> None:
        await room.bus.publish(judged)
        await room.teach(versions=2)
        check_exactly_once(room, judged)

    asyncio.run(scenario())
    metrics = room.versions()[-1].metrics
    assert (metrics["steps"], metrics["staleness_max"]) == (0, 0)
