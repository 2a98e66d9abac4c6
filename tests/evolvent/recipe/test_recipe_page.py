"""docs/recipes.md says of every field what the models say: its name, default and allowed values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agents.guards.config import AnyGuardConfig
from bus.config import KafkaSecurityConfig
from evolvent.recipe.load import shipped
from evolvent.recipe.recipe import Recipe

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"
SIGNS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
KINDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}


def members(field: FieldInfo) -> list[type[BaseModel]]:
    """The configurations that a section may hold; none for a plain field."""
    kind: Any = field.annotation
    if get_origin(kind) is tuple:
        return []
    return [part for part in (kind, *get_args(kind)) if is_model(part)]


def is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def allowed(kind: Any, metadata: list[Any]) -> str:
    if is_model(kind):
        return "table"
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        [info] = parts[1:]
        return allowed(parts[0], info.metadata)
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return allowed(next(part for part in parts if part is not NoneType), metadata)
    if origin is tuple:
        return f"list of {allowed(parts[0], [])}"
    if origin is dict:
        return "table"
    bounds = [
        f"{SIGNS[name]} {value:g}"
        for entry in metadata
        for name, value in vars_of(entry).items()
        if name in SIGNS
    ]
    return " ".join([KINDS[kind], ", ".join(bounds)]).strip()


def vars_of(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in SIGNS if getattr(entry, name, None) is not None}


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if value == "":
        return "none given"
    if isinstance(value, BaseModel):
        assert value == type(value)(), "say what differs"
        return "its own"
    if isinstance(value, tuple) and len(value) > 5 and value == tuple(range(1, 1 + len(value))):
        return f"1 to {len(value)}"
    is_line = isinstance(value, str) and "\n" not in value
    return f"`{value if is_line else json.dumps(value)}`"


def names_part(kind: FieldInfo) -> bool:
    """Whether a `type` says which part it is; elsewhere it is a field like others."""
    return len(get_args(kind.annotation)) == 1


def rows(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    return [
        (f"`{name}`", default(field), allowed(field.annotation, field.metadata))
        for name, field in model.model_fields.items()
        if name != "type" or not names_part(field)
    ]


def expected() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Every heading of the page, and the rows below it."""
    plain = {name: field for name, field in Recipe.model_fields.items() if not members(field)}
    yield (
        "The top",
        [(f"`{n}`", default(f), allowed(f.annotation, f.metadata)) for n, f in plain.items()],
    )
    for name, field in Recipe.model_fields.items():
        place = f"{name}.NAME" if get_origin(field.annotation) is dict else name
        for model in members(field):
            kind = model.model_fields.get("type")
            kind = kind if kind and names_part(kind) else None
            yield (
                f"`[{place}]`" + (f" `type = {json.dumps(kind.default)}`" if kind else ""),
                rows(model),
            )
    for guard in get_args(get_args(AnyGuardConfig)[0]):
        named = json.dumps(guard.model_fields["type"].default)
        yield f"`[[guards]]` `type = {named}`", rows(guard)
    yield "`[bus.security]`", rows(KafkaSecurityConfig)


def written() -> dict[str, list[list[str]]]:
    """The rows of the page's tables by heading."""
    tables: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            tables.setdefault(heading, []).append(cells)
    return tables


@pytest.mark.parametrize(("heading", "fields"), expected())
def test_the_page_lists_every_field_of_a_section(
    heading: str, fields: list[tuple[str, str, str]]
) -> None:
    found = written().get(heading, [])
    assert [tuple(row[:3]) for row in found] == fields, f"docs/recipes.md, {heading}"
    assert all(len(row) == 4 and len(row[3].split()) > 1 for row in found), "say what it means"


def test_the_page_lists_no_section_that_is_not_there() -> None:
    assert set(written()) - {"Recipes"} <= {heading for heading, _ in expected()}


def test_the_page_names_the_default_of_every_choice() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, field in Recipe.model_fields.items():
        if len(members(field)) > 1 and not field.is_required():
            kind = json.dumps(field.default.type)
            assert f"## `[{name}]` `type = {kind}`\n\nThe default." in page


def test_the_page_names_every_shipped_recipe() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [name for name in shipped() if not re.search(rf"`{name}`", page)]
