"""A group as its log tells it: who is a member, who owns which partition under which epoch, how far
the group has come. A fold: the same changes in the same order give the same owners to everybody.
Knows no transport and no clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from bus.cursor import Cursor, Run
from bus.errors import BusError
from bus.records import Lag

Stream = tuple[str, int]
"""One partition: (topic, partition)."""


def name_of(stream: Stream) -> str:
    """A stream as text."""
    return f"{stream[0]}/{stream[1]}"


def stream_of(name: str) -> Stream:
    """The stream of such a text; raises `ValueError`."""
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance of a member, and what it reads, alone if it is `exclusive`."""

    name: str
    instance: str
    topics: frozenset[str]
    exclusive: bool


class Claim(NamedTuple):
    """Offsets to complete on one partition, under the epoch of its owner."""

    epoch: int
    runs: Sequence[Run]


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

    def owned(self, member: str) -> dict[Stream, int]:
        """The epoch of every partition of a member."""
        return {at: held.epoch for at, held in self.holdings.items() if held.owner == member}

    def owns(self, member: str, epochs: Mapping[Stream, int]) -> bool:
        """Whether a member owns these partitions, under these epochs."""
        for stream, epoch in epochs.items():
            holding = self.holdings.get(stream)
            if holding is None or (holding.owner, holding.epoch) != (member, epoch):
                return False
        return True

    def are_done(self, claims: Mapping[Stream, Claim]) -> bool:
        """Whether something is claimed, and all of it was done before."""
        return bool(claims) and all(
            self.holdings[stream].cursor.first_open(start) >= end
            for stream, claim in claims.items()
            for start, end in claim.runs
        )

    def complete(self, claims: Mapping[Stream, Claim]) -> None:
        for stream, claim in claims.items():
            holding = self.holdings[stream]
            for start, end in claim.runs:
                holding.cursor = holding.cursor.advance(range(start, end))

    def crowd(self, member: str) -> list[Member]:
        """Those who leave nothing for `member`, as `crowd` finds them."""
        owners = {stream: holding.owner for stream, holding in self.holdings.items()}
        readers = {
            name: frozenset[str]() if one.exclusive else one.topics
            for name, one in self.members.items()
        }
        return [self.members[name] for name in crowd(member, owners, readers)]

    def lags(self, ends: Mapping[Stream, int]) -> list[Lag]:
        """How far the group has come in partitions that end there."""
        return [
            Lag(
                topic=topic,
                partition=part,
                base=held.cursor.base,
                done=held.cursor.num_done,
                end=ends[topic, part],
                epoch=held.epoch,
                owner=held.owner,
            )
            for (topic, part), held in sorted(self.holdings.items())
        ]

    def cursors(self) -> dict[Stream, Cursor]:
        return {stream: held.cursor for stream, held in self.holdings.items()}

    def join(self, member: Member, streams: Iterable[Stream], above: int = 0) -> None:
        """Whoever it replaces is fenced: by name, or everybody when it is exclusive. What it owns
        has epochs higher than `above`."""
        for stream in streams:
            if stream[0] in member.topics:
                holding = self.holdings.setdefault(stream, Holding())
                holding.epoch = max(holding.epoch, above)
        for other in list(self.members) if member.exclusive else [member.name]:
            self._remove(other)
        self.members[member.name] = member
        self.rebalance()

    def leave(self, name: str) -> None:
        self._remove(name)
        self.rebalance()

    def release(self, streams: Iterable[Stream]) -> None:
        """Their owner gives them up, for whom they are due."""
        for stream in streams:
            self.holdings[stream].give("")
        self.rebalance()

    def _remove(self, name: str) -> None:
        self.members.pop(name, None)
        for holding in self.holdings.values():
            if holding.owner == name:
                holding.give("")

    def rebalance(self) -> None:
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


