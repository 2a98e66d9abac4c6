"""Kuhn poker as a domain: what is asked, which decisions measure, and exact figures of a policy."""

import asyncio
import math
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import pytest

from agents.domains.kuhn import FAMILY, Kuhn, KuhnConfig
from agents.engines.engine import Prompt
from agents.engines.scripted import ScriptedEngine
from agents.games.game import IllegalMove, games_of
from agents.games.kuhn import information_sets
from agents.games.kuhn_policies import Policy, equilibrium, policy_of
from agents.games.kuhn_text import prompt_of, seen_in
from tests.agents.asking import DOMAIN as STRINGS
from tests.agents.asking import says

DOMAIN = KuhnConfig().build()
CALM = equilibrium()


class Plays(ScriptedEngine):
    """Says how likely its moves are: those of `policy`, and a tenth of all is no move."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(says(""), version=0)
        self._policy = policy

    async def log_likelihoods(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        assert isinstance(prompt, str)
        bet = 0.9 * float(self._policy[seen_in(prompt)])
        chances = {"b": bet, "p": 0.9 - bet}
        return [math.log(chances[one]) if chances[one] else -math.inf for one in answers]


def test_what_is_made_is_random_legal_play_at_every_information_set() -> None:
    made = [
        DOMAIN.make(FAMILY, level, Random(f"{seed}/{level}"))
        for seed in range(60)
        for level in DOMAIN.warmup_levels
    ]
    assert {problem.prompt for problem in made} == {prompt_of(seen) for seen in information_sets()}
    assert {(problem.prompt, problem.answer) for problem in made} == {
        (prompt_of(seen), move) for seen in information_sets() for move in "pb"
    }
    for problem in made:
        hand = DOMAIN.start(problem)
        assert (hand.prompt, hand.seat) == (problem.prompt, ("first", "second")[problem.level == 2])


def test_what_measures_are_the_decisions_with_one_right_answer() -> None:
    suites = [DOMAIN.held_out(FAMILY, level, 64) for level in DOMAIN.levels]
    found = [{problem.prompt: problem.answer for problem in suite} for suite in suites]
    assert found == [{}, {"kkp>": "b", "kjb>": "p", "kkb>": "b"}, {"kjpb>": "p", "kkpb>": "b"}]
    for problem in (problem for suite in suites for problem in suite):
        for answer in "pb":
            score = DOMAIN.score(problem, answer, ended=True)
            said = "right" if answer == problem.answer else "dominated"
            assert (score.right, score.reason) == (answer == problem.answer, said)


def test_equilibria_make_no_dominated_move() -> None:
    for alpha in (0, Fraction(1, 6), Fraction(1, 3)):
        policy = equilibrium(Fraction(alpha))
        for level in DOMAIN.levels:
            for problem in DOMAIN.held_out(FAMILY, level, 64):
                assert policy[seen_in(problem.prompt)] == (problem.answer == "b")


@pytest.mark.parametrize(
    ("policy", "exploitability", "value"),
    [(CALM, 0, -1 / 18), (policy_of(lambda seen: 0.5), 11 / 24, 1 / 8)],
)
def test_a_policy_is_measured_exactly(policy: Policy, exploitability: float, value: float) -> None:
    measured = asyncio.run(Kuhn().measure(Plays(policy)))
    assert measured == pytest.approx(
        {"exploitability": exploitability, "value": value, "illegal": 0.1}
    )


def test_an_engine_that_knows_no_likelihoods_is_not_measured() -> None:
    assert asyncio.run(DOMAIN.measure(ScriptedEngine(says("p"), version=0))) == {}


def test_other_domains_are_no_games() -> None:
    assert games_of(DOMAIN) is DOMAIN
    with pytest.raises(ValueError, match="the tasks of the domain strings are no games"):
        games_of(STRINGS)


def test_a_hand_is_played_as_texts_and_pays_each_seat() -> None:
    deal = next(
        problem
        for seed in range(60)
        if (problem := DOMAIN.make(FAMILY, 1, Random(seed))).metadata["cards"] == [2, 0]
    )
    hand = DOMAIN.start(deal).play("p", True).play("b", True)
    assert (hand.seat, hand.prompt) == ("first", "kkpb>")
    over = hand.play("b", True)
    assert (over.seat, over.payoffs) == (None, {"first": 2.0, "second": -2.0})
    with pytest.raises(IllegalMove, match="not ended"):
        hand.play("b", False)
