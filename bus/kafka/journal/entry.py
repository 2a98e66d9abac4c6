"""What one commit says to the journal, and its JSON form. Knows no broker and no rule."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

from pydantic_core import from_json

from bus.groups import Claim, Stream

Kind = Literal["commit", "join", "leave", "expire", "mend", "topics", "snapshot", "trim"]
"""`topics` names the topics of the log by Kafka's own ids; `snapshot` the digest of the fold up to
`at`; `trim` that nobody reads what lies `below`, nor gives a place to what lies below `floors` in
Kafka. `mend` says nothing: earlier programs touched partitions with it."""

_KINDS = frozenset(get_args(Kind))


class Places(NamedTuple):
    """Where records of a partition lie in Kafka: the broker's own offsets, and the ids of their
    events, one for each."""

    raws: Sequence[int] = ()
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of the journal. A writer numbers its entries by `seq`, so that one that comes
    twice counts once. `foreign` are records that some other program wrote."""

    id: str
    kind: Kind = "commit"
    writer: str = ""
    seq: int = 0
    group: str = ""
    member: str = ""
    instance: str = ""
    topics: tuple[str, ...] = ()
    exclusive: bool = False
    above: int = 0
    done: Mapping[Stream, Claim] = field(default_factory=dict)
    released: Mapping[Stream, int] = field(default_factory=dict)
    below: Mapping[Stream, int] = field(default_factory=dict)
    floors: Mapping[Stream, int] = field(default_factory=dict)
    added: Mapping[Stream, Places] = field(default_factory=dict)
    foreign: Mapping[Stream, Places] = field(default_factory=dict)
    at: int = 0
    digest: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        said = {name: value for name in _PLAIN if (value := getattr(self, name))}
        said |= {"id": self.id, "kind": self.kind}
        if self.done:
            said["done"] = [[*at, claim.epoch, claim.runs] for at, claim in self.done.items()]
        for name in _NUMBERED:
            if numbers := getattr(self, name):
                said[name] = [[*at, number] for at, number in numbers.items()]
        for name, places in (("added", self.added), ("foreign", self.foreign)):
            if places:
                said[name] = [[*at, some.raws, some.ids] for at, some in places.items()]
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Raises `ValueError` when this is not an entry."""
        try:
            said: dict[str, Any] = from_json(value)
            if said["kind"] not in _KINDS or type(said["id"]) is not str:
                raise ValueError("not an entry of a journal")
            if not said.keys() <= _FIELDS:
                said = {name: said[name] for name in said.keys() & _FIELDS}
            if "topics" in said:
                said["topics"] = tuple(said["topics"])
            if "done" in said:
                said["done"] = {
                    (topic, part): Claim(epoch, [(start, end) for start, end in runs])
                    for topic, part, epoch, runs in said["done"]
                }
            for name in _NUMBERED:
                if name in said:
                    said[name] = {(topic, part): number for topic, part, number in said[name]}
            for name in ("added", "foreign"):
                if name in said:
                    said[name] = {
                        (topic, part): Places(raws, ids) for topic, part, raws, ids in said[name]
                    }
            return cls(**said)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"not an entry of a journal: {error}") from None


_FIELDS = frozenset(one.name for one in fields(Entry))
_NUMBERED = ("released", "below", "floors")
_MAPPED = ("done", *_NUMBERED, "added", "foreign")
_PLAIN = tuple(one.name for one in fields(Entry) if one.name not in _MAPPED)