def check_done(groups: Mapping[str, Group], below: Mapping[Stream, int]) -> None:
    """Raises `BusError` where a group has still to do what lies below."""
    for name, group in groups.items():
        for stream, end in below.items():
            held = group.holdings.get(stream)
            if held is not None and held.cursor.base < end:
                raise BusError(
                    f"Group {name!r} has not done {name_of(stream)}/{held.cursor.base} yet: what "
                    "lies from there on cannot be trimmed."
                )


def crowd(member: str, owners: Mapping[Stream, str], readers: Mapping[str, Set[str]]) -> list[str]:
    """The others that leave no partition for `member`: each owns one, and together they own all
    that it reads. Empty where one may come to it without a member going; and where there is one
    partition alone, for which a member may well wait in reserve.

    `owners` maps each stream of the group to its owner; `readers` maps each member that shares with
    others to the topics it reads.
    """
    owned = Counter(owners.values())
    holders = [owners[at] for at in sorted(owners) if at[0] in readers.get(member, ())]
    others = all(name != member and readers.get(name) and owned[name] == 1 for name in holders)
    return holders if others and len(holders) > 1 else []


class Surplus:
    """How long a member has had no partition while others, all alive, hold one each."""

    def __init__(self, group: str, member: str, lease_seconds: float) -> None:
        self._group, self._member = group, member
        self._patience_seconds = lease_seconds / 2
        self._since = 0.0
        self._signs: Mapping[str, object] = {}

    def look(self, now: float, signs: Mapping[str, object]) -> float | None:
        """`signs` are the last signs of life of those who leave nothing for this member, by name;
        none where something may come to it. When to look again, in seconds. Raises `BusError` when
        all of them have given another sign, and have left nothing, for half a lease."""
        if not signs:
            self._signs = {}
            return None
        if signs.keys() != self._signs.keys():
            self._since, self._signs = now, dict(signs)
        waited = now - self._since
        alive = all(sign != self._signs[name] for name, sign in signs.items())
        if waited >= self._patience_seconds and alive:
            raise BusError(self._sentence(list(signs)))
        return max(self._patience_seconds - waited, self._patience_seconds / 4)

    def _sentence(self, others: Sequence[str]) -> str:
        more = f" and {len(others) - 4} more" if others[4:] else ""
        return (
            f"Group {self._group!r} has {len(others)} partitions and more members: "
            f"{', '.join(others[:4])}{more} hold one each, and {self._member!r} can get none; run "
            "fewer members, or start a run with more partitions (bus.partitions)."
        )


def share(holders: Mapping[Stream, str], members: Mapping[str, Set[str]]) -> dict[Stream, str]:
    """Share the streams of `holders` evenly among `members`, moving as few as possible.

    `holders` maps each stream to the member that holds it now, or to a name that is no
    member's; `members` maps each member to the topics it reads. The answer names the member
    that each stream should go to; a stream that nobody reads is left out. It depends on the
    arguments alone, so that all members come to the same answer.
    """
    held: dict[str, list[Stream]] = {name: [] for name in sorted(members)}
    homeless = []
    for stream, holder in sorted(holders.items()):
        if stream[0] in members.get(holder, ()):
            held[holder].append(stream)
        else:
            homeless.append(stream)
    for stream in homeless:
        readers = [name for name in held if stream[0] in members[name]]
        if readers:
            held[min(readers, key=lambda name: len(held[name]))].append(stream)
    while _move_one(held, members):
        pass
    return {stream: name for name, streams in held.items() for stream in streams}


def _move_one(held: dict[str, list[Stream]], members: Mapping[str, Set[str]]) -> bool:
    for giver in sorted(held, key=lambda name: -len(held[name])):
        for stream in sorted(held[giver], reverse=True):
            for taker in sorted(held, key=lambda name: len(held[name])):
                if len(held[giver]) - len(held[taker]) > 1 and stream[0] in members[taker]:
                    held[giver].remove(stream)
                    held[taker].append(stream)
                    return True
    return False
