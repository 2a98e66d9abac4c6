"""Which versions moved which policy, where a run trains several: little for a long run. Knows no
event."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bus.events import CURRENT

Run = tuple[int, int]
"""The versions [first, last], which moved another policy than the one that answers."""


class Head(NamedTuple):
    """The version that moved a policy last."""

    number: int
    epoch: int
    step: int


class Chains:
    """Of the versions up to the newest: `others` as runs, and by policy the `heads`. Version 0 is
    the head of a policy that nothing has moved."""

    def __init__(
        self, others: Sequence[Run] = (), heads: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        self.others = [(first, last) for first, last in others]
        self.heads = {policy: Head(*said) for policy, said in (heads or {}).items()}

    def add(self, policy: str, head: Head) -> None:
        """The next version."""
        self.heads[policy] = head
        if policy == CURRENT:
            return
        first, last = self.others[-1] if self.others else (0, -2)
        if last == head.number - 1:
            self.others[-1] = (first, head.number)
        else:
            self.others.append((head.number, head.number))

    def age(self, drawn: int, newest: int) -> int:
        """How many versions behind `newest` the answers of version `drawn` are: those count that
        moved the policy that answers."""
        others = sum(
            max(0, min(last, newest) - max(first, drawn + 1) + 1) for first, last in self.others
        )
        return newest - drawn - others


def due_by(settings: Mapping[str, Any], version: int) -> str | None:
    """Which policy a version moves by the phases of a stored recipe, None where they cannot be
    read. Written apart from what trains."""
    phases = settings.get("phases") or ()
    if version == 0 or not phases:
        return CURRENT
    try:
        left = (version - 1) % sum(int(phase["versions"]) for phase in phases)
        for phase in phases:
            left -= int(phase["versions"])
            if left < 0:
                return str(phase["policy"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        pass
    return None
