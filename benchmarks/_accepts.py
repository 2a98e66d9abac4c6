"""Whether a recipe accepts a part: `python -P benchmarks/_accepts.py KIND TYPE` ends with code 1
and the reason if it does not."""

import sys

from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe
from evolvent.roles import NAMES

SECTIONS = {"update": "loss", "transport": "bus"}
"""Where a recipe names a part of a kind, if not in a section of the kind's name."""


def naming(kind: str, type: str) -> str:
    """What a user sets in a recipe to have this part."""
    if kind == "role":
        return f"run.processes={[sorted({*NAMES, type})]}"
    return f"{SECTIONS.get(kind, kind)}.type={type}"


def main() -> int:
    try:
        load_recipe("words", [naming(*sys.argv[1:])])
    except UsageError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
