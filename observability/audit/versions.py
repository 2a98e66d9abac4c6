"""Walks the chain of versions: every `Weights` event against its parent, its manifest and the
files of its checkpoint. Knows no cursor and no tensor.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bus.errors import Unreadable
from bus.events import Weights
from bus.log import Log
from observability.audit.facts.chains import Chains, Head, due_by
from observability.audit.facts.epochs import Epochs
from observability.audit.files import Files
from observability.audit.findings import Findings, Spans
from observability.audit.reading import Stream, readable
from observability.audit.recipes import stored_recipes
from observability.audit.scan import Show
from observability.audit.scanned import Scanned
from observability.audit.thinned import rules_of
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    Consumed,
    DamagedCheckpoint,
    Manifest,
    checkpoint_folders,
    folder_name,
    read_manifest,
)
from trainer.checkpoint.recovery import rests_on

WEIGHTS: Stream = ("weights", 0)
_FOLDER = re.compile(r"v(\d{6,})-e(\d{4,})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the surviving lineage; one without an `offset` is a checkpoint that awaits
    publication. Without a manifest there is only what its event says."""

    weights: Weights
    manifest: Manifest | None
    offset: int | None


def list_folders(run: Path) -> list[tuple[int, int]]:
    """(version, epoch) of every checkpoint folder."""
    matches = [_FOLDER.fullmatch(folder.name) for folder in checkpoint_folders(run)]
    return [(int(match[1]), int(match[2])) for match in matches if match]


