"""In which settings two recipes differ, line by line. Knows no run."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from evolvent.recipe.recipe import Recipe

_SAID_OF_IT = {"name", "description", "paper"}
"""What tells recipes apart for people alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting, as TOML has it, and what it is in each recipe: None where a recipe has no such
    field."""

    setting: str
    first: str | None
    second: str | None


def differences(first: Recipe, second: Recipe) -> list[Difference]:
    """The settings that differ, defaults included, in the order of the first recipe's fields."""
    mine, other = dict(_lines("", first)), dict(_lines("", second))
    return [
        Difference(setting=setting, first=mine.get(setting), second=other.get(setting))
        for setting in dict.fromkeys([*mine, *other])
        if mine.get(setting) != other.get(setting) and setting not in _SAID_OF_IT
    ]


def _lines(place: str, value: Any) -> Iterator[tuple[str, str]]:
    fields = _fields(value)
    if fields is None:
        yield place, json.dumps(_plain(value), ensure_ascii=False)
        return
    for name, each in fields.items():
        yield from _lines(f"{place}.{name}" if place else name, each)


def _fields(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return value if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
