"""Who asks: every published version grants tasks, so many that no attempt grows too old.

    open tasks <= (1 + ahead) x batch        credit = consumed + (1 + ahead) x batch - proposed

One commit holds the tasks, the refusals and the `Curriculum` event with the source's state, so
whoever answers the next version, after a restart or in another's place, goes on from the last one.
Knows no solver and no verdict, only counts by level.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from pydantic import BaseModel, ConfigDict, Field

from agents.sources.source import Draft, Refused, Source, SourceState
from bus.bus import Bus
from bus.events import Curriculum, Event, Refusal, Task, Weights, derive_id

AGENT = "proposer"


class ProposerConfig(BaseModel):
    """`ahead` batches are asked beyond the one being learned: the staleness that pacing allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ahead: int = Field(default=1, ge=0)


class Proposer:
    """Weights in; tasks, refusals and the curriculum's state out. `last` finds the newest state
    on the log, None in a new run."""

    def __init__(
        self,
        *,
        run: str,
        seed: int,
        domain: str,
        source: Source,
        batch: int,
        ahead: int,
        last: Callable[[], Curriculum | None] = lambda: None,
    ) -> None:
        self._run = run
        self._seed = seed
        self._domain = domain
        self._source = source
        self._open_tasks = (1 + ahead) * batch
        self._last = last
        self._proposed = 0
        self._answered: str | None = None

    def restore(self, last: Curriculum) -> None:
        """Go on from the last state on the log."""
        self._source.restore(SourceState(success=last.success, top=last.top))
        self._proposed = last.proposed

    async def handle(self, event: Weights) -> Sequence[Event]:
        # Another proposer, or an earlier process of this one, may have answered the parent.
        others = event.parent_id != self._answered
        if others and (last := await asyncio.to_thread(self._last)) is not None:
            self.restore(last)
        self._answered = event.id
        self._source.fold(event.batch)
        credit = max(0, event.consumed + self._open_tasks - self._proposed)
        random = Random(f"{self._seed}/{AGENT}/{event.number}")
        draw = await self._source.draw(credit, random, event.number, event.id)
        self._proposed += len(draw.drafts)
        return [
            self._curriculum(event, len(draw.refused)),
            *(self._task(event, 1 + i, draft) for i, draft in enumerate(draw.drafts)),
            *(
                self._refusal(event, 1 + len(draw.drafts) + i, refused)
                for i, refused in enumerate(draw.refused)
            ),
        ]

    def _curriculum(self, weights: Weights, num_refused: int) -> Curriculum:
        state = self._source.state
        return Curriculum(
            id=derive_id(self._run, AGENT, weights.id),
            run=self._run,
            agent=AGENT,
            weights=weights.id,
            weights_version=weights.number,
            source=type(self._source).__name__.lower(),
            success=state.success,
            top=state.top,
            proposed=self._proposed,
            refused=num_refused,
        )

    def _task(self, weights: Weights, index: int, draft: Draft) -> Task:
        problem = draft.problem
        return Task(
            id=derive_id(self._run, AGENT, weights.id, index),
            run=self._run,
            agent=AGENT,
            domain=self._domain,
            family=problem.family,
            level=problem.level,
            prompt=problem.prompt,
            question=problem.question,
            answer=problem.answer,
            metadata=problem.metadata,
            weights_version=weights.number,
            granted_by=weights.id,
            source=draft.source,
            proposal=draft.proposal,
        )

    def _refusal(self, weights: Weights, index: int, refused: Refused) -> Refusal:
        return Refusal(
            id=derive_id(self._run, AGENT, weights.id, index),
            run=self._run,
            agent=AGENT,
            proposal=refused.proposal,
            reason=refused.reason,
            weights_version=weights.number,
            granted_by=weights.id,
        )


def last_curriculum(bus: Bus) -> Curriculum | None:
    """The newest state on the log, None in a new run."""
    end = bus.heads()["curricula", 0]
    for record in bus.read("curricula", start=max(0, end - 1), end=end):
        event = record.event()
        assert isinstance(event, Curriculum)
        return event
    return None
