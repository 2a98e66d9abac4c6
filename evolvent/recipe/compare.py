"""In which settings two recipes differ, line by line: where a part is another one, that is one line
with all that each says of it. Knows no run."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from evolvent.recipe.recipe import Recipe

_SAID_OF_IT = {"name", "description", "family", "paper"}
"""What tells recipes apart for people alone."""

GROUND = frozenset(
    {"seed", "run", "domain", "model", "warmup", "engine", "evaluator", "checkpoints", "disk"}
    | {"bus", "retention"}
)
"""Sections that are no part of a method: what is asked of which model, for how long, and how that
is measured and kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting and what it is in each recipe, as `--set` takes it: None where a recipe has no
    such field. `is_ground` where it is no part of the method."""

    setting: str
    first: str | None
    second: str | None
    is_ground: bool


def differences(first: Recipe, second: Recipe) -> list[Difference]:
    """The settings that differ, defaults included: those of the method, then those of the ground,
    each in the order of the fields."""
    found = [
        Difference(setting=place, first=mine, second=theirs, is_ground=name in GROUND)
        for name in Recipe.model_fields
        if name not in _SAID_OF_IT
        for place, mine, theirs in _lines(name, getattr(first, name), getattr(second, name))
    ]
    return sorted(found, key=lambda one: one.is_ground)


def _lines(place: str, mine: Any, theirs: Any) -> Iterator[tuple[str, str | None, str | None]]:
    ours, others = _fields(mine), _fields(theirs)
    if mine == theirs:
        return
    if ours is None or others is None or type(mine) is not type(theirs):
        yield place, _written(mine), _written(theirs)
        return
    for name in dict.fromkeys([*ours, *others]):
        if name in ours and name in others:
            yield from _lines(f"{place}.{name}", ours[name], others[name])
        else:
            first, second = (
                _written(each[name]) if name in each else None for each in (ours, others)
            )
            yield f"{place}.{name}", first, second


def _fields(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return value if isinstance(value, Mapping) else None


def _written(value: Any) -> str:
    """As TOML has it, a part by its type and what differs from the defaults; None is `null`."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, BaseModel):
        value = {
            name: getattr(value, name)
            for name, field in type(value).model_fields.items()
            if name == "type"
            or field.is_required()
            or getattr(value, name) != field.get_default(call_default_factory=True)
        }
    if isinstance(value, Mapping):
        fields = ", ".join(f"{_key(name)} = {_written(each)}" for name, each in value.items())
        return f"{{ {fields} }}" if fields else "{}"
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name)
