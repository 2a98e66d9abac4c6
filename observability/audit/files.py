"""The files of a version against the digests in its manifest; what was thinned out by rule is told
from what is lost. Knows no event.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from observability.audit.facts.chains import Head
from observability.audit.findings import Findings, spans_of
from observability.audit.thinned import Rule, is_due, rule_of
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    THINNED,
    DamagedCheckpoint,
    Manifest,
    checkpoint_folders,
    folder_name,
    is_thinned,
    read_manifest,
    sha256_of,
    thinned_files,
)

_REMEMBERED = 4096
"""Files whose digests are in memory, those that were met last."""


class Files:
    """Of the versions of the run in folder `run`, one after another. `rules` are those that its
    recipes ever had (none where nothing says it), by one of which every so many versions are
    measured."""

    def __init__(
        self,
        run: Path,
        rules: frozenset[Rule],
        measured_every: Sequence[int | None],
        findings: Findings,
    ) -> None:
        self._rules = rules
        self._measured_every = measured_every
        self._run = run
        self._findings = findings
        self._digests: dict[tuple[int, int, int, int], str] = {}
        self._missing: dict[str, list[int]] = {}

    def check(self, folder: Path, manifest: Manifest) -> None:
        for name, digest in manifest.files.items():
            self._check(folder, name, digest, manifest.version)
        for name, digest in manifest.state.items():
            if (folder / name).is_file():
                self._check(folder, name, digest, manifest.version)
        if is_thinned(folder):
            self._findings.count("thinned")
            self._check_rule(folder, manifest.version)

    def check_others(
        self, heads: Mapping[str, Head], newest: Manifest, forked_at: int | None
    ) -> None:
        """Training must be able to go on from the `heads` of the policies that the `newest` version
        did not move, unless that is how a fork began."""
        for policy, head in heads.items():
            folder = self._run / CHECKPOINTS / folder_name(head.number, head.epoch)
            if policy == newest.weights.policy or (folder / "state").is_dir():
                continue
            if forked_at is not None and head.number <= forked_at:
                self._findings.count("fresh_optimisers")
                continue
            # A live trainer deletes the state of a version once others have followed it.
            if not any(_moves(one, policy, head.number) for one in checkpoint_folders(self._run)):
                self._findings.violate(
                    "I3", f"{folder.name} lacks its state, which {policy!r} goes on learning from"
                )

    def say_missing(self) -> None:
        """Versions that lack the same files are one finding."""
        alike: dict[tuple[int, ...], list[str]] = {}
        for name, versions in self._missing.items():
            alike.setdefault(tuple(versions), []).append(name)
        for numbers, names in alike.items():
            where = f"of {len(numbers)} versions, {spans_of(list(numbers))},"
            if len(numbers) == 1:
                where = f"of version {numbers[0]}"
            some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            self._findings.violate(
                "I3",
                f"{some} {where} {'are' if len(names) > 1 else 'is'} missing, and no rule of the "
                "run took them",
            )

    def _check(self, folder: Path, name: str, digest: str, version: int) -> None:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            self._findings.violate("I3", f"{folder.name} names {name!r}, outside of its folder")
            return
        try:
            found = self._digest(path)
        except OSError:
            # Training state may be deleted while it is read; the newest is looked at again.
            if not name.startswith("state/"):
                self._lacks(folder, name, version)
            return
        self._findings.count("files_checked")
        if found != digest:
            self._findings.violate(
                "I3", f"{path.relative_to(self._run)} is damaged: its sha256 is not the manifest's"
            )

    def _lacks(self, folder: Path, name: str, version: int) -> None:
        """Asked afterwards: a live trainer thins a version out while it is looked at."""
        try:
            if name not in thinned_files(folder):
                self._missing.setdefault(name, []).append(version)
        except DamagedCheckpoint as error:
            self._findings.violate("I3", str(error))

    def _check_rule(self, folder: Path, version: int) -> None:
        try:
            said = json.loads((folder / THINNED).read_bytes())["rule"]
            rule, newest = rule_of(said), int(said["newest"])
        except (OSError, ValueError, TypeError, KeyError):
            self._findings.violate("I3", f"{folder.name}/{THINNED} names no rule")
            return
        if self._rules and rule not in self._rules:
            self._gather("by a rule that no recipe of the run has", version)
        elif not any(is_due(version, newest, rule, every) for every in self._measured_every):
            self._gather("against the rule that is named there", version)

    def _gather(self, why: str, version: int) -> None:
        self._findings.gather(
            "I3",
            f"version {{example}} is thinned out {why}",
            f"{{number}} versions are thinned out {why}: {{examples}}",
            str(version),
        )

    def _digest(self, path: Path) -> str:
        """Versions share unchanged files by hard links: those are read once."""
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        digest = self._digests.pop(key, None) or sha256_of(path)
        self._digests[key] = digest
        if len(self._digests) > _REMEMBERED:
            del self._digests[next(iter(self._digests))]
        return digest


def _moves(folder: Path, policy: str, after: int) -> bool:
    """Whether a later version moved a policy."""
    try:
        found = read_manifest(folder)
    except (DamagedCheckpoint, OSError):
        return False
    return found.version > after and found.weights.policy == policy
