"""What is wrong with a recipe, in one sentence: the field, the value, what is allowed."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

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
    "roles": None,
    "bus": "sqlite",
}
"""Sections that choose one of several parts by `type`, and what they choose by default."""

_LISTS = ("judges", "roles")


def explain(error: ValidationError) -> str:
    """The first thing wrong, in one sentence: the field, the value, what is allowed."""
    first = error.errors()[0]
    loc = first["loc"]
    if len(loc) > 1 and loc[0] in UNIONS:
        # Pydantic names the chosen member of a union too; the file does not.
        listed = 2 if loc[0] in _LISTS else 1
        loc = (*loc[:listed], *loc[listed + 1 :])
    elif loc[:1] == ("policies",):
        loc = (*loc[:3], *loc[4:])
    place = ".".join(str(part) for part in loc)
    if first["type"] == "extra_forbidden":
        return f"there is no field {place}; {_neighbours(first['loc'])}"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "union_tag_invalid":
        return f"{place}.type = {first['ctx']['tag']!r}: there are {first['ctx']['expected_tags']}"
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    if isinstance(value, dict | list | BaseModel):
        return f"{place}: {message}" if place else message
    return f"{place} = {value!r}: {message}"


def _neighbours(loc: tuple[int | str, ...]) -> str:
    """The fields that stand where an unknown one was found."""
    model: Any = Recipe
    for part in loc[:-1]:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[str(part)].annotation
            continue
        for member in _models(model):
            tag = member.model_fields.get("type")
            if get_origin(model) is dict or (tag is not None and tag.default == part):
                model = member
    allowed = getattr(model, "model_fields", None)
    return f"there are {', '.join(allowed)}" if allowed else "look at `evolvent recipes --show`"


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models of which an annotation is made."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]
