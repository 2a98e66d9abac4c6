"""The dashboard's server: its routes, its pages, who may ask.

Guard (Host, Origin, token, policy) -> /api/v1/...  Runs -> Watched -> log, state, index
                                    -> /static/...  files
                                    -> every other address: the page, which reads it itself
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Served
from starlette.staticfiles import StaticFiles

from observability.dashboard.asked import Wrong
from observability.dashboard.guard import Guard
from observability.dashboard.numbers import Numbers
from observability.dashboard.openapi import openapi, page
from observability.dashboard.routes import (
    agents,
    compare,
    control,
    events,
    runs,
    search,
    series,
    stream,
    task,
    tasks,
    timeline,
    versions,
)
from observability.dashboard.routing import API, Param, Route, served
from observability.dashboard.runs import Runs
from observability.dashboard.source import Source

STATIC = Path(__file__).parent / "static"
_COMPRESSED_BYTES = 1024

ROUTES: tuple[Route, ...] = (
    *runs.ROUTES,
    *series.ROUTES,
    *timeline.ROUTES,
    *versions.ROUTES,
    *tasks.ROUTES,
    *task.ROUTES,
    *events.ROUTES,
    *search.ROUTES,
    *agents.ROUTES,
    *compare.ROUTES,
    *control.ROUTES,
)
_STREAM = Route(
    path="/stream",
    about="Server-sent events of all runs of a page: events, state, problem, recovered.",
    params=(
        Param(name="runs", about="Of these, separated by commas; all."),
        Param(name="last", about="The id of the last message, as Last-Event-ID has it."),
    ),
)
_SESSION = Route(path="/session", about="What this page may do.")


def dashboard(sources: Sequence[Source], token: str = "", *, control: bool = False) -> Starlette:
    """The application over these runs: without a `token` for this machine alone, and only with
    `control` and a token for more than reading."""
    control = control and bool(token)
    known, numbers = Runs(sources), Numbers()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        known.start()
        yield
        await known.close()

    async def session(request: Request) -> Response:
        said: dict[str, Any] = {"version": version("evolvent"), "token": bool(token)}
        return JSONResponse(said | {"control": control, "read_only": not control})

    async def streamed(request: Request) -> Response:
        try:
            return stream.stream_to(known, request)
        except Wrong as wrong:
            return JSONResponse({"error": str(wrong)}, status_code=wrong.status)

    async def metrics(request: Request) -> Response:
        try:
            text, kind = await asyncio.to_thread(numbers.text, known)
        except ModuleNotFoundError:
            said = "metrics need the extra `telemetry`: `uv sync --extra telemetry`"
            return JSONResponse({"error": said}, status_code=404)
        return Response(text, headers={"Content-Type": kind})

    document = [_SESSION, _STREAM, *ROUTES]
    app = Starlette(
        routes=[
            Served(f"{API}/session", session),
            Served(f"{API}/stream", streamed),
            Served(f"{API}/openapi.json", lambda request: JSONResponse(openapi(document))),
            Served(f"{API}/docs", lambda request: HTMLResponse(page(document))),
            *(served(route, known) for route in ROUTES),
            Served("/metrics", metrics),
            Served("/api/{rest:path}", _nothing, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
            Mount("/static", StaticFiles(directory=STATIC)),
            Served("/{rest:path}", _page),
        ],
        middleware=[
            Middleware(Guard, token=token, control=control),
            Middleware(GZipMiddleware, minimum_size=_COMPRESSED_BYTES),
        ],
        lifespan=lifespan,
    )
    app.state.runs = known
    return app


async def _nothing(request: Request) -> Response:
    said = f"there is no {request.method} {request.url.path[:200]} here: see {API}/docs"
    return JSONResponse({"error": said}, status_code=404)


async def _page(request: Request) -> Response:
    """Every view is an address."""
    index = STATIC / "index.html"
    if not index.exists():
        return HTMLResponse(
            f'<p>The pages are not here; the API is at <a href="{API}/docs">docs</a>.'
        )
    return FileResponse(index, headers={"Cache-Control": "no-cache"})
