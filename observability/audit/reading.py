"""Reads a partition in full, damaged or not: what cannot be read is a violation, and does not hide
its neighbours. Knows no event.
"""

from collections.abc import Iterator

from bus.errors import BusError
from bus.log import Log
from bus.records import Record
from observability.audit.findings import Findings

Stream = tuple[str, int]
"""A (topic, partition)."""

_WINDOW = 256


def readable(
    log: Log, stream: Stream, end: int, findings: Findings, start: int = 0
) -> Iterator[Record]:
    """The records [start, end) of a partition; those that are missing or damaged are violations."""
    expected = start
    while expected < end:
        try:
            for record in log.read(*stream, expected, end):
                if record.offset != expected:
                    break
                expected += 1
                yield record
        except BusError:
            pass  # A page fails as a whole: look for the culprit one by one.
        if expected < end:
            yield from _one_by_one(log, stream, expected, min(expected + _WINDOW, end), findings)
            expected = min(expected + _WINDOW, end)


def _one_by_one(
    log: Log, stream: Stream, start: int, end: int, findings: Findings
) -> Iterator[Record]:
    bad, why = start, ""
    for offset in range(start, end):
        try:
            found = list(log.read(*stream, offset, offset + 1))
        except BusError as error:
            found, why = [], why or str(error)
        if found and found[0].offset == offset:
            _report(findings, stream, bad, offset, why)
            bad, why = offset + 1, ""
            yield found[0]
    _report(findings, stream, bad, end, why)


def _report(findings: Findings, stream: Stream, start: int, end: int, why: str) -> None:
    if start == end:
        return
    which = f"record {stream[0]}/{stream[1]}/{start}" + (f" to {end - 1}" * (end > start + 1))
    findings.violate("I5", f"{which} cannot be read: {why or 'it is missing'}")
    findings.count("lost", end - start)
