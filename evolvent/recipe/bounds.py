"""Which numbers a recipe may hold: what logs, clocks and generators can carry, and what of a run is
held at once. Knows no part but by the names of its fields."""

from collections.abc import Iterator

from pydantic import BaseModel

from evolvent.recipe.recipe import Recipe

SEED = 2**63
COUNT = 2**31 - 1
AT_ONCE = 1_000_000
SIZE = 1e9
TEMPERATURE = (0.001, 1000.0)

_HELD_AT_ONCE = frozenset(
    {"size", "samples", "batch", "count", "held_out_per_level", "replay_capacity", "max_rows"}
    | {"capacity"}
    | {"fresh_rows", "replay_rows", "warmup_rows", "proposal_rows", "anchor_rows", "role_rows"}
)
"""Fields that say how much is in memory at one time."""


def check(recipe: Recipe) -> None:
    """Raises `ValueError` for the first number that no run could work with, and its range."""
    for place, value in _numbers(recipe):
        low, high = _range(place, value)
        if not low <= value <= high:
            raise ValueError(f"{place} = {value}: allowed is {_said(low)} to {_said(high)}")
    if (tasks := (1 + recipe.proposer.ahead) * recipe.trainer.size) > AT_ONCE:
        raise ValueError(
            f"trainer.size = {recipe.trainer.size} with proposer.ahead = {recipe.proposer.ahead}: "
            f"{tasks:,} tasks would be open at a time, {AT_ONCE:,} are allowed"
        )


def _range(place: str, value: float) -> tuple[float, float]:
    name = place.rpartition(".")[2]
    if place == "seed":
        return -SEED, SEED - 1
    if name == "temperature" and value != 0:
        return TEMPERATURE
    if isinstance(value, float):
        return -SIZE, SIZE
    return -COUNT, AT_ONCE if name in _HELD_AT_ONCE else COUNT


def _numbers(section: BaseModel, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a field, by its place. Tables that a part hands on as they are, such as the
    parameters of a dataset, are its own matter."""
    for name in type(section).model_fields:
        found = getattr(section, name)
        values = found.items() if isinstance(found, dict) else [("", found)]
        for key, value in values:
            here = ".".join(part for part in (place, name, str(key)) if part)
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, BaseModel):
                    yield from _numbers(each, here)
                elif isinstance(each, int | float) and not isinstance(each, bool) and not key:
                    yield here, each


def _said(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
