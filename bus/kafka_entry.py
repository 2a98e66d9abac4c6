"""What one commit says to the journal, and its JSON form. Knows no broker and no rule."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bus.cursor import Run
from bus.shares import Stream

Kind = Literal["commit", "join", "leave", "expire"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies in Kafka: the broker's own offset, and the id of its event."""

    raw: int
    event_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Offsets to complete on one partition, under the epoch of its owner."""

    epoch: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of the journal. `foreign` are records that some other program wrote."""

    id: str
    kind: Kind = "commit"
    group: str = ""
    member: str = ""
    instance: str = ""
    topics: tuple[str, ...] = ()
    exclusive: bool = False
    done: Mapping[Stream, Claim] = field(default_factory=dict)
    released: Mapping[Stream, int] = field(default_factory=dict)
    added: Mapping[Stream, tuple[Place, ...]] = field(default_factory=dict)
    foreign: Mapping[Stream, tuple[Place, ...]] = field(default_factory=dict)

    def encode(self) -> bytes:
        said: dict[str, Any] = {"id": self.id, "kind": self.kind}
        if self.group:
            said |= {"group": self.group, "member": self.member, "instance": self.instance}
        if self.kind == "join":
            said |= {"topics": self.topics, "exclusive": self.exclusive}
        if self.done:
            said["done"] = [[*at, claim.epoch, claim.runs] for at, claim in self.done.items()]
        if self.released:
            said["released"] = [[*at, epoch] for at, epoch in self.released.items()]
        for name, places in (("added", self.added), ("foreign", self.foreign)):
            if places:
                said[name] = [
                    [*at, [one.raw for one in some], [one.event_id for one in some]]
                    for at, some in places.items()
                ]
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Raises `ValueError` when this is not an entry."""
        try:
            said = json.loads(value)
            return cls(
                id=said["id"],
                kind=said["kind"],
                group=said.get("group", ""),
                member=said.get("member", ""),
                instance=said.get("instance", ""),
                topics=tuple(said.get("topics", ())),
                exclusive=said.get("exclusive", False),
                done={
                    (topic, part): Claim(epoch, tuple((start, end) for start, end in runs))
                    for topic, part, epoch, runs in said.get("done", ())
                },
                released={(topic, part): epoch for topic, part, epoch in said.get("released", ())},
                added=_places(said.get("added", ())),
                foreign=_places(said.get("foreign", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an entry of a journal: {error}") from None


def _places(said: Any) -> dict[Stream, tuple[Place, ...]]:
    return {(topic, part): tuple(map(Place, raws, ids)) for topic, part, raws, ids in said}
