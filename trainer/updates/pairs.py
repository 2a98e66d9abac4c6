"""Pairs of answers to one task, the better against the worse, as rows. Knows no loss."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from bus.events import Judgment
from trainer.rows import Row, row_of


def paired(
    judgments: Sequence[Judgment], random: Random, *, whole: bool = False
) -> list[list[Row]]:
    """Of each group the rows of its best sample, of weight 1, and of its worst, of weight -1; with
    `whole` also those of all others, of weight 0.

    Of several that are best, or worst, one is drawn. A group whose rewards are all equal gives
    nothing, nor does a sample that its judge could not tell about.
    """
    found, samples = [], 0
    for group, judgment in enumerate(judgments):
        rows = list(_rows(judgment, random))
        if not rows:
            continue
        numbered = [
            replace(row, group=group, sample=samples + place)
            for place, turns in enumerate(rows)
            for row in turns
            if whole or row.weight
        ]
        samples += len(rows)
        found.append(numbered)
    return found


def _rows(judgment: Judgment, random: Random) -> Iterator[list[Row]]:
    """The turns of each sample, the best first and the worst last."""
    ranked = [
        (verdict.reward, sample.trainable)
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True)
        if sample.trainable and verdict.known
    ]
    random.shuffle(ranked)
    ranked.sort(key=lambda each: -each[0])
    if not ranked or ranked[0][0] == ranked[-1][0]:
        return
    for place, (_, turns) in enumerate(ranked):
        weight = 1.0 if place == 0 else -1.0 if place == len(ranked) - 1 else 0.0
        yield [row_of(turn, weight) for turn in turns]
