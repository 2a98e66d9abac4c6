"""One request on its way: its prompts are drawn side by side, its answers put together at once or
sent in parts. Knows no network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agents.engines.engine import Completion, Heard, Request, Tells
from agents.engines.openai.asked import Asked, Wrong
from agents.engines.openai.choice import Choice
from agents.engines.openai.said import Shape, label_of, usage
from agents.engines.openai.speakers import Speaker, not_now
from bus.errors import first_of

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Tokens of one choice, as they were drawn."""

    index: int
    tokens: Sequence[int]
    logprobs: Sequence[float]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """All samples of one prompt."""

    place: int
    completions: Sequence[Completion]


class Answering:
    """Answers `asked` for `prompts`, each with `max_tokens` at most. Raises `Wrong`."""

    def __init__(
        self,
        asked: Asked,
        speaker: Speaker,
        prompts: Sequence[tuple[int, ...]],
        max_tokens: int,
        shape: Shape,
    ) -> None:
        self._asked = asked
        self._speaker = speaker
        self._prompts = prompts
        self._max_tokens = max_tokens
        self._shape = shape
        self._n = asked.n or 1
        decode = speaker.engine.decode
        self._choices = [Choice(decode, asked.stop) for _ in range(self._n * len(prompts))]
        self._num_tokens = 0
        self.versions: set[int] = set()

    async def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        try:
            async with asyncio.TaskGroup() as group:
                drawn = [group.create_task(self._draw(prompt)) for prompt in self._prompts]
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        shown = []
        for place, task in enumerate(drawn):
            for index, completion in self._numbered(place, task.result()):
                choice = self._choices[index]
                choice.hear(completion.tokens, completion.logprobs)
                choice.end(completion.finish_reason)
                text, pieces = choice.take()
                shown.append(self._shape.choice(index, text, pieces, choice.finish))
        return self._shape.whole(label_of(self.versions), shown, self._used())

    async def stream(self, send: Send) -> None:
        """The answer in parts, each as soon as it is certain."""
        parts: asyncio.Queue[_Part | _Done] = asyncio.Queue()
        begun: set[int] = set()
        try:
            async with asyncio.TaskGroup() as group:
                for place, prompt in enumerate(self._prompts):
                    group.create_task(self._draw_into(parts, place, prompt))
                num_left = len(self._prompts)
                while num_left:
                    part = await parts.get()
                    if isinstance(part, _Part):
                        await self._send_part(part, begun, send)
                    else:
                        await self._send_rest(part, begun, send)
                        num_left -= 1
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        options = self._asked.stream_options
        if options is not None and options.include_usage:
            last = self._shape.part(label_of(self.versions), ())
            await send(last | {"usage": self._used()})

    async def _draw(self, prompt: tuple[int, ...], heard: Heard | None = None) -> list[Completion]:
        """Samples that no swap has cut off."""
        asked, engine = self._asked, self._speaker.engine
        request = Request(
            prompt_tokens=prompt,
            n=self._n,
            max_tokens=self._max_tokens,
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_p=1.0 if asked.top_p is None else asked.top_p,
            top_k=asked.top_k or 0,
            stop=asked.stop,
            seed=asked.seed_of_engine,
        )
        while True:
            try:
                if heard is not None and isinstance(engine, Tells):
                    made = await engine.generate_telling(request, heard)
                else:
                    made = await engine.generate(request)
            except ValueError as error:
                raise Wrong(str(error)) from None
            except RuntimeError as error:
                raise not_now(str(error)) from None
            if all(completion.finish_reason != "abort" for completion in made):
                self._check_versions(made)
                return made

    def _check_versions(self, made: Sequence[Completion]) -> None:
        spoke = {span.version for completion in made for span in completion.spans}
        only = self._speaker.version
        if only is not None and spoke != {only}:
            raise not_now(f"version {only} was replaced while it spoke: ask again")
        self.versions |= spoke
        self._num_tokens += sum(len(completion.tokens) for completion in made)

    async def _draw_into(
        self, parts: "asyncio.Queue[_Part | _Done]", place: int, prompt: tuple[int, ...]
    ) -> None:
        def heard(row: int, tokens: Sequence[int], logprobs: Sequence[float], version: int) -> None:
            index = place * self._n + row
            parts.put_nowait(_Part(index=index, tokens=tokens, logprobs=logprobs, version=version))

        completions = await self._draw(prompt, heard)
        parts.put_nowait(_Done(place=place, completions=completions))

    async def _send_part(self, part: _Part, begun: set[int], send: Send) -> None:
        choice, model = self._choices[part.index], label_of([part.version])
        if self._shape.chat and part.index not in begun:
            await send(self._shape.part(model, [self._shape.first(part.index)]))
        begun.add(part.index)
        choice.hear(part.tokens, part.logprobs)
        await self._send_certain(part.index, model, send)

    async def _send_rest(self, done: _Done, begun: set[int], send: Send) -> None:
        """What was not told while it was drawn, token by token, and how each answer ended."""
        for index, completion in self._numbered(done.place, done.completions):
            choice = self._choices[index]
            for part in _unheard(index, completion, choice.num_tokens):
                await self._send_part(part, begun, send)
            choice.end(completion.finish_reason)
            model = label_of([completion.spans[-1].version])
            await self._send_certain(index, model, send)
            last = self._shape.more(index, "", (), choice.finish)
            await send(self._shape.part(model, [last]))

    async def _send_certain(self, index: int, model: str, send: Send) -> None:
        text, pieces = self._choices[index].take()
        if text or pieces:
            more = self._shape.more(index, text, pieces, None)
            await send(self._shape.part(model, [more]))

    def _numbered(
        self, place: int, completions: Sequence[Completion]
    ) -> Iterator[tuple[int, Completion]]:
        return enumerate(completions, start=place * self._n)

    def _used(self) -> dict[str, int]:
        num_prompt = sum(map(len, self._prompts))
        return usage(num_prompt, self._num_tokens)


def _unheard(index: int, completion: Completion, start: int) -> Iterator[_Part]:
    for span in completion.spans:
        for at in range(max(start, span.start), span.end):
            yield _Part(
                index=index,
                tokens=completion.tokens[at : at + 1],
                logprobs=completion.logprobs[at : at + 1],
                version=span.version,
            )
