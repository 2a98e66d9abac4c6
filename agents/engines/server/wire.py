"""What agents and a server say to each other: JSON texts over one WebSocket per agent. Knows no
socket and no engine.

    agent -> server   Ask: requests with ids, and the ids of requests nobody waits for any more
    server -> agent   Say: what is served (first, and at every change), answers as they finish
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.engines.engine import Completion, Request, Swap

PROTOCOL = "evolvent.3"
"""The WebSocket subprotocol; both sides must name the same."""

SOCKET_PATH = "/evolvent/generate"
STATE_PATH = "/evolvent/version"
PROMPTING_PATH = "/evolvent/tokenizer"

TOKEN_VARIABLE = "EVOLVENT_SERVE_TOKEN"
"""The variable of the environment that holds the token of a server, on both sides."""

MAX_SAMPLES = 4096
MAX_MESSAGE_BYTES = 32 << 20


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class Asked(_Message):
    """A request. `at_least` is the oldest version that may answer it; `trace` carries the
    caller's trace context (W3C)."""

    id: str = Field(min_length=1, max_length=128)
    request: Request
    at_least: int = Field(default=0, ge=0)
    trace: Mapping[str, str] = Field(default_factory=dict)


class Ask(_Message):
    requests: tuple[Asked, ...] = ()
    cancel: tuple[str, ...] = ()


class Answer(_Message):
    """`kind` says what became of a request: completions, an error of whoever asked, or nothing
    yet (the server stops, or serves too old a version): ask another, or again."""

    id: str
    kind: Literal["done", "wrong", "again"]
    completions: tuple[Completion, ...] = ()
    error: str = ""


class State(_Message):
    """What a server serves. `digest` stands for the files of `version`; `refused` is the last
    version that it could not serve, and `reason` why."""

    version: int
    digest: str = ""
    engine: str
    evolvent: str
    draining: bool = False
    refused: int = -1
    reason: str = ""
    in_flight: int = 0
    swap: Swap | None = None


class PromptingFiles(_Message):
    """The files that agents need to make prompts, byte for byte as text: name to content."""

    texts: Mapping[str, str]


class Say(_Message):
    state: State | None = None
    answers: tuple[Answer, ...] = ()


def digest_of(files: Mapping[str, str]) -> str:
    """One short text for the files (name to sha256) of a version."""
    listed = "\n".join(f"{name}:{files[name].lower()}" for name in sorted(files))
    return hashlib.sha256(listed.encode()).hexdigest()[:32]
