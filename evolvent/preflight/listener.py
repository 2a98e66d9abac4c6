"""An engine that answers what it is told and notes what it was asked: for rehearsing a run's parts
with its real tokenizer and no model."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.engines.checkpoint.prompting import Prompting
from agents.engines.engine import Completion, Prompt, Request, Swap
from bus.events import Span


class Unreadable(Exception):
    """A prompt that the model's tokenizer, or its chat template, makes no tokens of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: how many tokens were read, and how many might be drawn."""

    reads: int
    room: int


class Listener:
    """`Engine` of which every answer is `answer`, over and over until there is no more room: as
    long as the worst that a model could say."""

    version = 0

    def __init__(self, prompting: Prompting) -> None:
        self._prompting = prompting
        self.answer: tuple[int, ...] = ()
        self.asked: list[Asked] = []

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        try:
            return self._prompting.encode(prompt)
        except Exception as error:  # whatever a template or a tokenizer raises
            raise Unreadable(" ".join(str(error).split()).rstrip(".")) from None

    def decode(self, tokens: Sequence[int]) -> str:
        return self._prompting.decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        self.asked.append(Asked(reads=len(request.prompt_tokens), room=request.max_tokens))
        said = self.answer or request.prompt_tokens[-1:]
        tokens = (said * (1 + request.max_tokens // len(said)))[: request.max_tokens]
        completion = Completion(
            tokens=tokens,
            logprobs=(-1.0,) * len(tokens),
            finish_reason="stop",
            spans=(Span(version=0, start=0, end=len(tokens)),),
        )
        return [completion] * request.n

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        return Swap(from_version=0, to_version=0)

    async def close(self) -> None:
        pass


class Still:
    """What the listener follows: nothing, and it is never behind."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def at_least(self, version: int) -> None:
        pass
