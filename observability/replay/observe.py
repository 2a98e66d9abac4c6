"""A log folded up to a position. Nothing is written to it; no cursor, no checkpoint and no clock
has a say.
"""

from collections.abc import Callable, Iterator, Mapping
from heapq import merge

from bus.errors import BusError
from bus.groups import Stream, name_of
from bus.log import Log
from bus.records import Record
from observability.replay.snapshots import EVERY, Snapshots
from observability.replay.state import State

Show = Callable[[str, int, int], None]
_SHOWN = 4096


def observe(
    log: Log,
    at: Mapping[Stream, int] | None = None,
    snapshots: Snapshots | None = None,
    *,
    every: int = EVERY,
    fresh: bool = False,
    show: Show = lambda what, done, whole: None,
) -> State:
    """The state before the offsets `at`, None for the ends of the log. It goes on from the newest
    of `snapshots`, unless it is to begin `fresh`, and leaves there one `every` so many events and
    one of the result. `show` is told what is read, how much of it, and of how much. Raises
    `BusError` for a position that is not on the log."""
    heads = log.heads()
    ends = {stream: end for stream, end in (heads if at is None else at).items() if end}
    _check(ends, heads)
    state = State() if snapshots is None or fresh else snapshots.newest(log, ends)
    begun, whole = state.num_events, sum(ends.values())
    kept = number = begun
    for number, record in enumerate(records(log, state.ends, ends), begun + 1):
        state.take(record)
        if number % _SHOWN == 0:
            show("events", number - begun, whole - begun)
        if snapshots is not None and number - kept >= every:
            snapshots.keep(state, log)
            kept = number
    if state.ends != ends:
        [first, *_] = sorted(at for at, end in ends.items() if state.ends.get(at, 0) < end)
        raise BusError(
            f"{name_of(first)} ends at {state.ends.get(first, 0)}, not at {ends[first]}: records "
            "are missing; restore them from a copy."
        )
    if snapshots is not None and number - kept >= max(1, every // 10):
        snapshots.keep(state, log)
    return state


def _check(ends: Mapping[Stream, int], heads: Mapping[Stream, int]) -> None:
    for stream, end in sorted(ends.items()):
        if stream not in heads:
            raise BusError(f"There is no partition {name_of(stream)} on this log.")
        if not 0 <= end <= heads[stream]:
            raise BusError(
                f"The position {name_of(stream)}:{end} is beyond the log, which ends at "
                f"{heads[stream]}."
            )


def records(log: Log, starts: Mapping[Stream, int], ends: Mapping[Stream, int]) -> Iterator[Record]:
    """Every record from `starts` to `ends`, about in the order in which they were said: then little
    is open at a time, and a snapshot on the way lies before most positions that are asked for."""
    streams = (
        log.read(*stream, starts.get(stream, 0), end)
        for stream, end in sorted(ends.items())
        if starts.get(stream, 0) < end
    )
    return merge(*streams, key=_time)


def _time(record: Record) -> str:
    return record.headers.get("ce_time", "")
