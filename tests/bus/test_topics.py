"""Topics, and the partitions that keys fall into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events import EVENTS
from bus.topics import TOPICS, murmur2, partition_of


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
