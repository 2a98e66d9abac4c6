"""Events on the wire: CloudEvents 1.0, Kafka protocol binding, binary mode; the body is JSON.
Knows no transport.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from pydantic import ValidationError

from bus.errors import Unreadable, Unwritable
from bus.events import EVENTS, Attempt, Event, Judgment, Weights
from bus.tracing import context as trace

SPECVERSION = "1.0"
CONTENT_TYPE = "application/json"
TYPE_PREFIX = "evolvent."

MAX_VALUE_BYTES = 16 * 1024 * 1024
"""A larger body is neither written nor read. The JSON parser itself refuses to nest deeper
than 200."""

VERDICTS_BYTES = 2 * 1024 * 1024
"""What an attempt leaves free, so that it can be judged: its judgment carries it."""

MIN_VERDICT_BYTES = 512
"""The least that each sample's verdict may take of that."""

_QUOTED = 80
_BY_CE_TYPE = {TYPE_PREFIX + name: model for name, model in EVENTS.items()}
_CONSTANT_HEADERS = {
    model: {
        "ce_specversion": SPECVERSION,
        "ce_type": TYPE_PREFIX + name,
        "ce_dataschema": f"urn:evolvent:schema:{name}:{model.version}",
        "content-type": CONTENT_TYPE,
    }
    for name, model in EVENTS.items()
}


def encode(event: Event) -> tuple[str, dict[str, str], bytes]:
    """Key, headers and value. Raises `Unwritable`, for an attempt also when no judgment of it
    could be written."""
    value = _body(event)
    key = event.key
    headers = _CONSTANT_HEADERS[type(event)].copy()
    headers["ce_id"] = event.id
    headers["ce_source"] = source_of(event.run, event.agent)
    headers["ce_subject"] = key
    headers["ce_time"] = _rfc3339(event.created_at)
    headers["ce_correlationid"] = event.correlation
    if (answered := event.answers) is not None:
        headers["ce_causationid"] = answered
    if (version := _model_version(event)) is not None:
        headers["ce_modelversion"] = str(version)
    trace.inject(event, headers)
    return key, headers, value


def can_be_written(event: Event) -> bool:
    """Whether `encode` takes it."""
    try:
        _body(event)
    except Unwritable:
        return False
    return True


def decode(headers: Mapping[str, str], value: bytes) -> Event:
    """The event of a record, of this schema version or a newer one; raises `Unreadable`."""
    ce_type = headers.get("ce_type")
    if ce_type is None:
        raise Unreadable("the header ce_type is missing")
    model = _BY_CE_TYPE.get(ce_type)
    if model is None:
        raise Unreadable(f"unknown event type {_quoted(ce_type)}")
    if (specversion := headers.get("ce_specversion")) != SPECVERSION:
        raise Unreadable(f"ce_specversion is {_quoted(specversion)}, expected '{SPECVERSION}'")
    content_type = headers.get("content-type", CONTENT_TYPE)
    if content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise Unreadable(f"content-type is {_quoted(content_type)}, expected '{CONTENT_TYPE}'")
    if len(value) > MAX_VALUE_BYTES:
        raise Unreadable(f"{len(value):,} bytes, {MAX_VALUE_BYTES:,} are allowed")
    try:
        event: Event = model.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        raise Unreadable(_reason(error)) from None
    if event.id != headers.get("ce_id"):
        raise Unreadable(f"ce_id is {_quoted(headers.get('ce_id'))}, the body's is '{event.id}'")
    return event


def _body(event: Event) -> bytes:
    try:
        value: bytes = event.__pydantic_serializer__.to_json(event)
    except (ValueError, RecursionError) as error:
        said = ascii(str(error)[:_QUOTED])
        raise Unwritable(f"{event.type()} {event.id} cannot be written as JSON: {said}.") from None
    allowed = MAX_VALUE_BYTES
    if isinstance(event, Attempt):
        allowed -= VERDICTS_BYTES
        if len(event.samples) * MIN_VERDICT_BYTES > VERDICTS_BYTES:
            raise Unwritable(
                f"attempt {event.id} has {len(event.samples):,} samples, "
                f"{VERDICTS_BYTES // MIN_VERDICT_BYTES:,} are allowed: draw fewer."
            )
    if len(value) > allowed:
        raise Unwritable(
            f"{event.type()} {event.id} takes {len(value):,} bytes on the wire, "
            f"{allowed:,} are allowed: draw fewer or shorter samples."
        )
    return value


@lru_cache(maxsize=1024)
def source_of(run: str, agent: str) -> str:
    """Who said something, as the header `ce_source` has it."""
    return f"/{quote(run, safe='')}/{quote(agent, safe='')}"


def _rfc3339(time: datetime) -> str:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _model_version(event: Event) -> int | None:
    """The version that an event is about; for samples the oldest that drew what may be learned."""
    if isinstance(event, Judgment):
        event = event.attempt
    if isinstance(event, Attempt):
        return event.oldest_version
    if isinstance(event, Weights):
        return event.number
    version: int | None = getattr(event, "weights_version", None)
    return version


def _quoted(text: str | None) -> str:
    """A foreign text, short and in ASCII."""
    return "missing" if text is None else ascii(text[:_QUOTED])


def _reason(error: ValidationError) -> str:
    """The first fault without the value, which may be long or not for everybody's eyes."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        return first["msg"]
    where = ".".join(str(part)[:_QUOTED] for part in first["loc"])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{_quoted(where)}: {first['msg'][:200]}{more}"
