"""What was judged again is never taken for what was judged."""

import json
from pathlib import Path

import pytest

from bus.codec import decode
from bus.errors import Unreadable
from bus.records import Delivery, Record
from bus.topics import TOPICS
from observability.replay.rejudged import VERDICTS, Written
from tests.trainer.lessons import judgment
from trainer.batch import arrival


def record(folder: Path) -> Record:
    """What is written of a judgment, as if somebody had put it among those of a run."""
    written = Written(folder, "mine", "vote")
    one = judgment(1)
    written.judged(one, one.verdicts)
    written.close({})
    [line] = (folder / VERDICTS).read_text().splitlines()
    said = json.loads(line)
    assert said["topic"] == "rejudged.mine" and said["topic"] not in TOPICS
    assert said["value"]["verdicts"][0]["reward"] == 1.0
    assert said["headers"]["ce_causationid"] == said["value"]["judgment"] == one.id
    return Record(
        topic="judgments",
        partition=0,
        offset=0,
        key=said["key"],
        headers=said["headers"],
        value=json.dumps(said["value"]).encode(),
    )


def test_a_bus_does_not_read_it(tmp_path: Path) -> None:
    stranger = record(tmp_path)
    with pytest.raises(Unreadable, match=r"unknown event type .evolvent\.rejudgment"):
        stranger.event()
    arrived = arrival(Delivery(record=stranger, epoch=1))
    assert arrived.event is None and arrived.reason.startswith("unreadable: unknown event type")


def test_nor_under_another_name(tmp_path: Path) -> None:
    stranger = record(tmp_path)
    with pytest.raises(Unreadable, match="attempt"):
        decode(stranger.headers | {"ce_type": "evolvent.judgment"}, stranger.value)
