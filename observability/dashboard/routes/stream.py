"""What is said, as it is said: server-sent events whose ids are positions of all runs of a page, so
that whoever comes back hears what it missed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from pydantic import TypeAdapter
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from bus.errors import BusError
from bus.groups import Stream, stream_of
from bus.log import Log
from observability.archive.place import ArchiveError
from observability.dashboard.asked import Wrong
from observability.dashboard.routes.events import as_json
from observability.dashboard.routes.runs import summary
from observability.dashboard.runs import Run, Runs
from observability.dashboard.watched import Unavailable
from observability.replay.position import named

BATCH = 500
_PAUSE_SECONDS = 0.25
_STATE_SECONDS = 1.0
_PING_SECONDS = 15
_LONGEST_ID = 16_384
_JSON: TypeAdapter[Any] = TypeAdapter(Any)

Ends = dict[Stream, int]


class Listener:
    """One page: what it has heard of each of its runs."""

    def __init__(self, runs: Runs, chosen: list[Run], heard: Mapping[str, Ends]) -> None:
        self._runs, self._chosen = runs, chosen
        self._heard = {run.id: heard.get(run.id) for run in chosen}
        self._errors: dict[str, str | None] = {}
        self._said: dict[str, tuple[float, Any]] = {}

    async def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        news = self._runs.news()
        try:
            for run in self._chosen:
                while run.watched.is_opening:
                    await _wait(news, _STATE_SECONDS)
                    news.clear()
                with suppress(Unavailable, BusError, ArchiveError):
                    await asyncio.to_thread(run.watched.look, partial(self._begin, run))
            yield self._event("runs", {"runs": [run.id for run in self._chosen]})
            while True:
                news.clear()
                more = False
                for run in self._chosen:
                    async for event in self._of(run):
                        more = more or event.event == "events"
                        yield event
                if not more:
                    # Now and then without news too: roles die in silence.
                    await _wait(news, _STATE_SECONDS)
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._runs.forget(news)

    async def _of(self, run: Run) -> AsyncIterator[ServerSentEvent]:
        error = run.watched.error
        if error != self._errors.get(run.id):
            self._errors[run.id] = error
            about = {"run": run.id} if error is None else {"run": run.id, "error": error}
            yield self._event("recovered" if error is None else "problem", about)
        try:
            records = await asyncio.to_thread(run.watched.look, partial(self._read, run))
        except (Unavailable, BusError, ArchiveError):
            return
        if records:
            heard = self._heard[run.id]
            assert heard is not None
            for one in records:
                heard[one["topic"], one["partition"]] = one["offset"] + 1
            records.sort(key=lambda one: (one["time"] or "", one["topic"], one["offset"]))
            said = {"run": run.id, "events": records, "position": named(heard)}
            yield self._event("events", said | {"total": sum(run.watched.heads.values())})
        at, before = self._said.get(run.id, (0.0, None))
        if monotonic() - at >= _STATE_SECONDS:
            state = await asyncio.to_thread(_state, run)
            if state != before:
                self._said[run.id] = (monotonic(), state)
                yield self._event("state", state)

    def _read(self, run: Run, log: Log) -> list[dict[str, Any]]:
        """The next records, as many as one message takes; the first time none: it begins now."""
        heads, heard = log.heads(), self._begin(run, log)
        found: list[dict[str, Any]] = []
        for stream, end in sorted(heads.items()):
            start = heard.get(stream, 0)
            if start < end and len(found) < BATCH:
                until = min(end, start + BATCH - len(found))
                found += [as_json(one, with_says=False) for one in log.read(*stream, start, until)]
        return found

    def _begin(self, run: Run, log: Log) -> Ends:
        """What was heard of it; who comes for the first time, or heard another log, has all."""
        heard = self._heard[run.id]
        if heard is None or any(end > log.heads().get(at, 0) for at, end in heard.items()):
            heard = self._heard[run.id] = log.heads()
        return heard

    def _event(self, kind: str, data: Any) -> ServerSentEvent:
        return ServerSentEvent(
            data=_JSON.dump_json(data).decode(), event=kind, id=id_of(self._heard)
        )


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return


def _state(run: Run) -> dict[str, Any]:
    said = summary(run)
    names = ("state", "version", "versions", "events", "held_out", "held_out_interval", "seen")
    found = {name: said.get(name) for name in (*names, "guard", "index")}
    pace = run.watched.pace.per_second
    control = said.get("control") or {"paused": [], "stopped": []}
    return found | {
        "run": run.id,
        "paused": control["paused"],
        "stopped": control["stopped"],
        "backlog": _backlog(run),
        "per_second": {name: round(value, 2) for name, value in pace.items()}
        | {"events": round(sum(pace.values()), 2)},
    }


def _backlog(run: Run) -> dict[str, int]:
    from observability.replay.waiting import ROLES

    try:
        return run.watched.state(
            None,
            lambda state: {
                role: sum(map(len, state.waiting.open(role).values())) for role in ROLES
            },
        )
    except Unavailable:
        return {}


def id_of(heard: Mapping[str, Ends | None]) -> str:
    """Positions of runs as the id of a message; of partitions without records nothing."""
    return json.dumps(
        {run: named(ends) for run, ends in heard.items() if ends is not None},
        separators=(",", ":"),
    )


def heard_of(text: str | None) -> dict[str, Ends]:
    """The positions of such an id. Raises `Wrong`."""
    if not text:
        return {}
    try:
        if len(text) > _LONGEST_ID:
            raise ValueError
        said = json.loads(text)
        return {
            str(run): {stream_of(name): max(0, int(end)) for name, end in ends.items()}
            for run, ends in said.items()
        }
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        raise Wrong(400, "Last-Event-ID: give back the id of a message as it was") from None


def stream_to(runs: Runs, request: Request) -> Response:
    """Raises `Wrong`."""
    named_runs = [one for one in (request.query_params.get("runs") or "").split(",") if one]
    chosen = [runs.named(one) for one in named_runs] or list(runs)
    last = request.headers.get("last-event-id") or request.query_params.get("last")
    listener = Listener(runs, chosen, heard_of(last))
    return EventSourceResponse(listener.__aiter__(), ping=_PING_SECONDS)
