"""The model itself proposes: it writes tasks in the proposer's role; a gate admits them.

What the gate refuses (unparseable, held-out, too hard, asked before) becomes an event that the
learner sees, and the rule curriculum fills the draw up, so that no collapse can starve the run.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.domains.domain import Domain, NotATask, Problem
from agents.engines.engine import Completion, Engine, Request, draw
from agents.solver import Policy, turn_of
from agents.sources.curriculum import Curriculum, CurriculumConfig
from agents.sources.source import Draft, Draw, Refused, SourceState
from bus.events import LevelCount, Proposal


class LearnedConfig(BaseModel):
    """`share` of every draw is asked of the model, by the weights of `policy`; the rest, and
    whatever the gate refuses, of the rule `curriculum`. A task above the warm-up levels is novel if
    none of the last `memory` tasks was the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["learned"] = "learned"
    share: float = Field(default=1.0, gt=0, le=1)
    temperature: float = Field(default=1.0, gt=0)
    memory: int = Field(default=20_000, ge=0)
    policy: str = "current"
    curriculum: CurriculumConfig = CurriculumConfig()


class Novelty:
    """The prompts asked last, oldest forgotten first."""

    def __init__(self, prompts: Iterable[str], capacity: int) -> None:
        self._capacity = capacity
        self._prompts: OrderedDict[str, None] = OrderedDict()
        for prompt in prompts:
            self.add(prompt)

    def __contains__(self, prompt: str) -> bool:
        return prompt in self._prompts

    def add(self, prompt: str) -> None:
        self._prompts[prompt] = None
        if len(self._prompts) > self._capacity:
            self._prompts.popitem(last=False)


class Learned:
    """A model in the proposer's role. Its weights are its memory; the rule's state stands by."""

    def __init__(
        self,
        domain: Domain,
        config: LearnedConfig,
        engine: Engine,
        policy: Policy,
        asked: Callable[[int], Iterable[str]],
    ) -> None:
        self._domain = domain
        self._config = config
        self._engine = engine
        self._policy = policy
        self._rule = Curriculum(domain, config.curriculum)
        self._asked = asked
        self._novelty = Novelty((), config.memory)
        self._free_levels = max(domain.warmup_levels)

    @property
    def state(self) -> SourceState:
        return self._rule.state

    def restore(self, state: SourceState) -> None:
        self._rule.restore(state)
        self._novelty = Novelty(self._asked(self._config.memory), self._config.memory)

    def fold(self, batch: Sequence[LevelCount]) -> None:
        self._rule.fold(batch)

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        if count == 0:
            return Draw(drafts=())
        await self._policy.at_least(version)
        request = Request(
            prompt_tokens=self._engine.encode(self._domain.proposer_prompt()),
            n=max(1, round(count * self._config.share)),
            max_tokens=self._domain.max_proposal_tokens(),
            temperature=self._config.temperature,
        )
        drafts: list[Draft] = []
        refused: list[Refused] = []
        drawn: set[str] = set()
        for index, completion in enumerate(await draw(self._engine, request)):
            proposal = Proposal(
                turn=turn_of(self._engine, request, completion),
                draw=draw_id,
                draw_size=request.n,
                index=index,
            )
            try:
                problem = self._admit(proposal.turn.text, completion, drawn)
            except NotATask as error:
                refused.append(Refused(proposal=proposal, reason=str(error)))
            else:
                drafts.append(Draft(problem=problem, source="learned", proposal=proposal))
        drafts += [self._rule.draft(random) for _ in range(count - len(drafts))]
        return Draw(drafts=tuple(drafts), refused=tuple(refused))

    def _admit(self, text: str, completion: Completion, drawn: set[str]) -> Problem:
        """The problem that `text` is; raises `NotATask`. Easy ones may return in a later draw."""
        if completion.finish_reason != "stop":
            raise NotATask("not ended")
        problem = self._domain.read(text)
        if problem.prompt in drawn or problem.prompt in self._novelty:
            raise NotATask("duplicate")
        drawn.add(problem.prompt)
        if problem.level > self._free_levels:
            self._novelty.add(problem.prompt)
        return problem
