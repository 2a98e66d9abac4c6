"""That a run was learned by one recipe: that of its folder, of every start on the log and of every
manifest. Knows no recipe: what takes their digests is handed in.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observability.audit.findings import Findings, Spans
from observability.audit.scanned import Start
from trainer.checkpoint.manifest import Manifest

RECIPE = "recipe.json"

Digests = Callable[[Mapping[str, Any]], tuple[str, frozenset[str]]]
"""Of a stored recipe: its digest, and what manifests of earlier versions call it. Raises
`ValueError` where its parts are not here."""


@dataclass(slots=True)
class Recipes:
    """`versions` by the digest in their manifests."""

    run: Path
    findings: Findings
    versions: dict[str, Spans] = field(default_factory=dict)

    def take(self, manifest: Manifest) -> None:
        self.versions.setdefault(manifest.recipe, Spans()).add(manifest.version)

    def finish(self, starts: list[Start], digests: Digests) -> None:
        try:
            [stored] = stored_recipes(self.run)
            digest, former = digests(stored)
        except ValueError:
            # Whoever reads the folder says so; its plug-ins may be elsewhere.
            self.findings.count("recipes_unread")
            return
        known = {digest, *former}
        for start in starts:
            try:
                started, formerly = digests(start.settings)
            except ValueError:
                self.findings.count("recipes_unread")
                continue
            if started != digest:
                self.findings.violate(
                    "I9",
                    f"{RECIPE} is not the recipe that control/0/{start.offset} started the run "
                    f"with: {_first_difference(start.settings, stored)}",
                )
            known |= {started, *formerly}
        for other, versions in self.versions.items():
            several = versions.total > 1
            if other not in known:
                self.findings.violate(
                    "I9",
                    f"the manifest{'s' * several} of version{'s' * several}"
                    f" {versions} name{'s' * (not several)} another recipe "
                    f"({other[:12]}) than {RECIPE} and the starts on the log",
                )


def stored_run(run: Path) -> str | None:
    """What the folder says that the run is called in its events."""
    try:
        found = json.loads((run / RECIPE).read_bytes()).get("run_id")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def stored_recipes(run: Path) -> list[Mapping[str, Any]]:
    """What the folder says of the recipe, where it says anything."""
    try:
        found = json.loads((run / RECIPE).read_bytes())["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [found] if isinstance(found, dict) else []


def _first_difference(mine: Any, theirs: Any, place: str = "") -> str:
    """The first field in which two recipes differ, in words."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name) and name not in ("run", "bus"):
                return _first_difference(
                    mine.get(name), theirs.get(name), f"{place}.{name}" if place else name
                )
    return f"{place} was {json.dumps(mine)[:60]}, is {json.dumps(theirs)[:60]}"
