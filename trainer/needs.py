"""Which versions somebody still needs: those that the groups of a run have to read, those that a
policy may serve at any time, and those that its policies go on from. Reads the log."""

from collections.abc import Sequence

from bus.errors import Unreadable
from bus.events import CURRENT, Weights
from bus.log import Log
from bus.versions import Versions
from trainer.checkpoint.retention import Needed


class Needs:
    """Of a run whose `readers`, named by their groups, read the topic `weights`; the versions
    `pinned` may be served for ever, and the last that a gate has promoted until the next. Of each
    of the `policies` that are trained the version that moved it last is served and learned from."""

    def __init__(
        self,
        log: Log,
        readers: Sequence[str] = (),
        pinned: Sequence[int] = (),
        policies: Sequence[str] = (CURRENT,),
    ) -> None:
        self._policies = policies
        self._log = log
        self._versions = Versions(log)
        self._readers = readers
        self._pinned = frozenset(pinned)

    def now(self) -> Needed:
        """As the log has it now."""
        promoted, awaited = self._versions.promoted(), self._awaited()
        last = self._of_policies(self._versions.newest())
        served = self._pinned | last | self._of_policies(promoted) | self._of_policies(awaited)
        number = None if awaited is None else awaited.number
        return Needed(awaited=number, versions=served, resumed=last)

    def _of_policies(self, weights: Weights | None) -> frozenset[int]:
        """Whose weights the policies have at a version; where there are several, what each had
        before may be long ago, and is served where a policy follows the previous one."""
        if weights is None:
            return frozenset()
        found = [self._versions.moved(weights, policy) for policy in self._policies]
        if len(found) > 1:
            before = [(self._versions.parent(one), one.policy) for one in found]
            found += [self._versions.moved(one, policy) for one, policy in before if one]
        return frozenset(version.number for version in found)

    def _awaited(self) -> Weights | None:
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
                return event
        return None
