"""Which versions are trained again, and by which recipe. Starts nothing and loads no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from bus.events import Weights
from bus.log import Log
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe, load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.replay.otherwise import Settings, otherwise
from evolvent.run.folder import RunFolder

JUDGED = ("judge", "judges", "critic")
_ANY: frozenset[str] = frozenset()
MAY_CHANGE = dict.fromkeys((*JUDGED, "filter", "loss", "optimizer", "schedule", "learner"), _ANY)
"""What of a recipe may be another when a version of the run is gone on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """After version `first` up to `until`; `anew` begins with another version 0."""

    until: int
    first: int = 0
    anew: bool = False


def retrained_by(folder: RunFolder, settings: Settings, versions: Range) -> Recipe:
    """The recipe to train again by. Raises `UsageError`."""
    if not versions.anew:
        return otherwise(folder.recipe(), settings, MAY_CHANGE, "retrain")
    if settings.recipe is not None:
        return load_recipe(settings.recipe, settings.overrides)
    return changed_recipe(folder.recipe(), settings.overrides, to_run=False)


def path_of(log: Log, versions: Range) -> list[Weights]:
    """The versions up to the last one wanted, oldest first. Raises `UsageError`."""
    newest = Versions(log).newest()
    if newest is None or versions.until > newest.number:
        there = "none" if newest is None else f"0 to {newest.number}"
        raise UsageError(f"there is no version {versions.until} to train again: there are {there}")
    path = [one for one in Versions(log).lineage(newest) if one.number <= versions.until][::-1]
    if versions.first not in {one.number for one in path}:
        raise UsageError(f"there is no version {versions.first} to begin with on the log")
    for weights in after(path, versions.first):
        if (source := weights.metrics.get("weights_of_version")) is not None:
            raise UsageError(
                f"version {weights.number} was not learned, it has the weights of version "
                f"{source:.0f} again: begin with --from {weights.number}, or end before it"
            )
    return path


def after(path: Sequence[Weights], first: int) -> Sequence[Weights]:
    """The versions behind number `first`."""
    return [one for one in path if one.number > first]
