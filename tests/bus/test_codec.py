"""The wire format: CloudEvents headers, JSON bodies, hostile bytes, partitions, trace context."""

import json
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.codec import MAX_VALUE_BYTES, VERDICTS_BYTES, encode
from bus.errors import BusError, Unreadable, Unwritable
from bus.events import EVENTS, Attempt, Event, Sample, Span, Task, Turn, Weights, derive_id
from bus.records import Record
from bus.tracing.context import extract

TASK_ID = derive_id("run", "proposer", "weights")
EARLIER = derive_id("run", "trainer", "seed")


def task(**changes: Any) -> Task:
    fields = {
        "id": TASK_ID,
        "run": "run",
        "agent": "proposer",
        "domain": "reasoning_gym",
        "family": "spell_backward",
        "level": 5,
        "prompt": "hello =",
        "question": "Spell hello backward",
        "answer": "olleh",
        "weights_version": 3,
        "granted_by": EARLIER,
        "source": "seed",
    }
    return Task.model_validate(fields | changes)


def attempt(of: Task, *turns: Turn) -> Attempt:
    id = derive_id("run", "solver", of.id)
    samples = (Sample(turns=turns),) if turns else ()
    return Attempt(id=id, run="run", agent="solver", task=of, samples=samples, temperature=1.0)


def record_of(event: Event) -> Record:
    key, headers, value = encode(event)
    return Record(topic=event.channel, partition=0, offset=0, key=key, headers=headers, value=value)


def with_body(record: Record, **changes: Any) -> Record:
    return replace(record, value=json.dumps(json.loads(record.value) | changes).encode())


def with_headers(record: Record, **changes: str | None) -> Record:
    names = {name.replace("content_type", "content-type"): text for name, text in changes.items()}
    headers = {**record.headers, **names}
    return replace(record, headers={k: text for k, text in headers.items() if text is not None})


def reason(record: Record) -> str:
    with pytest.raises(Unreadable) as caught:
        record.event()
    return str(caught.value)


def test_headers_are_cloudevents_binary_mode() -> None:
    event = attempt(task())
    key, headers, value = encode(event)
    assert key == TASK_ID
    time = headers.pop("ce_time")
    assert datetime.fromisoformat(time) == event.created_at
    assert headers == {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_source": "/run/solver",
        "ce_type": "evolvent.attempt",
        "ce_dataschema": "urn:evolvent:schema:attempt:5",
        "ce_subject": TASK_ID,
        "ce_correlationid": TASK_ID,
        "ce_causationid": TASK_ID,
        "content-type": "application/json",
        "traceparent": f"00-{TASK_ID}-{event.id[-16:]}-01",
    }
    assert json.loads(value)["task"]["prompt"] == "hello ="


def test_the_example_in_the_docs_is_what_is_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    _, envelope, _, body, *_ = page.split("```")
    shown = dict(line.split(": ", 1) for line in envelope.strip().splitlines())
    fields = json.loads(body.removeprefix("json"))
    record = Record(
        topic="attempts",
        partition=0,
        offset=0,
        key=shown["ce_subject"],
        headers=shown,
        value=json.dumps(fields).encode(),
    )
    _, headers, value = encode(record.event())
    assert headers == shown
    assert json.loads(value) == fields


def test_source_is_a_uri_whatever_the_names() -> None:
    _, headers, _ = encode(task(run="a run/1", agent="né"))
    assert headers["ce_source"] == "/a%20run%2F1/n%C3%A9"


def turn(*versions: int, trainable: bool = True) -> Turn:
    """One token of each version."""
    return Turn(
        prompt_tokens=(1,),
        tokens=tuple(range(len(versions))),
        logprobs=(-1.0,) * len(versions),
        text="",
        finish_reason="stop",
        spans=tuple(
            Span(version=version, start=place, end=place + 1)
            for place, version in enumerate(versions)
        ),
        trainable=trainable,
    )


def test_model_version_is_the_one_the_event_is_about() -> None:
    assert encode(task())[1]["ce_modelversion"] == "3"
    assert encode(attempt(task(), turn(8, 7)))[1]["ce_modelversion"] == "7"
    assert "ce_modelversion" not in encode(attempt(task()))[1]


def test_model_version_is_of_what_may_be_learned_from() -> None:
    frozen = turn(0, trainable=False)
    assert encode(attempt(task(), frozen, turn(8, 7)))[1]["ce_modelversion"] == "7"
    assert "ce_modelversion" not in encode(attempt(task(), frozen))[1]


def test_numbers_that_json_does_not_have_survive() -> None:
    weights = Weights(
        id=EARLIER, run="run", agent="trainer", number=1, parent=None, parent_id=None,
        location="x", files={}, step=1, epoch=1, metrics={"loss": math.nan, "norm": math.inf},
    )  # fmt: skip
    read = record_of(weights).event()
    assert isinstance(read, Weights)
    assert math.isnan(read.metrics["loss"])
    assert read.metrics["norm"] == math.inf


