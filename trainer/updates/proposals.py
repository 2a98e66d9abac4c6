"""How a model learns to propose: it imitates its own proposals that proved learnable.

A proposal that the solver solved sometimes is kept in the queue of its cell (family, level).
Cells are drawn by the running mean of learnability 1 - |2p - 1|; within a cell the least likely
of a few is imitated, which keeps what is written from narrowing to a few favourite texts. Rows
of the warm-up (the anchor) keep the form of a task alive.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from bus.events import Judgment
from trainer.rows import Row, row_of

if TYPE_CHECKING:
    from trainer.replay import Replay

PROPOSED = "proposed/"
WARMUP_PROPOSED = "warm-up/proposed"
_CHOICES = 4
_FLOOR = 0.02
_FULL_COUNT = 4


def keep_proposals(judgments: Iterable[Judgment], replay: "Replay") -> None:
    """Put learnable proposals into their queues and fold the learnability of every cell."""
    learnability: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        task = judgment.attempt.task
        if task.proposal is None:
            continue
        cell = f"{PROPOSED}{task.family}/{task.level}"
        learnability[cell].append(1 - abs(2 * judgment.success - 1))
        if learnability[cell][-1] > 0:
            # The end token and the first one (the family) say nothing about novelty.
            inner = task.proposal.turn.logprobs[1:-1]
            replay.add(cell, row_of(task.proposal.turn, weight=fmean(inner or (0.0,))))
    for cell, values in learnability.items():
        rate = 0.5 * min(1.0, len(values) / _FULL_COUNT)
        known = replay.rates.get(cell, 0.5)
        replay.rates[cell] = known + rate * (fmean(values) - known)


def proposal_rows(count: int, replay: "Replay", random: Random) -> list[Row]:
    """`count` learnable proposals to imitate; none while there are none."""
    cells = replay.names(PROPOSED)
    if not cells:
        return []
    weights = [replay.rates[cell] + _FLOOR for cell in cells]
    rows = []
    for cell in random.choices(cells, weights, k=count):
        drawn = [replay.draw(cell, random) for _ in range(_CHOICES)]
        rows.append(replace(min(drawn, key=lambda row: row.weight), weight=1.0))
    return rows
