"""Which right answers of a task are learned from: how many, and none twice."""

from collections.abc import Sequence
from random import Random

import pytest

from bus.events import Judgment, Sample, Turn, Verdict
from tests.trainer.lessons import PARTS, batch, judgment, turn
from trainer.replay import Replay
from trainer.updates.nll import SOLVED, NllConfig


def judged(said: Sequence[tuple[Sequence[Turn], bool]]) -> Judgment:
    """Of each sample its turns, and whether it is right."""
    one = judgment(1, [1.0])
    samples = tuple(Sample(turns=tuple(turns)) for turns, _ in said)
    return one.model_copy(
        update={
            "attempt": one.attempt.model_copy(update={"samples": samples}),
            "verdicts": tuple(
                Verdict(scores={}, reward=float(right), reason="", provenance="exact")
                for _, right in said
            ),
        }
    )


def learned(of: Judgment, per_task: int, distinct: bool = True) -> list[tuple[int, ...]]:
    """The completions that one step of a batch has, in the order of the samples."""
    replay = Replay(64)
    config = NllConfig(
        steps=1,
        fresh_rows=64,
        replay_rows=0,
        fresh_from="solved",
        per_task=per_task,
        distinct=distinct,
    )
    list(config.build(PARTS).steps(batch([of]), replay, Random(1)))
    [queue] = replay.names(SOLVED)
    return [row.completion for row in replay._queues[queue]]


A, B, C = turn([2, 1]), turn([3, 1]), turn([4, 5, 1])
GROUP = judged([([B], False), ([A], True), ([A], True), ([C], True), ([B], True), ([C], True)])


@pytest.mark.parametrize(
    ("per_task", "texts"),
    [(1, [A]), (2, [A, C]), (3, [A, C, B]), (100, [A, C, B])],
)
def test_distinct_right_answers_up_to_the_cap(per_task: int, texts: list[Turn]) -> None:
    assert learned(GROUP, per_task) == [each.tokens for each in texts]


def test_what_is_said_twice_counts_twice_where_answers_need_not_be_distinct() -> None:
    kept = learned(GROUP, 4, distinct=False)
    assert kept == [each.tokens for each in (A, A, C, B)]


def test_all_that_is_learned_of_a_sample_says_whether_it_is_another() -> None:
    said = judged([([A, C], True), ([B, C], True), ([A, C], True)])
    assert learned(said, 8) == [A.tokens, C.tokens, B.tokens, C.tokens]
    silent = [each.model_copy(update={"trainable": False}) for each in (A, B)]
    said = judged([([silent[0], C], True), ([silent[1], C], True)])
    assert learned(said, 8) == [C.tokens]


def test_by_default_one_is_kept_as_ever() -> None:
    assert NllConfig().per_task == 1 and learned(GROUP, NllConfig().per_task) == [A.tokens]
