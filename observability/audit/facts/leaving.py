"""Leaves a snapshot of an audit that found nothing. Changes nothing in the run but that file."""

from bus.cursor import Cursor
from bus.groups import name_of
from bus.log import HasOrder, Log
from observability.audit import duties
from observability.audit.answers import WEIGHTS, Answers, Cursors
from observability.audit.facts.snapshot import (
    Chain,
    Done,
    Open,
    Said,
    Snapshot,
)
from observability.audit.findings import Findings
from observability.audit.headers import seconds_of, version_of
from observability.audit.learning import Learning
from observability.audit.outcomes import Outcomes
from observability.audit.scanned import Part, Scanned, identity_of
from observability.audit.versions import Versions

_OF_NOW = ("pending", "strays", "epochs", "checkpoints", "orphans", "unpublished", "recipes_unread")
"""Counts of what is there, not of what was read."""


def snapshot_of(
    log: Log,
    run: str | None,
    scanned: Scanned,
    before: Cursors,
    outcomes: Outcomes,
    answers: Answers,
    versions: Versions,
    learning: Learning,
    findings: Findings,
) -> Snapshot:
    """After an audit without findings."""
    open_records = {
        name_of(stream): [_open(log, scanned, scanned.parts[stream], offset) for offset in offsets]
        for stream, offsets in outcomes.open.items()
    }
    first = first_open(scanned, before)
    weights = scanned.parts.get(WEIGHTS)
    if weights is not None:
        found = [_open(log, scanned, weights, offset) for offset in range(first, weights.end)]
        open_records[name_of(WEIGHTS)] = found
    head = versions.head
    return Snapshot(
        run=run,
        edges={name_of(stream): edge for stream, edge in scanned.edges.items()},
        open=open_records,
        done={
            group: {
                name_of(stream): Done(base=cursor.base, runs=list(cursor.runs))
                for stream, cursor in cursors.items()
            }
            for group, cursors in before.items()
        },
        chain=Chain(
            head=None if head is None else head.model_dump_json(),
            consumed=learning.published_consumed,
            epochs=versions.epochs.runs,
            others=versions.chains.others,
            heads=dict(versions.chains.heads),
        ),
        said=Said(
            once=answers.once.stored(),
            granted=answers.granted,
            states=answers.states,
            state=answers.state,
        ),
        starts=[(start.offset, dict(start.settings)) for start in scanned.starts],
        asked=[
            (offset, number)
            for offset, number in scanned.asked
            if not _cursor(before, duties.ANSWERS_SOME, ("control", 0)).is_done(offset)
        ],
        counts={
            name: number
            for name, number in findings.counts.items()
            if number and name.partition("/")[0] not in _OF_NOW
        },
    )


def first_open(scanned: Scanned, before: Cursors) -> int:
    """The first version of which somebody may still owe an answer; the newest is always one."""
    weights = scanned.parts.get(WEIGHTS)
    owing = (duties.ANSWERS_ALL, duties.ANSWERS_SOME)
    found = [_cursor(before, group, WEIGHTS).first_open(0) for group in owing]
    return max(0, min([*found, 0 if weights is None else weights.end - 1]))


def _cursor(cursors: Cursors, group: str, stream: tuple[str, int]) -> Cursor:
    return cursors.get(group, {}).get(stream, Cursor())


def _open(log: Log, scanned: Scanned, part: Part, offset: int) -> Open:
    [record] = log.read(*part.stream, offset, offset + 1)
    commit = 0
    if isinstance(log, HasOrder) and not scanned.edges[part.stream].in_one_piece:
        commit = next(iter(log.commits(*part.stream, offset, offset + 1)), 0)
    event_id = record.event_id
    return Open(
        offset=offset,
        id=event_id if identity_of(event_id) is not None else "",
        seconds=seconds_of(record),
        commit=commit,
        version=version_of(record),
    )
