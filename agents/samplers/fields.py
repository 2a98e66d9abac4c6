"""Texts in which fields of a task stand, such as `{prompt}` or what it carries as metadata."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

from agents.domains.domain import Problem
from bus.runner import Rejected


class NoField(Rejected):
    """A task lacks what a text is made of."""


def names_in(text: str) -> set[str]:
    """The fields that a text names. Raises `ValueError`."""
    names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    if not all(name.isidentifier() for name in names):
        raise ValueError("only fields of a task may be named in it, such as {prompt}")
    return names


def written(text: str, place: str, problem: Problem, more: Mapping[str, Any]) -> str:
    """`text`, which the field `place` of a recipe holds, with the metadata of a problem and `more`
    in it. Raises `NoField`."""
    fields = {**problem.metadata, **more}
    try:
        return text.format_map(fields)
    except KeyError as missing:
        raise NoField(
            f"{place} names {missing}, which a task of {problem.family} does not have: "
            f"there are {', '.join(sorted(fields))}"
        ) from None
