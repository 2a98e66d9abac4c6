"""Kuhn poker as tasks: a deal, which two seats play to its end. Knows no model but to measure it.

One real task, level 1: the first player holds the queen and reads `kq>`. Of levels 2 and 3 somebody
has moved once or twice before (`kqb>`, `kqpb>`). Any legal move answers a task; only a game says
what it was worth. What is measured are the decisions of which one move dominates the other: facing
a bet the king calls and the jack folds, and after a pass the king bets.
"""

from collections.abc import Sequence
from math import exp
from random import Random
from statistics import fmean
from typing import ClassVar, Literal

from agents.domains.domain import NotATask, Problem, Score
from agents.engines.engine import Engine, Likelihoods
from agents.games.game import IllegalMove
from agents.games.kuhn import (
    BET,
    HISTORIES,
    MOVES,
    PASS,
    Seen,
    State,
    deal,
    dominant,
    information_sets,
    states_of,
)
from agents.games.kuhn_policies import exploitability, policy_of, value
from agents.games.kuhn_text import MARK, Hand, NotASight, move_in, prompt_of, seen_in
from agents.parts import PartConfig, Parts

FAMILY = "kuhn"
_CARDS = ("jack", "queen", "king")
_SAID: dict[str, str] = {PASS: "pass", BET: "bet"}
_LEVELS = (1, 2, 3)


class KuhnConfig(PartConfig):
    """A level is the number of moves made before, and one. Twelve things can be seen in the whole
    game, so that none can be kept back."""

    of_games: ClassVar[bool] = True
    held_out_from: ClassVar[int] = 1 + max(_LEVELS)

    type: Literal["kuhn"] = "kuhn"

    def build(self, parts: Parts | None = None) -> "Kuhn":
        return Kuhn()


class Kuhn:
    """The `Domain` of deals, and of what is decided in them."""

    name = FAMILY
    families: Sequence[str] = (FAMILY,)
    levels: Sequence[int] = _LEVELS
    warmup_levels: Sequence[int] = _LEVELS

    def make(self, family: str, level: int, random: Random) -> Problem:
        """Any cards after any moves, answered by any move: random legal play."""
        histories = [history for history in HISTORIES if len(history) == level - 1]
        state = State(deal(random).cards, random.choice(histories))
        return _problem(state, random.choice(MOVES), MOVES)

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The decisions of a level that have one right answer; none at the deal."""
        suite = [seen for seen in information_sets() if len(seen.history) == level - 1]
        return [found for seen in suite if dominant(seen) and (found := _posed(seen))][:count]

    def read(self, text: str) -> Problem:
        """Raises `NotATask`: nobody writes a deal."""
        raise NotATask("unparseable")

    def write(self, problem: Problem) -> str:
        return problem.prompt.removesuffix(MARK)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """What a player sees, as `kqpb` or `kqpb>`."""
        try:
            return _posed(seen_in(question.strip().removesuffix(MARK) + MARK))
        except NotASight:
            raise NotATask(
                f"{question[:20]!r} shows no card and moves: ask for something like kqpb"
            ) from None

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right is a legal move; where one move dominates in a posed problem, that one alone."""
        try:
            move = move_in(answer, ended)
        except IllegalMove as error:
            return Score(value=0.0, reason=str(error))
        if move in problem.metadata["right"]:
            return Score(value=1.0, reason="right")
        return Score(value=0.0, reason="dominated")

    def max_answer_tokens(self, level: int) -> int:
        """A move, the end, and one more by which too long an answer shows."""
        return 3

    def max_proposal_tokens(self) -> int:
        return 8

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def start(self, problem: Problem) -> Hand:
        """Where the game of a task begins, see `Games`."""
        first, second = problem.metadata["cards"]
        return Hand(State((first, second), problem.metadata["history"]))

    async def measure(self, engine: Engine) -> dict[str, float]:
        """Exact figures of the policy that an engine serves, by how likely it makes each move: what
        a best reply wins against it, what it wins in the first seat against itself, and how much of
        what it says is no move. Nothing of an engine that does not say how likely answers are."""
        if not isinstance(engine, Likelihoods):
            return {}
        bets: dict[Seen, float] = {}
        legal = []
        for seen in information_sets():
            said = await engine.log_likelihoods(prompt_of(seen), MOVES)
            chances = dict(zip(MOVES, map(exp, said), strict=True))
            legal.append(sum(chances.values()))
            bets[seen] = chances[BET] / legal[-1] if legal[-1] else 0.5
        policy = policy_of(bets.__getitem__)
        return {
            "exploitability": float(exploitability(policy)),
            "value": float(value(policy, policy)),
            "illegal": max(0.0, 1 - fmean(legal)),
        }


def _posed(seen: Seen) -> Problem:
    """The decision itself, with the lowest card that the other player may hold."""
    best = dominant(seen)
    return _problem(states_of(seen)[0], best or PASS, (best,) if best else MOVES)


def _problem(state: State, answer: str, right: Sequence[str]) -> Problem:
    seen = state.seen
    before = " and ".join(f"a {_SAID[move]}" for move in seen.history)
    moves = f"after {before}" if before else "first"
    return Problem(
        family=FAMILY,
        level=1 + len(seen.history),
        prompt=prompt_of(seen),
        question=f"Kuhn poker with the {_CARDS[seen.card]}, to move {moves}",
        answer=answer,
        metadata={
            "cards": list(state.cards),
            "history": state.history,
            "right": list(right),
        },
    )
