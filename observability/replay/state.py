"""The state of every agent at a position of a log: a fold of its records alone, the same from every
driver, on every machine, in batches of any size. Knows no log.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from bus.errors import BusError
from bus.groups import Stream, name_of, stream_of
from bus.records import Record
from observability.progress.known import Known, is_folded
from observability.replay import form
from observability.replay.waiting import Waiting

FORMAT = 1
"""Of what is digested: another one gives other digests."""


class State:
    """After every record that was `take`n, each partition in its order from the first one on.

    `known` is what the run says of itself, `waiting` what is open for whom. `ends` are the offsets
    after the last records; `chains` are hashed over their ids, one after the other.
    """

    def __init__(self) -> None:
        self.known = Known()
        self.waiting = Waiting()
        self.ends: dict[Stream, int] = {}
        self._chains: dict[Stream, bytes] = {}

    def take(self, record: Record) -> None:
        """Raises `BusError` where one before it is missing."""
        topic, offset = record.topic, record.offset
        stream = (topic, record.partition)
        if offset != (expected := self.ends.get(stream, 0)):
            raise BusError(
                f"There is a gap at {name_of(stream)}/{expected}: the next record is at {offset}; "
                "restore it from a copy."
            )
        self.ends[stream] = offset + 1
        chain = self._chains.get(stream, b"") + record.event_id.encode()
        self._chains[stream] = hashlib.sha256(chain).digest()
        counts = self.known.counts
        counts[topic] = counts.get(topic, 0) + 1
        self.waiting.take(record)
        if is_folded(topic) and (event := self.known.take(record)) is not None:
            self.waiting.hear(event)

    @property
    def num_events(self) -> int:
        return sum(self.ends.values())

    @property
    def digest(self) -> str:
        """The sha256 of all this, but for what depends on the clock between two versions."""
        return hashlib.sha256(form.canonical(self._form(pace=False)).encode()).hexdigest()

    def form(self) -> dict[str, Any]:
        """As JSON has it, to be the `State.of` it again."""
        return self._form(pace=True)

    def _form(self, *, pace: bool) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "ends": {name_of(stream): end for stream, end in self.ends.items()},
            "chains": {name_of(stream): chain.hex() for stream, chain in self._chains.items()},
            "known": form.form_of(self.known, pace=pace),
            "waiting": self.waiting.form(),
        }

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "State":
        """The state of that form. Raises `ValueError`, `TypeError`, `LookupError` or
        `AttributeError` where none has it."""
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']}")
        state = cls()
        form.fill(state.known, said["known"])
        state.waiting = Waiting.of(said["waiting"])
        for name, end in said["ends"].items():
            state.ends[stream_of(name)] = end
            topic = stream_of(name)[0]
            state.known.counts[topic] = state.known.counts.get(topic, 0) + end
        state._chains = {
            stream_of(name): bytes.fromhex(one) for name, one in said["chains"].items()
        }
        return state
