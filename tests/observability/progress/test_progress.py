"""What `Progress` says of a run is what was said on its log, however it was read."""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bus.events import Event
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from observability.progress.progress import Progress
from observability.progress.status import as_json
from tests.observability.known import progress_of
from tests.observability.story import (
    BEGIN,
    RUN,
    Story,
    at,
    dead_letter,
    refusal,
    start,
)

STORY = Story(versions=24, evaluate_every=3)


def filled(events: Sequence[Event]) -> MemoryBus:
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    return bus


class ReadingBus(MemoryBus):
    """Notes every record that is read from it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        for record in super().read(topic, partition, start, end):
            self.records.append(record)
            yield record


def test_a_whole_run() -> None:
    progress = progress_of(STORY.events())
    said = as_json(progress)
    assert (said["run"], said["recipe"], said["seed"]) == (RUN, "words", 7)
    assert said["started_at"] == BEGIN.isoformat()
    assert (said["version"], said["versions"], said["evaluated"]) == (24, 25, 24)
    assert list(progress.evaluations) == list(range(0, 25, 3))
    scores = {str(s.level): s.accuracy for s in progress.evaluations[24].scores}
    assert said["accuracy_by_level"] == {"spell_backward": scores}
    assert said["curriculum"]["top"] == {"spell_backward": 10}
    assert said["counts"]["judgments"] == said["counts"]["tasks"] == 50
    assert said["refusals"] == {"count": 6, "share": 6 / 56}
    assert 0.5 <= said["staleness"]["mean"] <= 1.2 and said["staleness"]["max"] in (1.0, 2.0)
    assert [each["version"] for each in said["curve"]] == list(range(0, 25, 3))
    assert said["curve"][0]["held_out"] < 0.2
    assert said["curve"][-1]["held_out"] > 0.9


def test_json_has_the_same_keys_before_anything_happened() -> None:
    empty, whole = as_json(progress_of([])), as_json(progress_of(STORY.events()))
    assert empty.keys() == whole.keys()
    assert empty["version"] is None and empty["held_out"] is None and empty["curve"] == []
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole


def test_refreshing_often_tells_the_same_as_once_and_reads_every_record_once() -> None:
    events = [*STORY.events(), dead_letter()]
    bus = ReadingBus()
    often = Progress(bus)
    for begin in range(0, len(events), 7):
        asyncio.run(bus.publish(events[begin : begin + 7]))
        often.refresh()
    num_read = len(bus.records)
    often.refresh()
    assert as_json(often) == as_json(progress_of(events))
    assert len(bus.records) == num_read == len({record.event_id for record in bus.records})


def test_the_bodies_of_the_big_topics_are_not_read() -> None:
    bus = ReadingBus()
    asyncio.run(bus.publish(STORY.events()))
    Progress(bus).refresh()
    topics = {record.topic for record in bus.records}
    assert topics == {"control", "weights", "curricula", "evaluations"}


def test_tokens_per_second_are_the_tokens_between_two_publications() -> None:
    quick = Story(versions=2).events()
    weights = [event for event in quick if event.topic == "weights"]
    spaced = [
        event.model_copy(update={"created_at": at(0).replace(second=seconds, microsecond=0)})
        for event, seconds in zip(weights, (10, 14, 24), strict=True)
    ]
    progress = progress_of(spaced)
    tokens = [version.metrics.get("tokens", 0.0) for version in progress.versions.values()]
    assert [version.seconds for version in progress.versions.values()] == [None, 4.0, 10.0]
    assert progress.versions[1].tokens_per_second == tokens[1] / 4
    assert progress.tokens_per_second == pytest.approx((tokens[1] + tokens[2]) / 14)
    assert progress.versions_per_minute == pytest.approx(2 * 60 / 14)


def test_the_time_between_a_stop_and_the_next_start_does_not_count() -> None:
    events = Story(versions=1).events()
    first = [event for event in events if event.topic == "weights"]
    later = start(seconds=7200.0)
    after = first[1].model_copy(update={"created_at": later.created_at.replace(second=3)})
    assert progress_of([first[0], later, after]).versions[1].seconds == 3.0


def test_a_standstill_without_a_start_counts_as_the_time_that_the_trainer_spent() -> None:
    first = [event for event in Story(versions=1).events() if event.topic == "weights"]
    after = first[1].model_copy(update={"created_at": first[1].created_at.replace(hour=23)})
    progress = progress_of([first[0], after])
    assert progress.versions[1].seconds == pytest.approx(0.9 + 0.1 + 0.05)


def test_the_interval_covers_the_held_out_levels_only() -> None:
    progress = progress_of(STORY.events())
    assert progress.held_out_levels.warm_up_end == 4
    last = progress.evaluations[24]
    interval = progress.held_out_levels.interval(last)
    assert interval is not None
    low, high = interval
    assert low < last.held_out < high
    half = 1.96 * math.sqrt(last.held_out * (1 - last.held_out) / (6 * 64))
    assert high - low == pytest.approx(2 * half, rel=0.2)


def test_without_levels_of_the_warm_up_every_score_is_held_out() -> None:
    progress = progress_of(Story(versions=6, warm_up_end=2).events())
    assert progress.held_out_levels.warm_up_end == 2
    interval = progress.held_out_levels.interval(progress.evaluations[6])
    assert interval is not None and interval[1] - interval[0] < 0.1


def test_dead_letters_are_told_with_their_origin_and_reason() -> None:
    said = as_json(progress_of([dead_letter("no such domain")]))["dead"]
    assert said["count"] == 1
    assert said["last"] == [
        {
            "topic": "tasks.dead",
            "offset": 0,
            "origin": "tasks/2/17",
            "group": "solver",
            "reason": "no such domain",
        }
    ]


def test_missing_and_infinite_metrics_are_null() -> None:
    weights = Story(versions=1).events()[1]
    broken = weights.model_copy(update={"metrics": {"tokens": math.inf, "loss": 1.0}})
    progress = progress_of([broken])
    assert progress.versions[0].metric("tokens") is None
    assert as_json(progress)["staleness"] == {"mean": None, "max": None}
    json.dumps(as_json(progress), allow_nan=False)


def test_an_older_version_evaluated_later_takes_its_place() -> None:
    story = Story(versions=4, evaluate_every=2)
    progress = progress_of([*story.events(), story.evaluation(1)])
    assert list(progress.evaluations) == [0, 1, 2, 4]
    assert as_json(progress)["evaluated"] == 4


def test_lag_says_who_waits_for_what() -> None:
    async def work() -> MemoryBus:
        bus = MemoryBus()
        await bus.publish([refusal(number) for number in range(5)])
        async with bus.subscribe(["refusals"], "trainer", "one") as subscription:
            await subscription.complete(await subscription.take(2), [])
        return bus

    progress = Progress(asyncio.run(work()))
    progress.refresh()
    assert as_json(progress)["lag"] == {"trainer": {"refusals": 3}}


def test_the_same_on_a_file(tmp_path: Path) -> None:
    async def write_and_read() -> dict[str, object]:
        bus = SqliteBus(tmp_path / "log.sqlite")
        try:
            await bus.publish(STORY.events())
            progress = Progress(bus)
            progress.refresh()
            return as_json(progress)
        finally:
            await bus.close()

    expected = as_json(progress_of(STORY.events()))
    assert asyncio.run(write_and_read()) == expected
    assert expected["version"] == 24
