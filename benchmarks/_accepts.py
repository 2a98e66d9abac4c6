"""Whether a recipe accepts a part: `python -P benchmarks/_accepts.py KIND TYPE` tries the type
wherever a recipe names one, and ends with code 1 and the reason if it fits nowhere.
"""

import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from evolvent.recipe.recipe import Recipe, load_recipe

Path = tuple[str | int, ...]

UNKNOWN = "no-such-part"
NAMES = ("union_tag_invalid", "literal_error", "value_error")
"""The errors of pydantic, and of a recipe's own rules, that a wrong name leads to."""


def with_part(settings: dict[str, Any], kind: str, type: str) -> Iterator[dict[str, Any]]:
    """The settings of a recipe with this part in each place where it might belong."""
    if kind == "role":
        changed = deepcopy(settings)
        roles = {role for process in load_recipe(settings["name"]).processes for role in process}
        changed["run"]["processes"] = [sorted({*roles, type})]
        yield changed
        return
    for path in places(settings):
        changed = deepcopy(settings)
        inner: Any = changed
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = {"type": type}
        yield changed


def places(settings: Any, path: Path = ()) -> Iterator[Path]:
    """Where a part is named, or nothing is said yet."""
    if path and (settings is None or (isinstance(settings, dict) and "type" in settings)):
        yield path
    if isinstance(settings, dict | list):
        inner = settings.items() if isinstance(settings, dict) else enumerate(settings)
        for name, value in inner:
            yield from places(value, (*path, name))


def reasons_against(settings: dict[str, Any]) -> list[str]:
    """Why this is no recipe, as far as it is about a part's name; empty for a recipe."""
    try:
        Recipe.model_validate(settings)
    except ValidationError as error:
        said = {one["msg"]: one["type"] for one in error.errors()}
        names = [words for words, type in said.items() if type in NAMES]
        return names or ["it fits nowhere"]
    return []


def main() -> int:
    kind, type = sys.argv[1:]
    settings = load_recipe("words").model_dump(mode="json")
    reasons: list[str] = []
    tries = zip(with_part(settings, kind, type), with_part(settings, kind, UNKNOWN), strict=True)
    for changed, control in tries:
        # Where anything goes, nothing is known.
        if against := reasons_against(changed):
            reasons += against
        elif reasons_against(control):
            return 0
    print(f"no recipe accepts {kind} {type!r}: {'; '.join(dict.fromkeys(reasons))}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
