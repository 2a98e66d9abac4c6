"""The state of a run as JSON, and back: the same bytes for the same state. Knows what states are
made of, and no log.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from bus.control import Controls, Told
from bus.events import EVENTS, LevelCount, Plugin
from observability.progress.facts import Dead, Start, Trained, Version
from observability.progress.held_out import HeldOutLevels
from observability.progress.history import History
from observability.progress.known import Known
from observability.progress.moves import Moves
from observability.progress.totals import Totals

_PARTS: tuple[type[BaseModel], ...] = (*EVENTS.values(), LevelCount, Plugin)
_MODELS = {part.__name__: part for part in _PARTS}
_RECORDS: dict[str, Callable[..., Any]] = {
    record.__name__: record for record in (Version, Trained, Start, Dead)
}
_HOLDERS = (Known, Controls, Told, Moves, HeldOutLevels, History, Totals)
"""They are filled in place."""

_TAGS: dict[type, str] = {
    datetime: "time",
    BaseModel: "model",
    deque: "last",
    tuple: "tuple",
    set: "set",
    Mapping: "map",
}
_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "tuple": tuple,
    "set": set,
}

_PACE = {
    Version: ("seconds", "evolved_seconds"),
    Totals: ("seconds", "timed_tokens", "timed_seconds"),
}
"""Where it counts whether a start or a version was read first."""

_GIVEN = {Known: ("counts",), History: ("_rank",)}
"""What whoever fills them has."""


def canonical(form: Any) -> str:
    """The one text of a form."""
    return json.dumps(form, sort_keys=True, separators=(",", ":"))


def form_of(value: Any, *, pace: bool = True) -> Any:
    """`value` as JSON has it; with `pace` False without what depends on the order of reading."""

    def inner(one: Any) -> Any:
        return form_of(one, pace=pace)

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [inner(one) for one in value]
    if isinstance(value, _HOLDERS):
        held = {name: inner(one) for name, one in _attributes(value, pace).items()}
        return held | ({"": _pairs(value, inner)} if isinstance(value, History) else {})
    return {_tag(value): _content(value, inner, pace)}


def _tag(value: Any) -> str:
    return next((tag for kind, tag in _TAGS.items() if isinstance(value, kind)), "record")


def _content(value: Any, inner: Callable[[Any], Any], pace: bool) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case BaseModel():
            # A field that is added to an event later changes no digest while it is at its default.
            said = value.model_dump(mode="json", exclude_defaults=True)
            return [type(value).__name__, said]
        case deque():
            return [[inner(one) for one in value], value.maxlen]
        case tuple():
            return [inner(one) for one in value]
        case set():
            return sorted(value)
        case Mapping():
            return _pairs(value, inner)
    has = {name: inner(one) for name, one in _attributes(value, pace).items()}
    return [type(value).__name__, has]


def fill(held: Any, form: Mapping[str, Any]) -> None:
    """Make a fresh `held` what it was when it had that form. Raises `ValueError`, `TypeError`,
    `LookupError` or `AttributeError` where it never had."""
    names = _attributes(held, pace=True)
    if form.keys() - {""} != names.keys():
        raise ValueError(f"another {type(held).__name__}")
    for name, one in names.items():
        match one:
            case _ if isinstance(one, _HOLDERS):
                fill(one, form[name])
            case Counter():
                setattr(held, name, Counter(value_of(form[name])))
            case _:
                setattr(held, name, value_of(form[name]))
    if isinstance(held, History):
        held.update({key: value_of(one) for key, one in form[""]})


def value_of(form: Any) -> Any:
    """What has that form, of all that does not hold others in place."""
    if isinstance(form, list):
        return [value_of(one) for one in form]
    if not isinstance(form, dict):
        return form
    [(tag, said)] = form.items()
    made: Any
    match tag:
        case "model":
            made = _MODELS[said[0]].model_validate(said[1])
        case "record":
            made = _RECORDS[said[0]](**{name: value_of(one) for name, one in said[1].items()})
        case "last":
            made = deque(map(value_of, said[0]), said[1])
        case "map":
            made = {key: value_of(one) for key, one in said}
        case _:
            made = _SIMPLE[tag](value_of(said))
    return made


def _attributes(value: Any, pace: bool) -> dict[str, Any]:
    without: Iterable[str] = _GIVEN.get(type(value), ())
    if not pace:
        without = (*without, *_PACE.get(type(value), ()))
    names = [one.name for one in fields(value)] if is_dataclass(value) else vars(value)
    return {name: getattr(value, name) for name in names if name not in without}


def _pairs(mapping: Mapping[Any, Any], inner: Callable[[Any], Any]) -> list[list[Any]]:
    return [[key, inner(mapping[key])] for key in sorted(mapping)]
