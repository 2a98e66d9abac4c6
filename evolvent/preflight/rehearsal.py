"""What the model of a run will have to read and to write, found by letting the run's own sampler,
judges and source ask for it: every form of a prompt, on the longest problems of every level.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agents.domains.domain import Domain, Problem, fields_of
from agents.judges.config import JudgeConfig
from agents.parts import Parts
from agents.policies.policy import Policy
from agents.policies.serving import Serving
from agents.samplers.fields import NoField
from agents.sources.context import in_context
from bus.events import Attempt, Sample, Task, derive_id
from bus.memory.bus import MemoryBus
from evolvent.errors import UsageError
from evolvent.preflight.listener import Listener, Still, Unreadable
from evolvent.preflight.reader import Reader
from evolvent.recipe.recipe import Recipe

_RUN = "preflight"
_SECONDS = 5.0
"""How long a part from outside may take for one answer; it is passed over then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one request takes, in tokens: `reads` of a prompt, `writes` for a right answer, and
    `room` for whatever is drawn."""

    what: str
    level: int
    reads: int
    writes: int
    room: int


class Rehearsal:
    """Of one recipe with its domain, for one reader."""

    def __init__(self, recipe: Recipe, domain: Domain, reader: Reader) -> None:
        self._recipe = recipe
        self._domain = domain
        self._reader = reader
        self._listener = Listener(reader.prompting)
        policy = partial(Policy, engine=self._listener, follower=Still())
        self._parts = Parts(
            run=_RUN,
            seed=recipe.seed,
            domain=_Built(domain),
            log=MemoryBus().log,
            policy=lambda name: policy(name=name),
            serving=Serving(lambda: self._listener, Path()),
        )

    def needs(self, problems: Sequence[Problem]) -> list[Need]:
        """Of the longest `problems` of each family and level. Raises `UsageError` for what cannot
        be read."""
        # In a thread of its own: whoever asks may be within a loop of events.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self._needs(problems))).result()

    async def _needs(self, problems: Sequence[Problem]) -> list[Need]:
        chosen = list(_longest(problems))
        found: list[Need] = []
        for index, problem in enumerate(chosen):
            found += await self._solving(index, problem)
        for problem in {problem.level: problem for problem in chosen}.values():
            found += await self._judging(problem)
        return found + await self._proposing(problems)

    async def _solving(self, index: int, problem: Problem) -> list[Need]:
        config, room = self._recipe.solver, self._domain.max_answer_tokens(problem.level)
        stated = getattr(self._recipe.domain, "max_answer_tokens", None)
        self._listener.answer = self._tokens(problem.answer)
        speak = partial(
            self._parts.policy(config.policy).sample,
            max_tokens=room,
            temperature=config.temperature,
        )
        task = _task(problem, index)
        asked = (f"level {problem.level} of {problem.family}", problem.level)
        writes = stated or len(self._listener.answer) + 1
        sampler = getattr(self._recipe.sampler, "fullest", self._recipe.sampler)
        return await self._noted(
            *asked,
            writes,
            lambda: sampler.build(self._parts).sample(task, 1, speak),
        ) or await self._noted(*asked, writes, lambda: speak(problem.prompt))

    async def _judging(self, problem: Problem) -> list[Need]:
        needs: list[Need] = []
        for judge in (judge for judge in self._recipe.all_judges if judge.uses):
            answer = self._tokens(problem.answer) or (2,)
            attempt = await self._attempt(problem, answer)
            needs += await self._noted(
                f"the question of judge.type = {judge.type!r} on level {problem.level}",
                problem.level,
                None,
                partial(self._judged, judge, attempt),
            )
        return needs

    async def _judged(self, judge: JudgeConfig, attempt: Attempt) -> None:
        await judge.build(self._parts).judge(attempt)

    async def _attempt(self, problem: Problem, answer: tuple[int, ...]) -> Attempt:
        self._listener.answer = answer
        room = self._domain.max_answer_tokens(problem.level)
        turns = await self._parts.policy(self._recipe.solver.policy).sample(
            problem.prompt, max_tokens=room
        )
        return Attempt(
            id=derive_id(_RUN, "solver", problem.prompt),
            run=_RUN,
            agent="solver",
            task=_task(problem, 0),
            samples=(Sample(turns=tuple(turns)),),
            temperature=1.0,
        )

    async def _proposing(self, problems: Sequence[Problem]) -> list[Need]:
        taught = self._recipe.warmup.proposal_share > 0
        if not self._recipe.source.uses and not taught:
            return []
        written = [self._tokens(self._domain.write(problem)) for problem in problems]
        self._listener.answer = ()
        policy = self._parts.policy("current")
        longest = max((self._domain.write(problem) for problem in problems), key=len)
        shown = [longest] * getattr(self._recipe.source, "shown", 0)
        return await self._noted(
            "the proposer's prompt with the longest task",
            max(problem.level for problem in problems),
            1 + max(map(len, written)),
            lambda: policy.sample(
                in_context(self._domain.proposer_prompt(), shown),
                max_tokens=self._domain.max_proposal_tokens(),
            ),
        )

    def _tokens(self, text: str) -> tuple[int, ...]:
        if (lost := self._reader.missing(text)) is not None:
            raise UsageError(unreadable(text, lost))
        return tuple(self._reader.prompting.tokenizer.encode(text, add_special_tokens=False).ids)

    async def _noted(
        self, what: str, level: int, writes: int | None, ask: Callable[[], Awaitable[object]]
    ) -> list[Need]:
        """What is asked of the listener by `ask`; a right answer takes `writes`, None for all the
        room that it has. A plug-in may fail on what a listener says: that is passed over."""
        self._listener.asked.clear()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(ask(), _SECONDS)
        except Unreadable as error:
            raise UsageError(f"{what} cannot be read by the model: {error}") from None
        except NoField as error:
            raise UsageError(str(error)) from None
        except Exception:
            if not self._listener.asked:
                return []
        return [
            Need(what=what, level=level, reads=one.reads, writes=writes or one.room, room=one.room)
            for one in self._listener.asked
        ]


def unreadable(text: str, lost: str) -> str:
    """What to tell of a text with characters that have no token."""
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    return (
        f"the model's alphabet lacks {lost}, which {shown!r} needs: give domain.prompt a form "
        "without it, or choose a model that reads it (a fresh one without model.vocab reads all)"
    )


@dataclass(frozen=True, slots=True)
class _Built:
    domain: Domain

    def build(self, parts: Parts) -> Domain:
        return self.domain


def _longest(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Of each family and level the problem with the longest prompt, and that with the longest
    answer in the place of its own."""
    cells: dict[tuple[str, int], list[Problem]] = {}
    for problem in problems:
        cells.setdefault((problem.family, problem.level), []).append(problem)
    for cell in cells.values():
        reads = max(cell, key=lambda problem: len(problem.prompt))
        writes = max(cell, key=lambda problem: len(problem.answer))
        yield replace(reads, answer=writes.answer)


def _task(problem: Problem, index: int) -> Task:
    version = derive_id(_RUN, "trainer", "0")
    return Task(
        id=derive_id(_RUN, "proposer", version, index),
        run=_RUN,
        agent="proposer",
        domain="preflight",
        **fields_of(problem),
        weights_version=0,
        granted_by=version,
        source="preflight",
    )
