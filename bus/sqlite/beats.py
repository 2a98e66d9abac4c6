"""Which members of a group are alive, as one watcher sees it: a member counts its beats in its row,
and who has not beaten for a lease of the watcher's own clock is dead. No two clocks are compared.
"""

import time
from dataclasses import dataclass

import apsw

from bus.groups import Member
from bus.sqlite.groups import Beating, members_of

LOOKS_PER_LEASE = 4
"""A member beats, and looks for the beats of others, so often."""

_LONGEST_STEP = 2 / LOOKS_PER_LEASE
"""Of a lease. A watcher that could not look for longer, since a neighbour held the log or it was
itself stopped, has not watched: the others could not beat either."""


@dataclass(slots=True)
class _Silence:
    """How long a beat has been watched without a change, in seconds."""

    beating: Beating
    seconds: float


class Beats:
    """One watcher of one group. Each look counts as watching since the look before."""

    def __init__(self, group: str, lease_seconds: float) -> None:
        self._group, self._lease_seconds = group, lease_seconds
        self._seen: dict[str, _Silence] = {}
        self._looked = time.monotonic()

    def look(self, connection: apsw.Connection) -> tuple[list[Member], list[Member]]:
        """The living and the dead among the members."""
        now = time.monotonic()
        step = min(now - self._looked, _LONGEST_STEP * self._lease_seconds)
        self._looked = now
        members = members_of(connection, self._group)
        self._seen = {one.member.name: self._silence(one, step) for one in members}
        dead = {name for name, seen in self._seen.items() if seen.seconds > self._lease_seconds}
        living = [member for member, _ in members if member.name not in dead]
        return living, [member for member, _ in members if member.name in dead]

    def _silence(self, one: Beating, step: float) -> _Silence:
        seen = self._seen.get(one.member.name)
        if seen is None or seen.beating != one:
            return _Silence(one, 0.0)
        return _Silence(one, seen.seconds + step)
