"""Which weights a role generates with: policies by name, each an engine that a follower keeps where
its rule says, and the one way to draw turns from it. Knows no role and no kind of engine.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypedDict, Unpack

from agents.engines.engine import Completion, Drawing, Engine, Prompt, Request, Unservable
from agents.engines.stopping import text_before
from agents.policies.chat import chatting
from bus.events import Turn
from bus.runner import Rejected


class Follows(Protocol):
    """Whoever keeps an engine where its rule says."""

    async def run(self) -> None:
        """Follow for ever."""
        ...

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves what is due once `version` is the newest, or a later one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Weights under a name, and who keeps them up to date. `model` is what they are called where
    they are watched, before a version."""

    name: str
    engine: Engine
    follower: Follows
    model: str = "model"

    async def sample(
        self,
        prompt: Prompt,
        n: int = 1,
        *,
        max_tokens: int,
        since: int = 0,
        seat: str = "",
        trainable: bool = True,
        **drawing: Unpack[Drawing],
    ) -> list[Turn]:
        """`n` answers to `prompt`, drawn together, `drawing` (temperature, top_p, top_k, stop) as
        `Request` has it: by what is due once version `since` is the newest, or a later one. A text
        that stops an answer is not part of the turn's text. `seat` says whose turn they are; what
        is not `trainable` is never learned from and does not age an attempt. Raises
        `Rejected` for what could not be served."""
        await self.follower.at_least(since)
        try:
            with chatting(self.model, self.name, prompt, n, max_tokens) as answered:
                turns = await sample(
                    self.engine,
                    prompt,
                    n,
                    max_tokens=max_tokens,
                    said=_Said(seat=seat, trainable=trainable, policy=self.name),
                    **drawing,
                )
                answered(turns)
                return turns
        except Unservable as error:
            raise Rejected(str(error)) from None


class Policies:
    """The policies of one process by name. `make` makes one when it is first asked for; whoever
    asks for the same name shares it."""

    def __init__(self, make: Callable[[str], Policy]) -> None:
        self._make = make
        self._made: dict[str, Policy] = {}

    def __call__(self, name: str) -> Policy:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __bool__(self) -> bool:
        """Whether any was asked for."""
        return bool(self._made)

    async def run(self) -> None:
        """Follow with all that were asked for, for ever. Raises what a follower raises."""
        async with asyncio.TaskGroup() as group:
            for policy in self._made.values():
                group.create_task(policy.follower.run())

    async def close(self) -> None:
        for policy in self._made.values():
            await policy.engine.close()


class _Said(TypedDict, total=False):
    """What a turn says of itself beside what the engine did."""

    seat: str
    trainable: bool
    policy: str


async def sample(
    engine: Engine,
    prompt: Prompt,
    n: int = 1,
    *,
    max_tokens: int,
    said: _Said | None = None,
    **drawing: Unpack[Drawing],
) -> list[Turn]:
    """`n` turns that no swap has cut off.

    A group with an aborted sample is drawn anew as a whole, under the new weights: to replace
    only what was cut off would prefer short answers within a group.
    """
    request = Request(prompt_tokens=engine.encode(prompt), n=n, max_tokens=max_tokens, **drawing)
    while True:
        completions = await engine.generate(request)
        if all(completion.finish_reason != "abort" for completion in completions):
            return [_turn(engine, request, each, said or {}) for each in completions]


def _turn(engine: Engine, request: Request, completion: Completion, said: _Said) -> Turn:
    """What a completion looks like on the log."""
    return Turn(
        prompt_tokens=request.prompt_tokens,
        tokens=completion.tokens,
        logprobs=completion.logprobs,
        text=text_before(engine.decode(completion.tokens), request.stop),
        finish_reason=completion.finish_reason,
        spans=completion.spans,
        temperature=request.temperature,
        top_p=request.top_p if request.narrowed else 1.0,
        top_k=request.top_k if request.narrowed else 0,
        **said,
    )
