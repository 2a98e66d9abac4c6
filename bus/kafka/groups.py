"""Groups as the journal tells them: who is a member, who owns which partition under which epoch.

A fold: the same entries in the same order give the same owners to everybody who reads them.
Knows no broker and no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bus.cursor import Cursor
from bus.kafka.entry import Entry
from bus.shares import Stream, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    name: str
    instance: str
    topics: frozenset[str]
    exclusive: bool


@dataclass(slots=True)
class Holding:
    """A group's cursor on a partition and its owner; `due` is the member that should own it."""

    cursor: Cursor = field(default_factory=Cursor)
    epoch: int = 0
    owner: str = ""
    due: str = ""

    @property
    def draining(self) -> bool:
        return self.owner != self.due

    def give(self, owner: str) -> None:
        self.owner = owner
        self.epoch += bool(owner)


@dataclass(slots=True)
class Group:
    holdings: dict[Stream, Holding] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    def is_current(self, member: str, instance: str) -> bool:
        """Whether no other instance has taken this member over, nor an exclusive one its group."""
        found = self.members.get(member)
        return found is not None and found.instance == instance

    def owns(self, member: str, stream: Stream, epoch: int) -> bool:
        holding = self.holdings.get(stream)
        return holding is not None and (holding.owner, holding.epoch) == (member, epoch)

    def apply(self, entry: Entry, streams: Iterable[Stream]) -> bool:
        """False when the entry is void: its writer had lost what it writes to."""
        if entry.kind == "join":
            self._join(entry, streams)
            return True
        if not self.is_current(entry.member, entry.instance):
            return False
        if entry.kind in ("leave", "expire"):
            self._remove(entry.member)
            self._rebalance()
            return True
        claims = [(stream, claim.epoch) for stream, claim in entry.done.items()]
        if not all(self.owns(entry.member, *claim) for claim in (*claims, *entry.released.items())):
            return False
        for stream, claim in entry.done.items():
            holding = self.holdings[stream]
            for start, end in claim.runs:
                holding.cursor = holding.cursor.advance(range(start, end))
        if entry.released:
            for stream in entry.released:
                self.holdings[stream].give("")
            self._rebalance()
        return True

    def _join(self, entry: Entry, streams: Iterable[Stream]) -> None:
        """Whoever it replaces is fenced: by name, or everybody when it is exclusive."""
        for stream in streams:
            if stream[0] in entry.topics:
                holding = self.holdings.setdefault(stream, Holding())
                holding.epoch = max(holding.epoch, entry.above)
        for other in list(self.members) if entry.exclusive else [entry.member]:
            self._remove(other)
        self.members[entry.member] = Member(
            name=entry.member,
            instance=entry.instance,
            topics=frozenset(entry.topics),
            exclusive=entry.exclusive,
        )
        self._rebalance()

    def _remove(self, name: str) -> None:
        self.members.pop(name, None)
        for holding in self.holdings.values():
            if holding.owner == name:
                holding.give("")

    def _rebalance(self) -> None:
        """Free partitions go to whom they are due; an owner gives the others up by itself."""
        alone = {name: one.topics for name, one in self.members.items() if one.exclusive}
        taken: frozenset[str] = frozenset().union(*alone.values())
        readers = {name: one.topics - taken for name, one in self.members.items()} | alone
        target = share({at: held.owner for at, held in self.holdings.items()}, readers)
        for stream, holding in self.holdings.items():
            holding.due = target.get(stream, "")
            bound = stream[0] in readers.get(holding.owner, ())
            if holding.draining and not bound:
                holding.give(holding.due)
