"""What is wrong with a recipe, in one sentence: the field, the value, what is allowed."""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from evolvent.recipe.recipe import Recipe

UNIONS = {
    "domain": None,
    "source": "curriculum",
    "sampler": "single",
    "engine": "local",
    "judge": "exact",
    "judges": None,
    "filter": "all",
    "loss": "nll",
    "guards": None,
    "roles": None,
    "bus": "sqlite",
}
"""Sections that choose one of several parts by `type`, and what they choose by default."""


def explain(error: ValidationError, recipe: type[BaseModel] = Recipe) -> str:
    """The first thing wrong with a `recipe`, in one sentence: the field, the value, what is
    allowed."""
    first = error.errors()[0]
    place, fields = _located(first["loc"], recipe)
    if first["type"] == "extra_forbidden":
        there = f"there are {', '.join(fields)}" if fields else "look at `evolvent recipes --show`"
        return f"there is no field {place}; {there}"
    if first["type"] == "union_tag_not_found":
        return f"{place}.type is missing"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "union_tag_invalid":
        return f"{place}.type = {first['ctx']['tag']!r}: there are {first['ctx']['expected_tags']}"
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    if isinstance(value, dict | list | BaseModel):
        return f"{place}: {message}" if place else message
    return f"{place} = {value!r}: {message}"


def _located(loc: Sequence[int | str], recipe: type[BaseModel]) -> tuple[str, Sequence[str]]:
    """A place as the file has it, and the fields that stand there. Pydantic names the chosen member
    of a union too; the file does not."""
    place: list[str] = []
    fields: dict[str, FieldInfo] = {}
    found: Any = recipe
    for part in loc:
        members = _models(found)
        chosen = [one for one in members if len(members) > 1 and _type_of(one) == part]
        if get_origin(found) in (dict, tuple):
            found = get_args(found)[1 if get_origin(found) is dict else 0]
        elif chosen:
            [found] = chosen
            continue
        else:
            fields = members[0].model_fields if len(members) == 1 else {}
            found = fields[str(part)].annotation if part in fields else None
        place.append(str(part))
    return ".".join(place), tuple(fields)


def _type_of(model: type[BaseModel]) -> Any:
    return model.model_fields["type"].default if "type" in model.model_fields else None


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models of which an annotation is made."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]
