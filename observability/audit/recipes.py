"""That a run was learned by one recipe: that of its folder, of every start on the log and of every
manifest; and so what each of its parents has made, where it is a fork. Knows no recipe: what takes
their digests is handed in.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observability.audit.findings import Findings, Spans
from observability.audit.scanned import Start
from observability.replay.forks import Fork
from trainer.checkpoint.manifest import Manifest

RECIPE = "recipe.json"

Digests = Callable[[Mapping[str, Any]], tuple[str, frozenset[str]]]
"""Of a stored recipe: its digest, and what manifests of earlier versions call it. Raises
`ValueError` where its parts are not here."""


@dataclass(slots=True)
class Recipes:
    """`versions` by how many of the `forks` they come after, and by the digest in their
    manifests."""

    run: Path
    findings: Findings
    forks: Sequence[Fork] = ()
    versions: dict[tuple[int, str], Spans] = field(default_factory=dict)

    def take(self, manifest: Manifest) -> None:
        after = sum(fork.first_version <= manifest.version for fork in self.forks)
        self.versions.setdefault((after, manifest.recipe), Spans()).add(manifest.version)

    def finish(self, starts: list[Start], digests: Digests) -> None:
        try:
            [stored] = stored_recipes(self.run)
            digest, former = digests(stored)
        except ValueError:
            # Whoever reads the folder says so; its plug-ins may be elsewhere.
            self.findings.count("recipes_unread")
            return
        known: dict[int, set[str]] = {len(self.forks): {digest, *former}}
        wanted: dict[int, tuple[str, Mapping[str, Any], str]] = {
            len(self.forks): (digest, stored, RECIPE)
        }
        for start in starts:
            after = sum(fork.offset <= start.offset for fork in self.forks)
            try:
                started, formerly = digests(start.settings)
            except ValueError:
                self.findings.count("recipes_unread")
                continue
            place = f"control/0/{start.offset}"
            was, settings, said = wanted.setdefault(after, (started, start.settings, place))
            if started != was:
                self.findings.violate(
                    "I9",
                    f"{said} is not the recipe that {place} started the run with: "
                    f"{_first_difference(start.settings, settings)}",
                )
            known.setdefault(after, set()).update({started, *formerly})
        self._check_manifests(known)

    def _check_manifests(self, known: Mapping[int, set[str]]) -> None:
        for (after, other), versions in self.versions.items():
            several = versions.total > 1
            if after in known and other not in known[after]:
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
