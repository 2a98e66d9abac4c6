"""What a recipe says as it is stored in a folder or on a log: its digests, today's and those that
manifests of earlier versions may have, and how its answers are voted on."""

from collections.abc import Mapping
from typing import Any

from evolvent.plugins import installed
from evolvent.recipe.digest import former_digests


def digests_of(settings: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Raises `ValueError` where the recipe, or a plug-in that it needs, cannot be read."""
    recipe = installed().recipe.model_validate(settings)
    return recipe.digest, former_digests(settings)


def voted_behind(settings: Mapping[str, Any]) -> str:
    """As `Recipe.voted_behind`; needs none of its plug-ins."""
    judges = settings.get("judges") or [settings.get("judge") or {}]
    return next((str(one["behind"]) for one in judges if one.get("behind")), "")
