"""The model itself proposes: it writes tasks in the proposer's role; a gate admits them.

What the gate refuses (unparseable, held-out, too hard, asked before, too much like another) becomes
an event that the learner sees, and the rule curriculum fills the draw up, so that no collapse can
starve the run.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field, model_validator

from agents.domains.domain import NotATask, asked
from agents.parts import PartConfig, Parts
from agents.policies.drawing import Stop, TopK, TopP
from agents.sources.context import Written, drawn, in_context, seed_tasks
from agents.sources.curriculum import Curriculum, CurriculumConfig
from agents.sources.gate import Gate
from agents.sources.memory import Entry, Memory, remembered
from agents.sources.source import Draft, Draw, Refused, SourceState
from bus.events import CURRENT, LevelCount, Proposal, Turn

SEAT = "proposer"


class LearnedConfig(PartConfig):
    """`share` of every draw is asked of the model, by the weights of `policy`, drawn as the solver
    draws; the rest, and whatever the gate refuses, of the rule `curriculum`. A task above the
    warm-up levels is novel if none of the last `memory` tasks was the same; with `most_alike` none
    that a model writes may have a greater ROUGE-L with a seed task, or with another that a model
    wrote.

    Before it writes, the model reads `show_seeds` of `seed_tasks` fixed tasks of the warm-up levels
    and `show_made` of those that models wrote. With `by_family` all of these are of one family, and
    what is written must be."""

    type: Literal["learned"] = "learned"
    share: float = Field(default=1.0, gt=0, le=1)
    temperature: float = Field(default=1.0, gt=0)
    top_p: TopP = 1.0
    top_k: TopK = 0
    stop: Stop = ()
    memory: int = Field(default=20_000, ge=0)
    most_alike: float | None = Field(default=None, gt=0, le=1)
    show_seeds: int = Field(default=0, ge=0)
    show_made: int = Field(default=0, ge=0)
    seed_tasks: int = Field(default=175, gt=0)
    by_family: bool = False
    policy: str = CURRENT
    curriculum: CurriculumConfig = CurriculumConfig()

    @model_validator(mode="after")
    def _tells_the_family(self) -> "LearnedConfig":
        if self.by_family and not self.shown:
            raise ValueError(
                "by_family needs show_seeds or show_made: by what it reads a model is told the "
                "family"
            )
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    @property
    def shown(self) -> int:
        """How many tasks stand before the proposer's prompt."""
        return self.show_seeds + self.show_made

    def build(self, parts: Parts) -> "Learned":
        return Learned(parts, self)


class Learned:
    """A model in the proposer's role. Its weights are its memory; the rule's state stands by."""

    def __init__(self, parts: Parts, config: LearnedConfig) -> None:
        self._domain = parts.domain
        self._config = config
        self._policy = parts.policy(config.policy)
        self._log = parts.log
        self._rule = Curriculum(parts.domain, config.curriculum)
        pooled = config.shown or config.most_alike is not None
        self._seeds = seed_tasks(parts.domain, config.seed_tasks, parts.seed) if pooled else ()
        self._memory = self._remembering(())
        self._free_levels = max(parts.domain.warmup_levels, default=0)

    @property
    def state(self) -> SourceState:
        return self._rule.state

    def restore(self, state: SourceState) -> None:
        self._rule.restore(state)
        self._memory = self._remembering(remembered(self._log, self._config.memory))

    def fold(self, batch: Sequence[LevelCount]) -> None:
        self._rule.fold(batch)

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        if count == 0:
            return Draw(drafts=())
        num_asked = max(1, round(count * self._config.share))
        wanted = self._families(num_asked)
        turns = await self._written(wanted, random, version)
        drafts: list[Draft] = []
        refused: list[Refused] = []
        gate = Gate(self._domain, self._memory, self._free_levels)
        for index, (turn, family) in enumerate(zip(turns, wanted, strict=True)):
            proposal = Proposal(turn=turn, draw=draw_id, draw_size=num_asked, index=index)
            try:
                problem = await asked(self._domain, gate.admit, turn, family)
            except NotATask as error:
                refused.append(Refused(proposal=proposal, reason=str(error)))
            else:
                drafts.append(Draft(problem=problem, source="learned", proposal=proposal))
        drafts += [self._rule.draft(random) for _ in range(count - len(drafts))]
        self._memory.add(map(_entry, drafts))
        return Draw(drafts=tuple(drafts), refused=tuple(refused))

    def _families(self, count: int) -> list[str | None]:
        """The family of each proposal, all alike; None leaves it to the model."""
        if not self._config.by_family:
            return [None] * count
        families = list(self._domain.families)
        return [families[index % len(families)] for index in range(count)]

    async def _written(
        self, wanted: Sequence[str | None], random: Random, version: int
    ) -> Sequence[Turn]:
        """One turn for each that is `wanted`, each behind tasks of its own."""
        if not self._config.shown:
            return await self._ask((), None, len(wanted), version)
        made = tuple(self._memory.written)
        counts = self._config.show_seeds, self._config.show_made
        shown = [drawn(self._seeds, made, counts, random, family) for family in wanted]
        try:
            async with asyncio.TaskGroup() as group:
                asking = [
                    group.create_task(self._ask(texts, family, 1, version))
                    for texts, family in zip(shown, wanted, strict=True)
                ]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [turn for task in asking for turn in task.result()]

    async def _ask(
        self, shown: Sequence[str], family: str | None, count: int, version: int
    ) -> list[Turn]:
        config = self._config
        return await self._policy.sample(
            in_context(self._domain.proposer_prompt(), shown),
            count,
            max_tokens=self._domain.max_proposal_tokens(),
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            stop=config.stop,
            since=version,
            seat=SEAT if family is None else f"{SEAT}/{family}",
        )

    def _remembering(self, entries: Sequence[Entry]) -> Memory:
        texts = [seed.text for seed in self._seeds]
        memory = Memory(self._config.memory, texts, self._config.most_alike)
        memory.keep(entries)
        return memory


def _entry(draft: Draft) -> Entry:
    problem, proposal = draft.problem, draft.proposal
    if proposal is None:
        return Entry(prompt=problem.prompt, written=None)
    written = Written(family=problem.family, text=proposal.turn.text)
    return Entry(prompt=problem.prompt, written=written)
