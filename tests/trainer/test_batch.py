"""The batch rule: what is trained on, what is dropped and why, what is left for the next."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.events import DeadLetter, Event, derive_id
from bus.hands import Hands, hand_of
from bus.records import Delivery, Position
from tests.trainer.lessons import RUN, delivery, judgment, refusal, task
from trainer.batch import GROUP, Batch, BatchConfig, Gathering, arrival
from trainer.checkpoint.manifest import Consumed, Dropped

CONFIG = BatchConfig(size=3, max_staleness=2, timeout_seconds=10.0)


def dead(index: int) -> DeadLetter:
    return DeadLetter(
        id=derive_id(RUN, "solver", f"tasks/0/{index}"),
        run=RUN,
        agent="solver",
        origin_topic="tasks",
        origin_partition=0,
        origin_offset=index,
        group="solver",
        reason="poison",
        value="",
        headers={},
    )


def gathering(*events: Event, recent: Sequence[str] = ()) -> Gathering:
    gathered = Gathering(CONFIG, dict.fromkeys(recent, 0))
    gathered.add([arrival(delivery(event, at)) for at, event in enumerate(events)], now=0.0)
    return gathered


def taken(gathered: Gathering, parent: int = 0, now: float = 0.0) -> Batch:
    batch = gathered.take(parent, now)
    assert batch is not None
    return batch


def reasons(batch: Batch) -> list[str]:
    return [dropped.reason for dropped in batch.dropped]


def test_a_full_batch_is_ready_at_once_and_the_rest_waits() -> None:
    events = [judgment(index) for index in range(5)]
    gathered = gathering(*events)
    first = taken(gathered)
    assert first.judgments == tuple(events[:3])
    assert [consumed.id for consumed in first.trained] == [event.id for event in events[:3]]
    assert (first.num_tasks, first.dropped) == (3, ())
    assert gathered.take(1, 1.0) is None
    gathered.add([arrival(delivery(judgment(9), 9))], 2.0)
    assert taken(gathered, 1, 2.0).judgments == (*events[3:], judgment(9))


def test_a_batch_that_does_not_fill_is_taken_when_its_time_is_over() -> None:
    gathered = gathering(judgment(1))
    assert gathered.wait_seconds(4.0) == 6.0
    assert gathered.take(0, 9.9) is None
    assert len(taken(gathered, 0, 10.0).judgments) == 1
    assert gathered.take(0, 99.0) is None


def test_nothing_is_no_batch_however_long_one_waits() -> None:
    gathered = gathering()
    assert gathered.take(0, 1e9) is None
    assert gathered.wait_seconds(1e9) == CONFIG.timeout_seconds


def test_memory_does_not_grow_with_what_was_trained_on() -> None:
    gathered = gathering()
    size, kept = CONFIG.size, CONFIG.remembered + 1
    for version in range(20):
        judged = [judgment(size * version + index, version=version) for index in range(size)]
        gathered.add([arrival(delivery(one, at)) for at, one in enumerate(judged)], 0.0)
        assert len(taken(gathered, version).judgments) == size
        assert len(gathered._recent) == size * min(version + 1, kept)
    gathered.add([arrival(delivery(judged[0], 77))], 0.0)
    assert reasons(taken(gathered, 20, 1e9)) == ["duplicate"]


@pytest.mark.parametrize(("parent", "stale"), [(0, False), (2, False), (3, True)])
def test_attempts_older_than_the_bound_are_dropped(parent: int, stale: bool) -> None:
    batch = taken(gathering(judgment(1, version=0)), parent, 10.0)
    assert reasons(batch) == (["stale: 3 versions old"] if stale else [])
    assert batch.num_tasks == 1


def test_what_was_trained_on_or_came_twice_is_a_duplicate_and_no_task() -> None:
    known, new = judgment(1), judgment(2)
    batch = taken(gathering(known, new, new, recent=(known.id,)), 0, 10.0)
    assert batch.judgments == (new,)
    assert reasons(batch) == ["duplicate", "duplicate"]
    assert batch.num_tasks == 1


def test_what_one_batch_trained_on_is_a_duplicate_for_the_next() -> None:
    gathered = gathering(*(judgment(index) for index in range(3)))
    taken(gathered)
    gathered.add([arrival(delivery(judgment(2), 77))], 1.0)
    assert reasons(taken(gathered, 1, 99.0)) == ["duplicate"]


def test_a_dead_letter_is_dropped_with_its_reason_and_its_task_is_done() -> None:
    batch = taken(gathering(dead(4)), 0, 10.0)
    assert reasons(batch) == ["dead letter of solver: poison"]
    assert batch.num_tasks == 1


def test_a_refusal_is_no_task_and_not_learned_from() -> None:
    batch = taken(gathering(refusal(1)), 0, 10.0)
    assert (reasons(batch), batch.judgments) == (["refused by the task gate"], ())
    assert batch.num_tasks == 0


def test_what_is_no_judgment_is_dropped() -> None:
    assert reasons(taken(gathering(task(1)), 0, 10.0)) == ["a task is nothing to learn from"]


@pytest.mark.parametrize("headers", [{}, {"ce_id": "not an id"}])
def test_a_record_that_cannot_be_read_is_dropped_under_a_name_of_its_own(
    headers: dict[str, str],
) -> None:
    record = replace(delivery(judgment(1), 5).record, value=b"{", headers=headers)
    gathered = Gathering(CONFIG, {})
    gathered.add([arrival(Delivery(record=record, epoch=1))], 0.0)
    gathered.add([arrival(Delivery(record=replace(record, offset=6), epoch=1))], 0.0)
    batch = taken(gathered, 0, 10.0)
    assert all(reason.startswith("unreadable: ") for reason in reasons(batch))
    assert len({dropped.id for dropped in batch.dropped}) == 2
    assert batch.num_tasks == 2


def test_an_unreadable_refusal_is_no_task() -> None:
    record = replace(delivery(refusal(1), 5).record, value=b"{")
    gathered = Gathering(CONFIG, {})
    gathered.add([arrival(Delivery(record=record, epoch=1))], 0.0)
    assert taken(gathered, 0, 10.0).num_tasks == 0


def test_levels_count_tasks_samples_and_right_answers() -> None:
    events = [judgment(1, [1, 0, 0]), judgment(2, [1, 1]), judgment(3, [0], level=7)]
    levels = taken(gathering(*events)).levels()
    assert [(each.family, each.level) for each in levels] == [("reverse", 1), ("reverse", 7)]
    assert [(each.tasks, each.samples, each.correct) for each in levels] == [(2, 5, 3), (1, 1, 0)]


EVENTS = st.one_of(
    st.builds(
        lambda index, version: judgment(index, version=version),
        st.integers(0, 12),
        st.integers(0, 5),
    ),
    st.builds(refusal, st.integers(0, 4)),
    st.builds(dead, st.integers(0, 4)),
)


@settings(max_examples=150, deadline=None)
@given(
    turns=st.lists(st.tuples(st.lists(EVENTS, max_size=7), st.floats(0, 15)), max_size=6),
    size=st.integers(1, 4),
)
def test_every_arrival_is_trained_on_dropped_or_left_and_only_one_of_these(
    turns: list[tuple[list[Event], float]], size: int
) -> None:
    gathered = Gathering(BatchConfig(size=size, timeout_seconds=10.0), {})
    offsets, now, version = count(), 0.0, 0
    came: list[Position] = []
    trained: list[Consumed] = []
    dropped: list[Dropped] = []
    for events, seconds in turns:
        new = [arrival(delivery(event, next(offsets))) for event in events]
        came += [arrived.consumed.position for arrived in new]
        gathered.add(new, now)
        now += seconds
        if (batch := gathered.take(version, now)) is not None:
            assert len(batch.judgments) <= size
            assert batch.trained or batch.dropped
            trained += batch.trained
            dropped += batch.dropped
            version += 1
    while (batch := gathered.take(version, now := now + 1e6)) is not None:
        trained += batch.trained
        dropped += batch.dropped
    finished = [consumed.position for consumed in (*trained, *dropped)]
    assert sorted(finished) == sorted(came)
    ids = [consumed.id for consumed in trained]
    assert len(set(ids)) == len(ids)


def test_a_judgment_that_ends_the_trainer_is_alone_at_last_and_dropped(tmp_path: Path) -> None:
    config = BatchConfig(size=16, timeout_seconds=10.0)
    events = [judgment(index) for index in range(20)]
    arrivals = [arrival(delivery(event, at)) for at, event in enumerate(events)]
    poison, dropped = arrivals[5].consumed.id, list[Dropped]()
    trained: list[str] = []
    sizes, clock = [], count(99.0, 99.0)
    for _ in range(12):
        hands = Hands(tmp_path, "trainer")
        gathered = Gathering(config, {}, hands)
        gathered.add([one for one in arrivals if one.consumed.id not in trained], now=0.0)
        with suppress(RuntimeError):
            while (batch := gathered.take(0, next(clock))) is not None:
                sizes.append(len(batch.trained))
                names = [hand_of(GROUP, consumed) for consumed in batch.trained]
                with hands.together_at(names):
                    if poison in [consumed.id for consumed in batch.trained]:
                        raise RuntimeError("it cannot be learned from")
                trained += [consumed.id for consumed in batch.trained]
                dropped += batch.dropped
                done = [*batch.trained, *batch.dropped]
                hands.release([hand_of(GROUP, consumed) for consumed in done])
        hands.close()
        if dropped:
            break
    assert sizes[:3] == [16, 16, 16]
    assert [one.id for one in dropped] == [poison]
    assert dropped[0].reason.startswith("poison: it ended its process 3 times, the last time by")
    assert sorted(trained) == sorted(event.id for event in events if event.id != poison)


def test_a_version_says_what_there_was_to_learn_and_why_the_rest_was_dropped() -> None:
    events = [judgment(0, [1.0, 0.0]), judgment(1, [0.0, 0.0]), judgment(2, [1.0, 1.0])]
    stale = judgment(3, version=-3)
    gathered = gathering(stale, refusal(1), dead(2), *events, events[0])
    metrics = taken(gathered).rollout_metrics(0)
    assert metrics["zero_variance"] == 2
    assert metrics["learnability"] == pytest.approx(0.25 / 3)
    assert metrics["unique_tasks"] == len({e.attempt.task.prompt for e in events}) / 3
    logprobs = [
        logprob
        for event in events
        for sample in event.attempt.samples
        for logprob in sample.turns[0].logprobs
    ]
    assert metrics["entropy"] == pytest.approx(-sum(logprobs) / len(logprobs))
    dropped = {name: value for name, value in metrics.items() if name.startswith("dropped_")}
    names = ("stale", "refused", "dead", "duplicate")
    assert dropped == {f"dropped_{name}": 1.0 for name in names}
