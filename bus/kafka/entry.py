"""What one commit says to the journal, and its JSON form. Knows no broker and no rule."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pydantic_core import from_json

from bus.cursor import Run
from bus.shares import Stream

Kind = Literal["commit", "join", "leave", "expire", "mend"]
"""`mend` says nothing: it lets its writer touch partitions again."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where records of a partition lie in Kafka: the broker's own offsets, and the ids of their
    events, one for each."""

    raws: Sequence[int] = ()
    ids: Sequence[str] = ()


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
    above: int = 0
    done: Mapping[Stream, Claim] = field(default_factory=dict)
    released: Mapping[Stream, int] = field(default_factory=dict)
    added: Mapping[Stream, Places] = field(default_factory=dict)
    foreign: Mapping[Stream, Places] = field(default_factory=dict)

    def encode(self) -> bytes:
        said: dict[str, Any] = {"id": self.id, "kind": self.kind}
        if self.group:
            said |= {"group": self.group, "member": self.member, "instance": self.instance}
        if self.kind == "join":
            said |= {"topics": self.topics, "exclusive": self.exclusive, "above": self.above}
        if self.done:
            said["done"] = [[*at, claim.epoch, claim.runs] for at, claim in self.done.items()]
        if self.released:
            said["released"] = [[*at, epoch] for at, epoch in self.released.items()]
        for name, places in (("added", self.added), ("foreign", self.foreign)):
            if places:
                said[name] = [[*at, some.raws, some.ids] for at, some in places.items()]
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Raises `ValueError` when this is not an entry."""
        try:
            said = from_json(value)
            if not said.keys() <= _FIELDS:
                said = {name: said[name] for name in said.keys() & _FIELDS}
            if "topics" in said:
                said["topics"] = tuple(said["topics"])
            if "done" in said:
                said["done"] = {
                    (topic, part): Claim(epoch, tuple((start, end) for start, end in runs))
                    for topic, part, epoch, runs in said["done"]
                }
            if "released" in said:
                said["released"] = {(topic, part): epoch for topic, part, epoch in said["released"]}
            for name in ("added", "foreign"):
                if name in said:
                    said[name] = {
                        (topic, part): Places(raws, ids) for topic, part, raws, ids in said[name]
                    }
            return cls(**said)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not an entry of a journal: {error}") from None


_FIELDS = frozenset(one.name for one in fields(Entry))
