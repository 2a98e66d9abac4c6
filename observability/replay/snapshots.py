"""States of a run kept aside, so that the next look need not begin at the first record. A cache:
one that is damaged, of another log or ahead of it is passed over, and any may be deleted.
"""

import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from bus.errors import BusError
from bus.groups import Stream, name_of, stream_of
from bus.log import Log
from observability.audit.facts import sealed
from observability.audit.facts.edge import sha256_of
from observability.audit.facts.snapshot import RefusedSnapshot
from observability.replay.state import State

EVERY = 50_000
"""Events between two snapshots: what is read again at most, beside the length of the run."""

MOST = 64
"""So many are kept; of more, every other of the older ones goes."""

NEWEST = 16
"""So many of the newest never go."""

Say = Callable[[str], None]


class Snapshots:
    """Those in `folder`, of a run, `most` at most; `say` hears why one is passed over."""

    def __init__(
        self, folder: Path, run: str, say: Say = lambda sentence: None, *, most: int = MOST
    ) -> None:
        self._folder, self._run, self._say, self._most = folder, run, say, most

    def newest(self, log: Log, ends: Mapping[Stream, int]) -> State:
        """The last one that lies at or before `ends`; without any, the state before all records."""
        most = sum(ends.values())
        for file in reversed(self._files()):
            if _events(file) <= most:
                try:
                    return self._read(file, log, ends)
                except RefusedSnapshot as refused:
                    self._say(f"{refused}: passed over")
                except _Beyond:
                    continue
        return State()

    def keep(self, state: State, log: Log) -> None:
        """Write one; where that cannot be, nothing is kept."""
        last = {
            name_of(stream): sha256_of(next(iter(log.read(*stream, end - 1, end))))
            for stream, end in state.ends.items()
        }
        body = json.dumps({"run": self._run, "last": last, "state": state.form()})
        try:
            self._folder.mkdir(exist_ok=True)
            sealed.write(body, self._folder / f"{state.num_events:015d}.json")
            self._leave_out()
        except OSError as error:
            self._say(f"no snapshot is kept in {self._folder}: {error.strerror}")

    def _files(self) -> list[Path]:
        """Oldest first."""
        return sorted(file for file in self._folder.glob("*.json") if file.stem.isdecimal())

    def _leave_out(self) -> None:
        files = self._files()
        if len(files) > self._most:
            for file in islice(files[:-NEWEST], 1, None, 2):
                file.unlink(missing_ok=True)

    def _read(self, file: Path, log: Log, ends: Mapping[Stream, int]) -> State:
        try:
            said = json.loads(sealed.read(file))
            run, state = said["run"], State.of(said["state"])
            last = {stream_of(name): str(digest) for name, digest in said["last"].items()}
        except OSError as error:
            raise RefusedSnapshot(f"{file} cannot be read: {error.strerror}") from None
        except (LookupError, TypeError, ValueError, AttributeError):
            raise RefusedSnapshot(f"{file} is damaged, or of another evolvent") from None
        if run != self._run:
            raise RefusedSnapshot(f"{file} is of run {run}, this is run {self._run}")
        if any(end > ends.get(stream, 0) for stream, end in state.ends.items()):
            raise _Beyond
        for stream, end in state.ends.items():
            if _sha256_at(log, stream, end - 1) != last.get(stream):
                raise RefusedSnapshot(
                    f"{file} is of another log: {name_of(stream)}/{end - 1} is not the record that "
                    "it has read there"
                )
        return state


class _Beyond(Exception):
    """A snapshot has read what lies beyond the position that is asked for."""


def _events(file: Path) -> int:
    return int(file.stem)


def _sha256_at(log: Log, stream: Stream, offset: int) -> str | None:
    try:
        return next((sha256_of(one) for one in log.read(*stream, offset, offset + 1)), None)
    except BusError:
        return None
