"""Which data a recipe means: what its paths hold when it is read, by sha256. Knows no row."""

from agents.domains.dataset.dataset import DatasetConfig
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe


def pinned(recipe: Recipe) -> Recipe:
    """With the sha256 of its data, and paths that hold in any folder. Raises `UsageError` where
    the data cannot be read."""
    if not isinstance(domain := recipe.domain, DatasetConfig):
        return recipe
    try:
        return recipe.model_copy(update={"domain": domain.pinned()})
    except ValueError as error:
        raise UsageError(f"domain.path: {error}") from None


def check_same(stored: Recipe, wanted: Recipe, run: str) -> None:
    """Raises `UsageError` where nothing but the data of the run in `run` is another one."""
    mine, theirs = stored.domain, wanted.domain
    if not isinstance(mine, DatasetConfig) or not isinstance(theirs, DatasetConfig):
        return
    if mine.sha256 == theirs.sha256:
        return
    said = theirs.model_copy(update={"sha256": mine.sha256})
    if stored.digest == wanted.model_copy(update={"domain": said}).digest:
        raise UsageError(
            f"{theirs.path} is not the data that {run} was started with: its sha256 is "
            f"{theirs.sha256[:12]}…, not {mine.sha256[:12]}…; restore it, or choose another --dir"
        )
