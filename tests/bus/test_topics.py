"""Topics, and the partitions that keys fall into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events import EVENTS
from bus.topics import TOPICS, completed_by, murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, hashed: int) -> None:
    assert murmur2(data) == hashed % 2**32


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 100))
def test_partitions_are_the_positive_hash(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def test_every_event_has_a_topic_and_its_dead_letters_too() -> None:
    for model in EVENTS.values():
        if model.topic:
            assert {model.topic, f"{model.topic}.dead"} <= TOPICS.keys()
    together = {TOPICS[name].partitions for name in ("tasks", "attempts", "judgments")}
    assert together == {4}
    assert all(topic.name == name for name, topic in TOPICS.items())


def test_what_a_topic_answers_is_a_topic_and_weights_begin_it_all() -> None:
    for topic in TOPICS.values():
        assert topic.answers in ("", *TOPICS)
        if topic.once:
            # Whoever looks for the one answer finds it in the partition of what it answers.
            assert topic.partitions == TOPICS[topic.answers].partitions
    roots = {name for name, topic in TOPICS.items() if not topic.answers and ".dead" not in name}
    assert roots == {"control", "watermarks"}


def test_a_task_is_brought_to_an_end_by_the_trainer_whatever_becomes_of_it() -> None:
    assert completed_by("solver") == ("tasks",)
    assert completed_by("critic") == ("attempts",)
    assert set(completed_by("trainer")) == {
        "judgments",
        "refusals",
        "tasks.dead",
        "attempts.dead",
        "judgments.dead",
    }
    assert completed_by("a reader") == ()
