"""What the versions of a run say that they consumed: written down by place, for whoever compares it
with the log. Reads no file.
"""

from bus.errors import BusError
from bus.events import Weights
from bus.log import Log
from bus.records import Position
from observability.audit import duties
from observability.audit.answers import WEIGHTS
from observability.audit.facts.pages import (
    BELIEVED,
    CONSUMED,
    NOBODY,
    OFFSETS_AT_ONCE,
    TRAINED,
    Page,
)
from observability.audit.findings import Findings
from observability.audit.scanned import Scanned, identity_of
from observability.audit.versions import Version
from trainer.checkpoint.manifest import Consumed, Dropped, Manifest


class Learning:
    """`unpublished` is the number of a version that is not on the log, once it was taken. So many
    tasks as `consumed` needed no more work before the first version, `published_consumed` after the
    last one on the log."""

    def __init__(self, log: Log, scanned: Scanned, findings: Findings, consumed: int = 0) -> None:
        self._log = log
        self._scanned = scanned
        self._findings = findings
        self._num_consumed = self.published_consumed = consumed
        self._page: Page | None = None
        self.unpublished: int | None = None

    def take(self, version: Version) -> None:
        """The next version of the lineage, oldest first."""
        manifest = version.manifest
        if version.offset is not None:
            self.published_consumed = version.weights.consumed
        if manifest is None:
            self._believe(version.weights)
            return
        commit = 0
        if version.offset is None:
            self.unpublished = manifest.version
        else:
            commit = self._commit(version.offset)
        for consumed in manifest.trained:
            self._consume(consumed, manifest, None, commit)
        for dropped in manifest.dropped:
            self._consume(dropped, manifest, dropped.reason, commit)
        self._count_tasks(manifest)

    def _commit(self, offset: int) -> int:
        """When a version was published among others, 0 where nothing says it."""
        page = self._page
        if page is None or not page.low <= offset < page.high:
            part = self._scanned.parts[WEIGHTS]
            page = self._page = self._scanned.pages.page_of(part.index, offset)
        return page.commits[offset - page.low]

    def _believe(self, weights: Weights) -> None:
        """A version whose manifest is gone: its event says at least where it was consumed."""
        self._num_consumed = weights.consumed
        for name, ranges in weights.positions.items():
            topic, _, partition = name.rpartition("/")
            part = self._scanned.parts.get((topic, int(partition or -1)))
            if part is None or topic not in duties.LEARNED_FROM:
                continue
            for start, end in ranges:
                low, high = max(start, 0), min(end, part.end)
                while low < high:
                    until = min(high, low - low % OFFSETS_AT_ONCE + OFFSETS_AT_ONCE)
                    self._scanned.pages.add(part.index, BELIEVED, low, until, weights.number)
                    low = until

    def _consume(
        self, consumed: Consumed, manifest: Manifest, reason: str | None, commit: int
    ) -> None:
        number, topic = manifest.version, consumed.topic
        place = f"{topic}/{consumed.partition}/{consumed.offset}"
        part = self._scanned.parts.get((topic, consumed.partition))
        if part is None or not 0 <= consumed.offset < part.end:
            end = 0 if part is None else part.end
            self._findings.violate(
                "I5",
                f"version {number} consumed {consumed.id} at {place}, but the log went back "
                f"from there to {topic}/{consumed.partition}/{end}",
            )
            return
        if topic not in duties.LEARNED_FROM:
            says = f"version {number} consumed {consumed.id}, which is not the event at {place}"
            if is_found_at(self._log, consumed.id, consumed.position):
                says = f"version {number} consumed {place}, which no version may consume"
            self._findings.violate("I5", says)
            return
        kind = TRAINED if reason is None else self._scanned.words.number(_kind(reason))
        identity = identity_of(consumed.id) or NOBODY
        add = self._scanned.pages.add
        add(part.index, CONSUMED, consumed.offset, number, kind, commit, identity)

    def _count_tasks(self, manifest: Manifest) -> None:
        """`Weights.consumed` grows by the tasks that need no more work."""
        certain = sum(
            consumed.topic != "refusals" and not _is_duplicate(consumed)
            for consumed in manifest.consumed
        )
        # Whether an unreadable refusal belonged to a task is nowhere said.
        unsure = sum(
            dropped.topic == "refusals" and dropped.reason.startswith("unreadable")
            for dropped in manifest.dropped
        )
        grown = manifest.weights.consumed - self._num_consumed
        if not certain <= grown <= certain + unsure:
            self._findings.violate(
                "I5",
                f"version {manifest.version} says that {manifest.weights.consumed} tasks need no "
                f"more work, its manifests say {self._num_consumed + certain}",
            )
        self._num_consumed = manifest.weights.consumed


def is_found_at(log: Log, event_id: str, position: Position) -> bool:
    """Whether the log says that an event lies there."""
    try:
        record = log.find(event_id)
    except BusError:
        return False
    return record is not None and position == Position(
        topic=record.topic, partition=record.partition, offset=record.offset
    )


def _kind(reason: str) -> str:
    """A reason without what is said of one record."""
    return reason.partition(":")[0]


def _is_duplicate(consumed: Consumed) -> bool:
    return isinstance(consumed, Dropped) and consumed.reason == "duplicate"
