"""Who asks: every published version grants tasks, so many that no attempt grows too old.

    open tasks <= (1 + ahead) x batch        credit = consumed + (1 + ahead) x batch - proposed

One commit holds the tasks, the refusals and the `Curriculum` event with the source's state, so
whoever answers the next version, after a restart or in another's place, goes on from the last one.
Knows no solver and no verdict, only counts by level.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents.domains.domain import fields_of
from agents.parts import Parts
from agents.sources.source import Draft, Refused, Source, SourceState
from bus.codec import can_be_written
from bus.errors import Unreadable
from bus.events import Control, Curriculum, Event, Refusal, Task, Weights, derive_id
from bus.log import Log

AGENT = "proposer"


class ProposerConfig(BaseModel):
    """`ahead` batches are asked beyond the one being learned: the staleness that pacing allows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ahead: int = Field(default=1, ge=0)


class Proposer:
    """Weights in; tasks, refusals and the curriculum's state out.

    `make_source` builds the source that the recipe names, with the settings of the operator's last
    `objective` where there is one; `named` is what it is called on the log.
    """

    def __init__(
        self,
        parts: Parts,
        make_source: Callable[[Mapping[str, Any]], Source],
        *,
        named: str,
        objective: Callable[[], Control | None] = lambda: None,
        batch: int,
        ahead: int,
    ) -> None:
        self._run = parts.run
        self._seed = parts.seed
        self._log = parts.log
        self._domain = parts.domain.name
        self._make_source = make_source
        self._source = make_source({})
        self._named = named
        self._objective = objective
        self._open_tasks = (1 + ahead) * batch
        self._proposed = 0
        self._answered: str | None = None
        self._asks_by: Control | None = None

    async def handle(self, event: Weights) -> Sequence[Event]:
        await asyncio.to_thread(self._go_on, event)
        self._answered = event.id
        self._source.fold(event.batch)
        credit = max(0, event.consumed + self._open_tasks - self._proposed)
        random = Random(f"{self._seed}/{AGENT}/{event.number}")
        draw = await self._source.draw(credit, random, event.number, event.id)
        tasks = [self._task(event, 1 + i, draft) for i, draft in enumerate(draw.drafts)]
        refusals = [
            self._refusal(event, 1 + len(tasks) + i, refused)
            for i, refused in enumerate(draw.refused)
        ]
        # What no log takes is not asked: the other tasks are.
        tasks = [task for task in tasks if can_be_written(task)]
        refusals = [refusal for refusal in refusals if can_be_written(refusal)]
        self._proposed += len(tasks)
        return [self._curriculum(event, len(refusals)), *tasks, *refusals]

    def _go_on(self, event: Weights) -> None:
        """From the last state on the log, if another proposer, or an earlier process of this one,
        has answered the parent; by the operator's last objective."""
        objective = self._objective()
        if objective != self._asks_by:
            state = self._source.state
            self._source = self._make_source({} if objective is None else objective.settings)
            self._source.restore(state)
            self._asks_by = objective
        if event.parent_id != self._answered and (last := last_curriculum(self._log)) is not None:
            self._source.restore(
                SourceState(success=last.success, top=last.top, asked=last.proposed)
            )
            self._proposed = last.proposed

    def _curriculum(self, weights: Weights, num_refused: int) -> Curriculum:
        state = self._source.state
        return Curriculum(
            id=derive_id(self._run, AGENT, weights.id),
            run=self._run,
            agent=AGENT,
            weights=weights.id,
            weights_version=weights.number,
            source=self._named,
            success=state.success,
            top=state.top,
            proposed=self._proposed,
            refused=num_refused,
            objective=None if self._asks_by is None else self._asks_by.id,
        )

    def _task(self, weights: Weights, index: int, draft: Draft) -> Task:
        problem = draft.problem
        return Task(
            id=derive_id(self._run, AGENT, weights.id, index),
            run=self._run,
            agent=AGENT,
            domain=self._domain,
            **fields_of(problem),
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


def last_curriculum(log: Log) -> Curriculum | None:
    """The newest state on the log, None in a new run."""
    end = log.heads()[Curriculum.topic, 0]
    while end > 0:
        [record] = log.read(Curriculum.topic, start=end - 1, end=end)
        with suppress(Unreadable):
            if isinstance(event := record.event(), Curriculum):
                return event
        end -= 1
    return None
