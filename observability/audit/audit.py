"""Proves from log and checkpoints alone that a run is what it says: nothing lost, nothing twice,
one unbroken chain of versions. Imports nothing that trains.

    folders -> cursors -> ends of the log -> the log -> manifests and files -> cursors again

The order keeps a live run from raising false alarms. All of these only grow, and an outcome is
committed together with the cursor that it moves: what a cursor called done before the ends of the
log were read has its outcome below them, and what has its outcome below them is done when the
cursors are read again. A checkpoint folder seen at the start and not on the log is one that
awaited publication at that moment; newer ones are not looked at.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Weights
from bus.log import HasStrays, Log
from observability.audit.answers import Answers
from observability.audit.duties import COMPLETERS
from observability.audit.facts.chains import Chains
from observability.audit.facts.edge import check_not_back, verify
from observability.audit.facts.epochs import Epochs
from observability.audit.facts.leaving import first_open, snapshot_of
from observability.audit.facts.snapshot import Chain, Snapshot, read, write
from observability.audit.facts.spool import scratch
from observability.audit.findings import Findings, Violation
from observability.audit.learning import Learning
from observability.audit.outcomes import Outcomes
from observability.audit.reading import Stream
from observability.audit.recipes import Digests, Recipes, stored_run
from observability.audit.scan import Show, scan
from observability.audit.scanned import Scanned
from observability.audit.versions import Versions, list_folders
from trainer.checkpoint.manifest import Manifest

__all__ = ["Audit", "Violation", "audit", "outcome"]


class Deep(Protocol):
    """What reads bodies too; it says what it finds itself."""

    def version(self, manifest: Manifest) -> None:
        """The next version of the lineage, oldest first."""
        ...

    def records(self, scanned: Scanned) -> None:
        """After the last version: everything that the scan has seen."""
        ...


DeepOn = Callable[[Log, Findings, Show], Deep]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """`counts` by name, those of one topic or reason behind a slash: `events/tasks`.

    Of more than a thousand violations the first are kept; `counts["violations"]` has them all.
    `since` is how many events an audit before had read, None where all were read now.
    """

    counts: dict[str, int]
    violations: list[Violation]
    since: int | None = None

    @property
    def ok(self) -> bool:
        return not self.violations


def audit(
    log: Log,
    run: Path,
    quick: int | None = None,
    *,
    digests: Digests | None = None,
    deep: DeepOn | None = None,
    show: Show = lambda what, done, whole: None,
    findings: Findings | None = None,
    since: Path | None = None,
    leave: Path | None = None,
) -> Audit:
    """Check every invariant of docs/audit.md on the run in folder `run`, live or at rest.

    `quick` has only the files of so many newest versions read; all else is checked in full.
    `digests` tells recipes apart, `deep` reads bodies; `show` is told how far it is;
    `findings` keep what was found, for whoever looks on.
    `since` is the snapshot of an audit before, and only what came after is read; `leave` is where
    this one leaves a snapshot if it finds nothing. Neither goes with `deep`.
    Raises `BusError` only when the log cannot be read at all, `RefusedSnapshot` for a snapshot that
    is damaged, of another run or ahead of the log, `OSError` where there is no room for what it
    must remember.
    """
    findings = findings or Findings()
    name, snapshot = stored_run(run), None
    if since is not None:
        snapshot = read(since)
        verify(snapshot, since, log, name)
        findings.counts.update(snapshot.counts)
    bodies = None if deep is None else deep(log, findings, show)
    with scratch() as folder:
        look = _Look(
            log=log, run=run, name=name, findings=findings, show=show, folder=folder, since=snapshot
        )
        look.look(quick, digests, bodies, leaves=leave is not None)
        found = outcome(findings)
        if leave is not None and found.ok:
            write(look.snapshot(), leave)
    return replace(found, since=None if snapshot is None else snapshot.num_events)


@dataclass(slots=True, kw_only=True)
class _Look:
    log: Log
    run: Path
    name: str | None
    findings: Findings
    show: Show
    folder: Path
    since: Snapshot | None
    snapshot: Callable[[], Snapshot] = field(init=False)

    def look(
        self, quick: int | None, digests: Digests | None, bodies: Deep | None, *, leaves: bool
    ) -> None:
        log, findings, since = self.log, self.findings, self.since
        on_disk = list_folders(self.run)
        # A group that never subscribed has no cursors: what it owes is pending.
        before = _cursors(log, COMPLETERS.union(log.groups()), findings)
        scanned = scan(log, log.heads(), self.name, findings, self.show, self.folder, since)
        _count_strays(log, findings)
        chain = Chain(head=None, consumed=0, epochs=[]) if since is None else since.chain
        versions = Versions(
            log=log,
            run=self.run,
            on_disk=on_disk,
            scanned=scanned,
            findings=findings,
            show=self.show,
            newest_only=quick,
            head=None if chain.head is None else Weights.model_validate_json(chain.head),
            epochs=Epochs(chain.epochs),
            chains=Chains(chain.others, chain.heads),
        )
        learning = Learning(log, scanned, findings, chain.consumed)
        recipes = Recipes(self.run, findings, scanned.forks)
        for version in versions.walk():
            learning.take(version)
            if version.manifest is not None:
                recipes.take(version.manifest)
                if bodies is not None:
                    bodies.version(version.manifest)
        if digests is not None:
            recipes.finish(scanned.starts, digests)
        after = _cursors(log, {*before, *scanned.groups}, Findings())
        if since is not None:
            check_not_back(since, after, findings)
        outcomes = Outcomes(log, self.run, scanned, before, after, findings, versions.chains)
        outcomes.check(learning.unpublished, keep_open=leaves)
        said, first = None if since is None else since.said, first_open(scanned, before)
        answers = Answers(scanned, before, after, findings, said, first if leaves else None)
        answers.check()
        if bodies is not None:
            bodies.records(scanned)
        self.snapshot = partial(
            snapshot_of,
            log,
            self.name,
            scanned,
            before,
            outcomes,
            answers,
            versions,
            learning,
            findings,
        )


def outcome(findings: Findings) -> Audit:
    """What was found, in order: a damaged or shortened log makes much else look wrong, so that what
    is said first says why."""
    findings.say_gathered()
    violations = sorted(findings.violations, key=lambda violation: violation.code != "I5")
    return Audit(counts=dict(sorted(findings.counts.items())), violations=violations)


def _count_strays(log: Log, findings: Findings) -> None:
    """Where every program can write there is more than the log: the bus has passed it over."""
    if not isinstance(log, HasStrays):
        return
    for stray in log.strays():
        try:
            is_there = log.find(stray.event_id) is not None
        except BusError:
            is_there = True
        kind = "copies" if is_there else "void" if stray.ours else "unread"
        findings.count(f"strays/{kind}")


def _cursors(
    log: Log, groups: Iterable[str], findings: Findings
) -> dict[str, dict[Stream, Cursor]]:
    cursors = {}
    for group in sorted(groups):
        try:
            cursors[group] = log.cursors(group)
        except BusError as error:
            findings.violate("I5", str(error))
    return cursors