@dataclass(slots=True, kw_only=True)
class Versions:
    """The versions up to the end of the log. `on_disk` was listed before that end was read; `head`
    is the last version before the first that is read, then the newest on the log; `epochs` and
    `chains` are those of all up to it."""

    log: Log
    run: Path
    on_disk: list[tuple[int, int]]
    scanned: Scanned
    findings: Findings
    show: Show
    newest_only: int | None = None
    head: Weights | None = None
    epochs: Epochs = field(default_factory=Epochs)
    chains: Chains = field(default_factory=Chains)
    _gone: Spans = field(default_factory=Spans)

    def walk(self) -> Iterator[Version]:
        """Every version in order, each manifest in memory only while it is looked at."""
        head, newest, files = self.head, None, self._files()
        part = self.scanned.parts.get(WEIGHTS)
        start, end = (0, 0) if part is None else (part.start, part.end)
        if head is not None:
            newest = self._read(self._folder(head.number, head.epoch), f"version {head.number}")
        # The scan of the log has already reported what cannot be read.
        for record in readable(self.log, WEIGHTS, end, Findings(), start):
            try:
                event = record.event()
            except Unreadable as error:
                self.findings.violate("I3", f"the version at weights/0/{record.offset}: {error}")
                continue
            if not isinstance(event, Weights):
                self.findings.violate("I3", f"weights/0/{record.offset} is a {event.type()}")
                continue
            self._check_step(head, event)
            self.epochs.add(event.number, event.epoch)
            self.chains.add(event.policy, Head(event.number, event.epoch, event.step))
            self.findings.count("versions")
            deep = self.newest_only is None or record.offset >= end - self.newest_only
            self.show("versions", record.offset + 1, end)
            self.head = head = event
            newest = self._manifest(event, files if deep else None)
            yield Version(weights=event, manifest=newest, offset=record.offset)
        self.findings.count("epochs", self.epochs.num_distinct)
        self.findings.count("checkpoints", len(self.on_disk))
        pending = self._pending(head, files)
        if pending is not None:
            newest = pending
            yield Version(weights=pending.weights, manifest=pending, offset=None)
        self._orphans(head, pending)
        if newest is not None:
            self._state(newest)
            files.check_others(self.chains.heads, newest, self._forked_at)
        self._say_gone()
        files.say_missing()

    def _files(self) -> Files:
        starts = [start.settings for start in self.scanned.starts]
        try:
            rules = rules_of([*starts, *stored_recipes(self.run)])
        except ValueError:
            rules = frozenset()
        every = self.scanned.settings("evaluator", "every")
        return Files(self.run, rules, every, self.findings)

    def _say_gone(self) -> None:
        if not self._gone.total:
            return
        several = self._gone.total > 1
        what = (
            f"the checkpoints of {self._gone.total} versions are"
            if several
            else ("a checkpoint is")
        )
        self.findings.violate(
            "I3",
            f"{what} gone, folder and manifest, and no rule of the run took "
            f"{'them' if several else 'it'}: version{'s' * several} {self._gone}; what "
            "was learned from there is known from the log alone",
        )

    def _check_step(self, parent: Weights | None, event: Weights) -> None:
        """One link of the chain; `parent` is the version before it on the log."""
        name, findings = f"version {event.number} ({event.id})", self.findings
        expected = 0 if parent is None else parent.number + 1
        if event.number != expected:
            findings.violate("I3", f"{name} stands where version {expected} should")
        wanted = (None, None) if parent is None else (parent.number, parent.id)
        if (event.parent, event.parent_id) != wanted:
            findings.violate(
                "I3",
                f"{name} names version {event.parent} ({event.parent_id}) its parent, "
                f"but follows version {wanted[0]} ({wanted[1]})",
            )
        begins = {fork.first_version for fork in self.scanned.forks}
        alike = parent is None or (event.run, event.seed) == (parent.run, parent.seed)
        if parent is not None and not alike and event.number not in begins:
            findings.violate(
                "I3",
                f"{name} is of run {event.run} and seed {event.seed}, its parent of run "
                f"{parent.run} and seed {parent.seed}",
            )
        self._check_policy(event, name)
        if parent is not None and event.epoch < parent.epoch:
            findings.violate(
                "I4",
                f"{name} was written under epoch {event.epoch}, after epoch {parent.epoch} "
                f"had taken over by version {parent.number}",
            )

    def _check_policy(self, event: Weights, name: str) -> None:
        """One link of the chain of the policy that it moves."""
        before, violate = self.chains.heads.get(event.policy), self.findings.violate
        if before is not None and event.step < before.step:
            whose = "its parent" if before.number == event.parent else f"version {before.number}"
            violate("I3", f"{name} is at step {event.step}, {whose} at {before.step}")
        settings = self.scanned.recipe(event.number)
        due = due_by(settings, event.number) if settings else None
        if due is not None and event.policy != due:
            violate("I3", f"{name} moved the policy {event.policy!r}, the recipe says {due!r}")

    def _manifest(self, event: Weights, files: Files | None) -> Manifest | None:
        """The manifest of a published version, checked against the event."""
        name = f"version {event.number} ({event.id})"
        folder = self._folder(event.number, event.epoch)
        if event.location != f"{CHECKPOINTS}/{folder.name}":
            self.findings.violate("I3", f"{name} says it lies at {event.location!r}")
        if not os.path.lexists(folder):
            self._gone.add(event.number)
            return None
        manifest = self._read(folder, name)
        if manifest is None:
            return None
        if manifest.weights.model_dump_json() != event.model_dump_json():
            self.findings.violate("I3", f"{name} on the log is not the one in {folder.name}")
        self._check_manifest(manifest, name)
        if files is not None:
            files.check(folder, manifest)
        return manifest

    def _read(self, folder: Path, name: str) -> Manifest | None:
        if not folder.resolve().is_relative_to(self.run.resolve()):
            self.findings.violate("I3", f"{name} lies outside of the run, in {folder.resolve()}")
            return None
        try:
            return read_manifest(folder)
        except (DamagedCheckpoint, OSError) as error:
            self.findings.violate("I3", f"{name} has no manifest: {error}")
            return None

    def _check_manifest(self, manifest: Manifest, name: str) -> None:
        """What the event says of the records it consumed, against the manifest's list of them."""
        event, violate = manifest.weights, self.findings.violate
        if event.files != manifest.files:
            violate("I3", f"{name} lists other files than its manifest")
        if (event.trained, event.dropped) != (len(manifest.trained), len(manifest.dropped)):
            violate(
                "I5",
                f"{name} says {event.trained} trained and {event.dropped} dropped, its manifest "
                f"{len(manifest.trained)} and {len(manifest.dropped)}",
            )
        if event.positions != _ranges(manifest.consumed):
            violate("I5", f"{name} names other positions than its manifest")

    def _pending(self, head: Weights | None, files: Files) -> Manifest | None:
        """The checkpoint that follows the head and was not published when the audit began."""
        following = 0 if head is None else head.number + 1
        epochs = [epoch for version, epoch in self.on_disk if version == following]
        if not epochs:
            return None
        folder = self._folder(following, max(epochs))
        name = f"the unpublished checkpoint {folder.name}"
        manifest = self._read(folder, name)
        if manifest is None:
            return None
        if (manifest.version, manifest.weights.epoch) != (following, max(epochs)):
            self.findings.violate("I3", f"{name} says it is {manifest.folder_name}")
            return None
        if not rests_on(self.log, manifest):
            # A power cut took what it was made of: the next trainer sets it aside.
            return None
        self.findings.count("unpublished")
        self._check_step(head, manifest.weights)
        self._check_manifest(manifest, name)
        files.check(folder, manifest)
        return manifest

    def _orphans(self, head: Weights | None, pending: Manifest | None) -> None:
        """Folders beside the chain: what fenced trainers left, and never of a newer epoch."""
        last = -1 if head is None else head.number
        following = None if pending is None else (pending.version, pending.weights.epoch)
        newest = max((version for version, _ in self.on_disk), default=-1)
        if newest > last + 1:
            self.findings.violate(
                "I5", f"the log went back from version {newest}, which has a checkpoint, to {last}"
            )
        for version, epoch in self.on_disk:
            published = self.epochs.of(version)
            if published == epoch or (version, epoch) == following:
                continue
            self.findings.count("orphans")
            if published is not None and epoch > published:
                self.findings.violate(
                    "I4",
                    f"checkpoint {folder_name(version, epoch)} is of a newer epoch than the "
                    f"published version {version}, of epoch {published}",
                )

    def _state(self, newest: Manifest) -> None:
        """Training must be able to go on from the newest checkpoint."""
        folder = self._folder(newest.version, newest.weights.epoch)
        missing = [name for name in newest.state if not (folder / name).is_file()]
        # A live trainer deletes the state of a version once others have followed it.
        overtaken = any(version > newest.version for version, _ in list_folders(self.run))
        if missing and newest.version == self._forked_at:
            self.findings.count("fresh_optimisers")
        elif (missing or not newest.state) and not overtaken:
            what = ", ".join(missing) or "its state"
            self.findings.violate("I3", f"{folder.name} lacks {what}, which training resumes from")

    @property
    def _forked_at(self) -> int | None:
        """The version that the run begins with, where it is a fork."""
        return self.scanned.forks[-1].parent.version if self.scanned.forks else None

    def _folder(self, number: int, epoch: int) -> Path:
        return self.run / CHECKPOINTS / folder_name(number, epoch)


def _ranges(consumed: tuple[Consumed, ...]) -> dict[str, tuple[tuple[int, int], ...]]:
    """The offsets of `consumed` as half-open ranges by "topic/partition"."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for topic, partition, offset in sorted((c.topic, c.partition, c.offset) for c in consumed):
        runs = ranges.setdefault(f"{topic}/{partition}", [])
        if runs and runs[-1][1] == offset:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return {name: tuple(runs) for name, runs in ranges.items()}
