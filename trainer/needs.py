"""Which versions somebody still needs: those that the groups of a run have to read, and those that
a policy may serve at any time. Reads the log."""

from collections.abc import Sequence

from bus.errors import Unreadable
from bus.events import Weights
from bus.log import Log
from bus.versions import Versions
from trainer.checkpoint.retention import Needed


class Needs:
    """Of a run whose `readers`, named by their groups, read the topic `weights`; the versions
    `pinned` may be served for ever, and the last that a gate has promoted until the next."""

    def __init__(
        self,
        log: Log,
        readers: Sequence[str] = (),
        pinned: Sequence[int] = (),
    ) -> None:
        self._log = log
        self._versions = Versions(log)
        self._readers = readers
        self._pinned = frozenset(pinned)

    def now(self) -> Needed:
        """As the log has it now."""
        promoted = self._versions.promoted()
        served = self._pinned if promoted is None else self._pinned | {promoted.number}
        return Needed(awaited=self._awaited(), versions=served)

    def _awaited(self) -> int | None:
        """The lowest version that a reader has not done with; None when all have read all."""
        if not self._readers:
            return None
        done = [self._log.cursors(group).get((Weights.topic, 0)) for group in self._readers]
        start = min(0 if cursor is None else cursor.base for cursor in done)
        for record in self._log.read(Weights.topic, start=start):
            try:
                event = record.event()
            except Unreadable:
                continue
            if isinstance(event, Weights):
                return event.number
        return None
