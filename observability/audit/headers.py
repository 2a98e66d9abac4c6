"""What the headers of one record say of it alone, and of the one it answers: whose run it is,
whether it lies where its key belongs, when it is dated. Reads no body.
"""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from bus.records import Record
from bus.topics import DEAD_SUFFIX, TOPICS, partition_of
from observability.audit.facts.pages import NO_VERSION
from observability.audit.findings import Findings
from observability.replay.forks import Fork, run_of

CLOCKS_APART_SECONDS = 6 * 3600
"""Clocks of several machines differ, and are put right while a run lives: only what is dated longer
before its cause than that is a fault."""


class Headers:
    """`run` is what the run is called in its events, None until the first one says it;
    `partitions` how many a topic has; `forks` say which records are a parent's."""

    def __init__(
        self,
        run: str | None,
        partitions: dict[str, int],
        findings: Findings,
        forks: Sequence[Fork] = (),
    ) -> None:
        self._source = None if run is None else _source_of(run)
        self._partitions = partitions
        self._findings = findings
        self._forks = forks

    def check(self, record: Record, place: str) -> None:
        self._check_run(record, place)
        topic, key = record.topic, record.key
        if topic not in TOPICS or topic.endswith(DEAD_SUFFIX):
            return
        subject = record.headers.get("ce_subject", key)
        if subject != key or partition_of(key, self._partitions[topic]) != record.partition:
            self._findings.gather(
                "I5",
                "{example} lies in another partition than that of its key",
                "{number} records lie in other partitions than those of their keys: {examples}",
                place,
            )

    def _check_run(self, record: Record, place: str) -> None:
        source = record.headers.get("ce_source")
        if source is None:
            return
        wanted = self._source
        if (
            whose := run_of(self._forks, (record.topic, record.partition), record.offset)
        ) is not None:
            wanted = _source_of(whose)
        elif wanted is None:
            wanted = self._source = source[: source.rfind("/") + 1]
        if not source.startswith(wanted):
            self._findings.gather(
                "I3",
                "{example} bears the name of another run",
                "{number} records bear the names of other runs: {examples}",
                place,
            )

    def check_dates(self, place: str, seconds: int, caused: int) -> None:
        """Of an event dated `seconds`, whose cause is dated `caused`; 0 where nothing says it."""
        if seconds and caused and caused - seconds > CLOCKS_APART_SECONDS:
            self._findings.gather(
                "I10",
                "{example} is dated hours before what it answers",
                "{number} records are dated hours before what they answer: {examples}",
                place,
            )

    def check_commits(self, place: str, commit: int, caused: int) -> None:
        """Of an event in one commit whose cause is in another; 0 where nothing says it."""
        if commit and caused and commit < caused:
            self._findings.gather(
                "I10",
                "{example} was committed before what it answers",
                "{number} records were committed before what they answer: {examples}",
                place,
            )


def _source_of(run: str) -> str:
    return f"/{quote(run, safe='')}/"


def agent_of(record: Record) -> str:
    return record.headers.get("ce_source", "").rpartition("/")[2]


def seconds_of(record: Record) -> int:
    """When it is dated, 0 where that is not said."""
    try:
        return int(datetime.fromisoformat(record.headers.get("ce_time", "")).timestamp())
    except (ValueError, OverflowError):
        return 0


def version_of(record: Record) -> int:
    """What its header names, `NO_VERSION` where it names none."""
    text = record.headers.get("ce_modelversion", "")
    return int(text) if text.isdecimal() and len(text) < 10 else NO_VERSION
