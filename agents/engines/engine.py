"""Who generates: the `Engine` protocol, token ids in and token ids out. Knows no task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypedDict, runtime_checkable

from bus.errors import Outage
from bus.events import Span


class SwapRefused(Outage):
    """New weights were not taken (a digest, a shape, a value); the old version still serves."""


class EngineUnusable(Outage):
    """This engine cannot serve here; the sentence says what is wrong and what mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One part of a conversation: who says it, as chat templates call them, and what. What a model
    without a chat template has sampled itself it reads again as the same `tokens`."""

    role: Literal["system", "user", "assistant"]
    text: str
    tokens: tuple[int, ...] = ()


Prompt = str | tuple[Message, ...]
"""What a model is to answer: a conversation, or the one message of a user."""


def messages_of(prompt: Prompt) -> tuple[Message, ...]:
    return (Message(role="user", text=prompt),) if isinstance(prompt, str) else prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`n` samples for one prompt, of `max_tokens` or what the model's context leaves. Temperature 0
    is greedy. `seed` fixes the samples.

    Of the distribution at `temperature` the `top_k` likeliest tokens are left (0: all), and of
    these the fewest that make up `top_p`. A sample ends with the token that makes its text hold one
    of the texts `stop`.
    """

    prompt_tokens: tuple[int, ...]
    n: int = 1
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def narrowed(self) -> bool:
        """Whether some tokens cannot be drawn that could be."""
        return self.temperature > 0 and (self.top_p < 1 or self.top_k > 0)


class Drawing(TypedDict, total=False):
    """How a turn is drawn; what is left out is as a `Request` has it."""

    temperature: float
    top_p: float
    top_k: int
    stop: tuple[str, ...]


LOWEST, HIGHEST = 1e-4, 1e4
"""Temperatures within which quotients of logits are numbers."""


class Unservable(ValueError):
    """A request that no model, or not this one, could serve: the event that asks for it is at
    fault."""


def check_drawing(request: Request) -> None:
    """Raises `Unservable` for what no engine could draw."""
    if request.temperature != 0 and not LOWEST <= request.temperature <= HIGHEST:
        raise Unservable(f"a request needs a temperature of 0, or from {LOWEST} to {HIGHEST}")
    if not 0 < request.top_p <= 1 or request.top_k < 0:
        raise Unservable("a request needs 0 < top_p <= 1 and top_k >= 0")
    if not all(request.stop):
        raise Unservable("a request cannot stop at an empty text")


def fitted(request: Request, vocab: int, max_length: int | None = None) -> Request:
    """The request as a model of `vocab` tokens that reads `max_length` can serve it: an answer ends
    where the model's context does. Raises `Unservable`."""
    if not request.prompt_tokens:
        raise Unservable("a request needs at least one prompt token")
    if not 0 <= min(request.prompt_tokens) <= max(request.prompt_tokens) < vocab:
        raise Unservable(f"prompt tokens must lie in [0, {vocab}), the model's vocabulary")
    if request.n < 1 or request.max_tokens < 1:
        raise Unservable("a request needs n >= 1 and max_tokens >= 1")
    check_drawing(request)
    request = replace(request, top_k=min(request.top_k, vocab))
    if max_length is None:
        return request
    room = max_length - len(request.prompt_tokens)
    if room < 1:
        raise Unservable(
            f"the prompt has {len(request.prompt_tokens)} tokens, which leave no room for an "
            f"answer in the {max_length} that the model reads"
        )
    return replace(request, max_tokens=min(request.max_tokens, room))


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sample. `logprobs[i]` is that of `tokens[i]` under the sampling distribution: what was
    left to draw from has the probability 1 (for greedy: under the untempered softmax). A stop
    token, when sampled, is the last token."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length", "abort"]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What a swap did. `pause_ms` is how long generation stood still."""

    from_version: int
    to_version: int
    load_ms: float = 0.0
    pause_ms: float = 0.0
    in_flight: int = 0


Heard = Callable[[int, Sequence[int], Sequence[float], int], None]
"""Hears of tokens as they are drawn: of which sample, the tokens, log-probabilities, version."""


@runtime_checkable
class Tells(Protocol):
    """An engine that also tells what it draws while it draws it: of every sample a beginning."""

    async def generate_telling(self, request: Request, heard: Heard) -> list[Completion]: ...


@runtime_checkable
class Likelihoods(Protocol):
    """An engine that also says how likely answers are that nobody drew."""

    async def log_likelihoods(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        """Of each answer the logarithm of the probability that just this is said after `prompt`, at
        temperature 1, and ended."""
        ...


class Engine(Protocol):
    """Serves one version at a time; every token is attributed to the version that made it."""

    @property
    def version(self) -> int:
        """The version being served; -1 before the first swap."""
        ...

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt as tokens: through the model's chat template where it has one, else the texts
        of its messages one after another."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text without special tokens."""
        ...

    async def generate(self, request: Request) -> list[Completion]:
        """`request.n` completions. Requests of many callers are batched together."""
        ...

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """Serve the checkpoint in `folder` from the next decode step on, dropping no request.

        `files` maps file names to sha256; they are checked first. Raises `SwapRefused`.
        A version not above the one served is passed over.
        """
        ...

    async def close(self) -> None: ...
