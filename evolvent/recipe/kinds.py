"""Which kinds of part a recipe chooses by `type`, and recipes that choose among more of them."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, create_model

from evolvent.recipe.recipe import Recipe

KINDS: dict[str, tuple[str, ...]] = {
    "domain": ("domain",),
    "source": ("source",),
    "sampler": ("sampler",),
    "judge": ("judge", "judges"),
    "filter": ("filter",),
    "update": ("loss",),
    "role": ("roles",),
}
"""The sections of a recipe that name parts of a kind; a plug-in may bring parts of each."""

_LISTS = ("judges", "roles")


def chosen(recipe: Recipe, kind: str) -> list[BaseModel]:
    """The configurations of a kind in a recipe."""
    found: list[BaseModel] = []
    for section in KINDS[kind]:
        value = getattr(recipe, section)
        found += value if section in _LISTS else [value]
    return found


def types_of(kind: str) -> tuple[str, ...]:
    """The types of a kind that come along."""
    return tuple(str(member.model_fields["type"].default) for member in _members(kind))


def recipe_with(more: Mapping[str, Sequence[type[BaseModel]]]) -> type[Recipe]:
    """The recipe whose sections choose among `more` configurations too, by kind."""
    if not any(more.values()):
        return Recipe
    fields: dict[str, Any] = {}
    for kind, configs in more.items():
        if not configs:
            continue
        members = [*_members(kind), *configs]
        choice: Any = reduce(or_, members)
        if len(members) > 1:
            choice = Annotated[choice, Field(discriminator="type")]
        for section in KINDS[kind]:
            whole = tuple[choice, ...] if section in _LISTS else choice
            default = Recipe.model_fields[section].default
            fields[section] = (whole, default)
    model: type[Recipe] = create_model(
        Recipe.__name__, __base__=Recipe, __doc__=Recipe.__doc__, **fields
    )
    model.role_types = tuple(str(one.model_fields["type"].default) for one in more.get("role", ()))
    return model


def _members(kind: str) -> list[type[BaseModel]]:
    if kind == "role":
        return []
    annotation = Recipe.model_fields[KINDS[kind][0]].annotation
    return [member for member in get_args(annotation) or (annotation,) if member is not None]