def test_a_newer_schema_is_read_and_its_new_fields_ignored() -> None:
    newer = with_headers(
        with_body(record_of(task()), mood={"good": True}),
        ce_dataschema="urn:evolvent:schema:task:9",
        ce_mood="good",
    )
    assert newer.event() == record_of(task(created_at=newer.event().created_at)).event()


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"ce_type": None}, "ce_type is missing"),
        ({"ce_type": "evolvent.riddle"}, "unknown event type 'evolvent.riddle'"),
        ({"ce_type": "evolvent.weights"}, "Field required"),
        ({"ce_specversion": None}, "ce_specversion is missing"),
        ({"ce_specversion": "2.0"}, "ce_specversion is '2.0'"),
        ({"ce_id": None}, "ce_id is missing"),
        ({"ce_id": EARLIER}, f"the body's is '{TASK_ID}'"),
        ({"content_type": "application/cloudevents+json"}, "content-type is"),
    ],
)
def test_wrong_headers_are_named(headers: dict[str, str | None], why: str) -> None:
    assert why in reason(with_headers(record_of(task()), **headers))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[]", "should be an object"),
        (b'{"id":', "Invalid JSON"),
        (b"[" * 1_000_000, "recursion limit"),
        (b'{"metadata":' * 1_000 + b"1" + b"}" * 1_000, "recursion limit"),
        (b'{"level":' + b"9" * 1_000_000 + b"}", "out of range"),
        (b" " * (MAX_VALUE_BYTES + 1), "are allowed"),
    ],
)
def test_wrong_bodies_are_named(value: bytes, why: str) -> None:
    assert why in reason(replace(record_of(task()), value=value))


def test_reasons_are_short_and_do_not_show_the_value() -> None:
    secret = "s3cret" * 1_000
    told = reason(with_body(record_of(task()), level=secret, weights_version=secret))
    assert told.startswith("'level': Input should be a valid integer")
    assert told.endswith("(and 1 more)")
    assert "s3cret" not in told
    assert len(told) < 200
    assert len(reason(with_headers(record_of(task()), ce_type="x" * 100_000))) < 200


def test_wrong_packed_arrays_are_unreadable() -> None:
    body = json.loads(encode(attempt(task()))[2])
    for packed in ("AQAAAA=", "AQAA", "é", [1, "x"], 7, None):
        turn = {"prompt_tokens": packed, "tokens": "", "logprobs": "", "text": "", "spans": []}
        samples = [{"turns": [turn | {"finish_reason": "stop"}]}]
        record = with_body(record_of(attempt(task())), **(body | {"samples": samples}))
        assert "prompt_tokens" in reason(record)


def test_an_event_too_large_to_be_read_is_not_written() -> None:
    with pytest.raises(BusError, match="fewer or shorter samples"):
        encode(task(prompt="x" * MAX_VALUE_BYTES))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
header_values = st.text() | st.sampled_from(["1.0", "application/json", TASK_ID])


@given(
    value=st.binary() | json_values.map(lambda value: json.dumps(value).encode()),
    ce_type=st.sampled_from([f"evolvent.{name}" for name in EVENTS]) | st.text(),
    headers=st.dictionaries(
        st.text()
        | st.sampled_from(["ce_id", "ce_specversion", "content-type", "traceparent", "tracestate"]),
        header_values,
    ),
    plausible=st.booleans(),
)
def test_any_bytes_are_an_event_or_unreadable(
    value: bytes, ce_type: str, headers: dict[str, str], plausible: bool
) -> None:
    given = {"ce_specversion": "1.0", "ce_type": ce_type} if plausible else {}
    record = Record(
        topic="tasks", partition=0, offset=0, key="", headers=headers | given, value=value
    )
    try:
        assert record.event().id == headers["ce_id"]
    except Unreadable as error:
        assert 0 < len(str(error)) < 1_000
    extract(record.headers)


@given(field=st.sampled_from(sorted(Task.model_fields)), value=json_values)
def test_any_field_of_a_valid_event_may_be_anything(field: str, value: Any) -> None:
    record = with_body(record_of(task()), **{field: value})
    try:
        event = record.event()
    except Unreadable as error:
        assert len(str(error)) < 1_000
    else:
        assert record_of(event).event().model_dump_json() == event.model_dump_json()


@given(
    tokens=st.lists(st.integers(-(2**31), 2**31 - 1)),
    logprobs=st.lists(st.floats(width=32, allow_nan=False)),
    text=st.text(st.characters(codec="utf-8")),
)
def test_turns_come_back_bit_for_bit(tokens: list[int], logprobs: list[float], text: str) -> None:
    turn = Turn(
        prompt_tokens=tuple(tokens), tokens=tuple(tokens), logprobs=tuple(logprobs), text=text,
        finish_reason="length", spans=(),
    )  # fmt: skip
    event = attempt(task(), turn)
    assert record_of(event).event() == event


def test_four_thousand_tokens_take_less_than_half_of_plain_json() -> None:
    turn = Turn(
        prompt_tokens=(), tokens=tuple(range(4096)), logprobs=(-0.123456789,) * 4096, text="",
        finish_reason="stop", spans=(),
    )  # fmt: skip
    assert len(encode(attempt(task(), turn))[2]) < 46_000


def test_an_attempt_leaves_room_for_its_judgment() -> None:
    room = MAX_VALUE_BYTES - VERDICTS_BYTES
    with pytest.raises(Unwritable, match="14,680,064 are allowed"):
        encode(attempt(task(question="x" * room)))
    largest = attempt(task(question="x" * (room - 4096)))
    assert encode(largest)
    with pytest.raises(Unwritable, match="4,097 samples"):
        encode(largest.model_copy(update={"samples": (Sample(turns=()),) * 4097}))
