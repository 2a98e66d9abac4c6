"""The model itself proposes: it writes tasks in the proposer's role; a gate admits them.

What the gate refuses (unparseable, held-out, too hard, asked before) becomes an event that the
learner sees, and the rule curriculum fills the draw up, so that no collapse can starve the run.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Literal

from pydantic import Field

from agents.domains.domain import NotATask, Problem
from agents.parts import PartConfig, Parts
from agents.policies.config import CURRENT
from agents.policies.drawing import Stop, TopK, TopP
from agents.sources.curriculum import Curriculum, CurriculumConfig
from agents.sources.source import Draft, Draw, Refused, SourceState
from bus.events import LevelCount, Proposal, Task, Turn
from bus.log import Log


class LearnedConfig(PartConfig):
    """`share` of every draw is asked of the model, by the weights of `policy`, drawn as the solver
    draws; the rest, and
    whatever the gate refuses, of the rule `curriculum`. A task above the warm-up levels is novel if
    none of the last `memory` tasks was the same."""

    type: Literal["learned"] = "learned"
    share: float = Field(default=1.0, gt=0, le=1)
    temperature: float = Field(default=1.0, gt=0)
    top_p: TopP = 1.0
    top_k: TopK = 0
    stop: Stop = ()
    memory: int = Field(default=20_000, ge=0)
    policy: str = CURRENT
    curriculum: CurriculumConfig = CurriculumConfig()

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    def build(self, parts: Parts) -> "Learned":
        return Learned(parts, self)


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

    def __init__(self, parts: Parts, config: LearnedConfig) -> None:
        self._domain = parts.domain
        self._config = config
        self._policy = parts.policy(config.policy)
        self._log = parts.log
        self._rule = Curriculum(parts.domain, config.curriculum)
        self._novelty = Novelty((), config.memory)
        self._free_levels = max(parts.domain.warmup_levels, default=0)

    @property
    def state(self) -> SourceState:
        return self._rule.state

    def restore(self, state: SourceState) -> None:
        self._rule.restore(state)
        self._novelty = Novelty(_asked(self._log, self._config.memory), self._config.memory)

    def fold(self, batch: Sequence[LevelCount]) -> None:
        self._rule.fold(batch)

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        if count == 0:
            return Draw(drafts=())
        num_asked = max(1, round(count * self._config.share))
        turns = await self._policy.sample(
            self._domain.proposer_prompt(),
            num_asked,
            max_tokens=self._domain.max_proposal_tokens(),
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            top_k=self._config.top_k,
            stop=self._config.stop,
            since=version,
            seat="proposer",
        )
        drafts: list[Draft] = []
        refused: list[Refused] = []
        drawn: set[str] = set()
        for index, turn in enumerate(turns):
            proposal = Proposal(turn=turn, draw=draw_id, draw_size=num_asked, index=index)
            try:
                problem = self._admit(turn, drawn)
            except NotATask as error:
                refused.append(Refused(proposal=proposal, reason=str(error)))
            else:
                drafts.append(Draft(problem=problem, source="learned", proposal=proposal))
        drafts += [self._rule.draft(random) for _ in range(count - len(drafts))]
        return Draw(drafts=tuple(drafts), refused=tuple(refused))

    def _admit(self, turn: Turn, drawn: set[str]) -> Problem:
        """The problem that was written; raises `NotATask`. Easy ones may return in a later draw."""
        if turn.finish_reason != "stop":
            raise NotATask("not ended")
        problem = self._domain.read(turn.text)
        if problem.prompt in drawn or problem.prompt in self._novelty:
            raise NotATask("duplicate")
        drawn.add(problem.prompt)
        if problem.level > self._free_levels:
            self._novelty.add(problem.prompt)
        return problem


def _asked(log: Log, count: int) -> Iterator[str]:
    """The prompts of about the last `count` tasks on the log."""
    heads = {part: end for (topic, part), end in log.heads().items() if topic == Task.topic}
    share = count // len(heads)
    for partition, end in heads.items():
        for record in log.read(Task.topic, partition, max(0, end - share), end):
            task = record.event()
            if isinstance(task, Task):
                yield task.prompt
