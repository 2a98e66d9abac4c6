"""Whether the levels of a run have the problems that it will ask for."""

from collections.abc import Callable
from random import Random
from typing import Any

from agents.domains.dataset.dataset import Dataset
from agents.domains.domain import Domain, Problem
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe

Show = Callable[[str], None]

_MADE = 8


def problems_of(recipe: Recipe, domain: Domain, show: Show) -> list[Problem]:
    """Problems of every family and level, made and held out. Raises `UsageError` where there are
    none, or too few."""
    _check_measured(recipe, domain)
    found: list[Problem] = []
    for family in domain.families:
        for level in domain.levels:
            show(f"looking at problems of {family}, level {level}")
            found += _of_level(recipe, domain, family, level)
    return found


def built(config: Any, parts: Any = None) -> Domain:
    """The domain of a recipe. Raises `UsageError`."""
    try:
        domain: Domain = config.build(parts)
    except Exception as error:  # whatever a plug-in raises
        raise UsageError(f"domain.type = {config.type!r} cannot be built: {_said(error)}") from None
    return domain


def _check_measured(recipe: Recipe, domain: Domain) -> None:
    unknown = sorted(set(recipe.evaluator.levels or ()) - set(domain.levels))
    if unknown:
        raise UsageError(
            f"evaluator.levels: {unknown[0]} is no level of the domain, which has "
            f"{', '.join(map(str, domain.levels))}"
        )


def _of_level(recipe: Recipe, domain: Domain, family: str, level: int) -> list[Problem]:
    measured = "evaluator" not in recipe.run.without and level in (
        recipe.evaluator.levels or domain.levels
    )
    random = Random(f"{recipe.seed}/preflight/{family}/{level}")
    try:
        suite = domain.held_out(family, level, recipe.evaluator.count if measured else 1)
        made = [domain.make(family, level, random) for _ in range(_MADE)]
        longest = domain.longest(family, level) if isinstance(domain, Dataset) else []
        return [*suite, *made, *longest]
    except ValueError as error:
        raise UsageError(f"level {level} of {family}: {error}") from None
    except Exception as error:  # whatever makes the problems raises
        raise UsageError(
            f"level {level} of {family} has no problems, making one fails: {_said(error)}"
        ) from None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
