"""The digests of a recipe as it is stored in a folder or on a log: today's, and those that
manifests of earlier versions may have."""

from collections.abc import Mapping
from typing import Any

from evolvent.plugins import installed
from evolvent.recipe.digest import former_digests


def digests_of(settings: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Raises `ValueError` where the recipe, or a plug-in that it needs, cannot be read."""
    recipe = installed().recipe.model_validate(settings)
    return recipe.digest, former_digests(settings)
