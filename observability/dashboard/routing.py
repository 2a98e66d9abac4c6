"""Routes as the page's server has them: what is asked, in a thread of its own, and mistakes as a
sentence. Knows no subject.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Served

from bus.errors import BusError
from observability.archive.place import ArchiveError
from observability.dashboard.asked import Words, Wrong
from observability.dashboard.places import Place
from observability.dashboard.runs import Run, Runs
from observability.dashboard.source import Refused
from observability.dashboard.watched import Unavailable
from observability.lineage.lineage import UnknownEvent
from observability.replay.position import END, UnknownPosition, text_of

API = "/api/v1"
Made = TypeVar("Made")
_log = logging.getLogger(__name__)
_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class Ask:
    """One request: which run, at which position, with which words."""

    def __init__(self, runs: Runs, words: Words, body: Mapping[str, Any] | None = None) -> None:
        self.runs, self.words, self.body = runs, words, body or {}

    @cached_property
    def run(self) -> Run:
        return self.runs.named(self.words.path("run"))

    @cached_property
    def place(self) -> Place:
        return self.run.places.at(self.words.text("at"))

    def remembered(self, what: str, make: Callable[[], Made]) -> Made:
        """What was made of the run for this position not long ago, or is made: of a position in the
        past it stays the same."""
        ends = self.place.ends
        where = END if ends is None else text_of(ends)
        return self.run.made.get((what, self.place.at, where), ends is None, make)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter of an address: `about` is for people, `kind` as JSON schema has it."""

    name: str
    about: str
    kind: str = "string"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address. `answer` gives JSON from a request, and may wait for a disk; `send` does where
    somebody else is told."""

    path: str
    about: str
    answer: Callable[[Ask], Any] | None = None
    send: Callable[[Ask], Awaitable[Any]] | None = None
    method: str = "GET"
    params: Sequence[Param] = ()
    body: Mapping[str, str] = field(default_factory=dict)


AT = Param(name="at", about="A position as `--at` takes it: 12, an id, a time, end, tasks/0=12,…")
LIMIT = Param(name="limit", about="So many at most, up to 500.", kind="integer")
CURSOR = Param(name="cursor", about="What the answer before said as `next`.")


def served(route: Route, runs: Runs) -> Served:
    """As Starlette has it."""

    async def endpoint(request: Request) -> Response:
        words = Words(request.path_params, request.query_params.multi_items())
        try:
            ask = Ask(runs, words, await _body(request) if route.method != "GET" else None)
            if route.send is not None:
                said = await route.send(ask)
            else:
                assert route.answer is not None
                said = await asyncio.to_thread(route.answer, ask)
            # The numbers of a model may be infinite: JSON has null for those.
            return Response(_JSON.dump_json(said), media_type="application/json")
        except Wrong as wrong:
            return _error(wrong.status, wrong)
        except UnknownPosition as error:
            return _error(400, error)
        except UnknownEvent as error:
            return _error(404, error)
        except Refused as error:
            return _error(409, error)
        except (Unavailable, BusError, ArchiveError) as error:
            return _error(503, error)
        except sqlite3.Error as error:
            return _error(503, f"the index cannot be read ({error}): ask again soon")
        except Exception as error:
            _log.exception("%s", request.url.path)
            return _error(500, f"that cannot be answered ({type(error).__name__})")

    return Served(API + route.path, endpoint, methods=[route.method])


def _error(status: int, error: Exception | str) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=status)


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        found = await request.json()
        # Half a character can be said in JSON, and be written nowhere.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Wrong(400, "send one JSON object")
    return found
