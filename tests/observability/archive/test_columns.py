"""A record is a row, and the row is that record again, whatever it holds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bus.codec import encode
from bus.records import Record
from observability.archive.columns import SCHEMA, Part, Rows, columns_of, headers_of
from observability.query.tables import event_of
from tests.bus.examples import EXAMPLES

NAMES = ["ce_type", "ce_id", "ce_source", "ce_time", "ce_dataschema", "ce_correlationid"]
NAMES += ["ce_causationid", "ce_modelversion", "ce_subject", "content-type", "traceparent", "odd"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "evolvent.task",
        "urn:evolvent:schema:task:4",
        "urn:evolvent:schema:task:04",
        "/run/agent",
        "/a%20b/%C3%A9",
        "/a b/c",
        "/%ff/a",
        "007",
        "7",
        "2026-03-01T12:30:15+00:00",
        "2026-03-01T12:30:15.250000+02:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "2026-03-01",
        "f" * 32,
        "9" * 40,
    ]
)


def restored(record: Record, commit: int | None = None, part: Part | None = None) -> Record:
    rows = Rows()
    rows.add(record, event_of(record), commit, part)
    columns = columns_of(rows.table(), SCHEMA.names)
    row = {name: values[0] for name, values in columns.items()}
    return Record(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        key=row["key"],
        headers=headers_of(row, row["key"]),
        value=row["raw"] if row["body"] is None else row["body"],
    )


@given(
    key=TEXTS,
    headers=st.dictionaries(st.sampled_from(NAMES), TEXTS),
    value=st.binary(max_size=40) | TEXTS.map(str.encode),
)
def test_whatever_lies_on_a_log_comes_back_bit_for_bit(
    key: str, headers: dict[str, str], value: bytes
) -> None:
    record = Record(topic="tasks", partition=3, offset=7, key=key, headers=headers, value=value)
    assert restored(record) == record


def test_headers_of_every_event_follow_from_its_columns_alone() -> None:
    for event in EXAMPLES.values():
        key, headers, value = encode(event)
        record = Record(
            topic=event.channel, partition=0, offset=0, key=key, headers=headers, value=value
        )
        assert restored(record) == record
        rows = Rows()
        rows.add(record, event, 5, None)
        assert rows.table().column("headers").to_pylist() == [None]


def test_what_people_ask_by_is_a_column() -> None:
    rows = Rows()
    for event in (EXAMPLES["judgment"], EXAMPLES["evaluation"], EXAMPLES["weights"]):
        key, headers, value = encode(event)
        record = Record(topic="", partition=0, offset=0, key=key, headers=headers, value=value)
        rows.add(record, event, 5, None)
    judged, measured, version = rows.table().to_pylist()
    assert judged["type"] == "judgment" and json.loads(judged["body"])["critic_version"] == 2
    assert (judged["run"], judged["agent"], judged["commit"]) == ("demo", "critic-0", 5)
    assert (judged["family"], judged["level"], judged["version"]) == ("spell_backward", 5, 1)
    assert (judged["samples"], judged["reward"], judged["tokens"]) == (2, 0.5, 9)
    assert judged["task_id"] == judged["key"] != judged["cause"]
    assert measured["held_out"] == 0.625 and measured["task_id"] is None
    assert version["version"] == 2 and version["reward"] is None
