"""Several judges as one: each rule by hand, and what of the single verdicts can still be seen."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from agents.judges.combined import Combined, Rule
from agents.judges.exact import ExactConfig
from agents.judges.judge import Judge
from agents.judges.vote import VoteConfig
from bus.events import Attempt, Judgment, Verdict, derive_id
from tests.agents.asking import RUN, attempt, task
from tests.agents.parts import parts_for


@dataclass(frozen=True)
class Says:
    """Of every sample the same."""

    name: str
    reward: float
    known: bool = True
    scores: Mapping[str, float] | None = None

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        verdict = Verdict(
            scores={self.name: self.reward} if self.scores is None else dict(self.scores),
            reward=self.reward,
            reason=f"{self.name} says so",
            provenance=self.name,
            known=self.known,
        )
        return (verdict,) * len(attempt.samples)


def combined(judges: Sequence[Says], rule: Rule, weights: Sequence[float] = ()) -> Verdict:
    judge = Combined([(each.name, each) for each in judges], rule, weights)
    first, second = asyncio.run(judge.judge(attempt(task("r12"), ["21", "12"])))
    assert first == second
    return first


def test_a_sum_weighs_its_judges() -> None:
    judges = [Says("exact", 1.0), Says("vote", 0.5), Says("chance", 0.0)]
    verdict = combined(judges, "sum", (0.5, 0.3, 0.2))
    assert verdict.reward == pytest.approx(0.65)
    assert verdict.provenance == "sum(exact,vote,chance)"
    assert verdict.scores == {"exact": 1.0, "vote": 0.5, "chance": 0.0}
    assert verdict.reason == "chance says so"


@pytest.mark.parametrize("weights", [(0.7, 0.2, 0.1), (0.1,) * 10, (1 / 3,) * 3, (1 / 7,) * 7])
def test_what_all_judges_of_a_sum_call_right_is_right(weights: tuple[float, ...]) -> None:
    """Added one after another, these weights miss 1 by a rounding error."""
    judges = [Says(f"judge {index}", 1.0) for index in range(len(weights))]
    verdict = combined(judges, "sum", weights)
    assert (verdict.reward, verdict.right) == (1.0, True)


def test_a_product_is_right_where_all_are() -> None:
    right, half, wrong = Says("a", 1.0), Says("b", 0.5), Says("c", 0.0)
    assert combined([right, right], "product").right
    assert combined([right, half], "product").reward == 0.5
    assert combined([half, right, wrong], "product").reward == 0.0
    assert combined([half, right, wrong], "product").reason == "c says so"


def test_the_first_that_knows_is_heard() -> None:
    unsure, right, wrong = Says("a", 0.0, known=False), Says("b", 1.0), Says("c", 0.0)
    verdict = combined([unsure, right, wrong], "first")
    assert (verdict.reward, verdict.reason, verdict.known) == (1.0, "b says so", True)
    verdict = combined([wrong, right], "first")
    assert (verdict.reward, verdict.reason) == (0.0, "c says so")


def test_if_none_knows_the_last_is_heard_and_nothing_is_known() -> None:
    verdict = combined([Says("a", 0.0, known=False), Says("b", 0.5, known=False)], "first")
    assert (verdict.reward, verdict.reason, verdict.known) == (0.5, "b says so", False)


def test_scores_of_the_same_name_are_told_apart_by_their_judge() -> None:
    one = Says("vote", 1.0, scores={"agreement": 0.75, "vote": 1.0})
    other = Says("poll", 0.0, scores={"agreement": 0.25})
    verdict = combined([one, other], "product")
    assert verdict.scores == {"vote/agreement": 0.75, "vote": 1.0, "poll/agreement": 0.25}


def test_the_single_verdicts_stand_in_the_one_on_the_log() -> None:
    parts = parts_for()
    group = attempt(task("r12"), ["21", "12", "12"])
    judges: list[tuple[str, Judge]] = [
        ("exact", ExactConfig().build(parts)),
        ("vote", VoteConfig().build(parts)),
    ]

    async def scenario() -> tuple[tuple[Verdict, ...], list[tuple[Verdict, ...]]]:
        both = await Combined(judges, "product", ()).judge(group)
        return both, [await judge.judge(group) for _, judge in judges]

    both, alone = asyncio.run(scenario())
    assert [verdict.combined for verdict in both] == list(zip(*alone, strict=True))
    assert [verdict.reward for verdict in both] == [0.0, 0.0, 0.0]
    judgment = Judgment(
        id=derive_id(RUN, "critic", group.id),
        run=RUN,
        agent="critic",
        attempt=group,
        verdicts=both,
        critic="product(exact,vote)",
    )
    assert Judgment.model_validate_json(judgment.model_dump_json()) == judgment
