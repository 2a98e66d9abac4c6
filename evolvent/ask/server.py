"""A running server that is asked for a version of a run, instead of loading it here. Loads no
engine; believes no address before it has answered with the run's own weights.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import ValidationError

from agents.engines.server.wire import STATE_PATH, TOKEN_VARIABLE, State, digest_of
from bus.log import Log
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.run.servers import notes

_LOOK_SECONDS = 3.0
_ANSWER_SECONDS = 300.0
_OPENER = build_opener(ProxyHandler({}))


class NotServed(Exception):
    """The server does not answer, or not for this version; the sentence says which."""


@dataclass(frozen=True, slots=True)
class AskedServer:
    """The server at `url`."""

    url: str

    def state(self) -> State:
        """Raises `NotServed`."""
        try:
            return State.model_validate(self._said(STATE_PATH, None, _LOOK_SECONDS))
        except ValidationError:
            raise NotServed(f"{self.url} is no server of evolvent") from None

    def answer(
        self, version: int, prompt: str, max_tokens: int, stop: Sequence[str]
    ) -> tuple[str, bool]:
        """The greedy answer, and whether the model ended it. Raises `NotServed`."""
        body = {
            "model": f"v{version}",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stop": list(stop),
        }
        said = self._said("/v1/chat/completions", body, _ANSWER_SECONDS)
        try:
            [choice] = said["choices"]
            return str(choice["message"]["content"]), choice["finish_reason"] == "stop"
        except (KeyError, TypeError, ValueError):
            raise NotServed(f"{self.url} speaks, but not as a server of evolvent does") from None

    def _said(self, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
        headers = {"Content-Type": "application/json"}
        if token := os.environ.get(TOKEN_VARIABLE):
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(self.url + path, data, headers)
            with _OPENER.open(request, timeout=seconds) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise NotServed(f"{self.url}: {_reason(error)}") from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise NotServed(f"{self.url} does not answer ({error})") from None


def named_server(url: str, log: Log) -> AskedServer:
    """The server that a user names. Raises `UsageError` if it cannot be asked about this run."""
    server = AskedServer(url.rstrip("/"))
    try:
        if not _is_of(server.state(), log):
            raise UsageError(f"{url} serves another run: name a server of this one")
    except NotServed as error:
        raise UsageError(f"{error}: start one with `evolvent serve RUN`") from None
    return server


def running_server(run: Path, log: Log) -> AskedServer | None:
    """A server that says in the run's folder that it is there, and is."""
    for note in notes(run):
        server = AskedServer(note.url)
        try:
            if _is_of(server.state(), log):
                return server
        except NotServed:
            continue
    return None


def _is_of(state: State, log: Log) -> bool:
    """Whether a server serves this run's weights: their files are the run's."""
    weights = Versions(log).numbered(state.version) if state.version >= 0 else None
    return weights is not None and digest_of(weights.files) == state.digest


def _reason(error: HTTPError) -> str:
    if error.code == 401:
        return f"it needs its token in {TOKEN_VARIABLE}"
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"it answers {error.code}"
