"""How well a judge judges, by judgments of which the right answers are known."""

from collections.abc import Sequence

from bus.events import Judgment, Sample, Task, Verdict, derive_id
from observability.progress.judged import judged
from tests.agents.asking import RUN, attempt, task


def judgment(answers: Sequence[str], rewards: Sequence[float | None]) -> Judgment:
    """Of the task r12; a reward of None is of a judge that could not tell."""
    tried = attempt(task("r12"), answers)
    return Judgment(
        id=derive_id(RUN, "critic", tried.id),
        run=RUN,
        agent="critic",
        attempt=tried,
        verdicts=tuple(
            Verdict(
                scores={},
                reward=reward or 0.0,
                reason="-",
                provenance="policy",
                known=reward is not None,
            )
            for reward in rewards
        ),
        critic="policy",
    )


def is_right(asked: Task, sample: Sample) -> bool:
    return sample.answer == asked.answer


def test_verdicts_are_compared_with_the_verifiers() -> None:
    found = judged([judgment(["21", "21", "12", "11", "21"], [1.0, 0.4, 0.0, 0.5, None])], is_right)
    assert found is not None
    assert (found.verdicts, found.accuracy) == (4, 0.5)
    assert (found.right_approved, found.wrong_refused) == (0.5, 0.5)
    assert str(found) == (
        "50% of 4 verdicts are true, 50% of right answers approved, 50% of wrong ones refused"
    )


def test_what_is_not_there_has_no_share() -> None:
    found = judged([judgment(["21"], [1.0])], is_right)
    assert found is not None
    assert (found.accuracy, found.right_approved, found.wrong_refused) == (1.0, 1.0, None)
    assert judged([judgment(["21"], [None])], is_right) is None
    assert judged([], is_right) is None
