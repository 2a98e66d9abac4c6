"""The data of the grammar: probabilities that are exact, and how far a policy is from them."""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from agents.domains.domain import NotATask
from agents.domains.grammar import FAMILY, GrammarConfig, data, divergence
from agents.engines.engine import Prompt
from agents.engines.scripted import ScriptedEngine
from tests.agents.asking import says

CONFIG = GrammarConfig()
DOMAIN = CONFIG.build()
WORDS = 27


class Writes(ScriptedEngine):
    """Says each word as likely as the data, but for a share `uniform` of words drawn alike; `lost`
    of all it says is no word."""

    def __init__(self, uniform: float = 0.0, lost: float = 0.0) -> None:
        super().__init__(says(""), version=0)
        self._uniform = uniform
        self._lost = lost

    async def log_likelihoods(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        words = data(int(prompt[1]), CONFIG.length) if isinstance(prompt, str) else {}
        kept = 1 - self._lost
        mixed = ((1 - self._uniform) * words[word] + self._uniform / len(words) for word in answers)
        return [math.log(kept * chance) for chance in mixed]


def measured(engine: ScriptedEngine) -> dict[str, float]:
    return asyncio.run(DOMAIN.measure(engine))


def test_the_data_of_every_context_are_a_distribution_of_their_own() -> None:
    tables = [data(context, CONFIG.length) for context in range(CONFIG.contexts)]
    for words in tables:
        assert len(words) == WORDS
        assert math.isclose(sum(words.values()), 1)
        assert min(words.values()) > 0
    assert len({tuple(words.values()) for words in tables}) == CONFIG.contexts


def test_what_is_made_is_distributed_as_the_data() -> None:
    random = Random(1)
    made = [DOMAIN.make(FAMILY, CONFIG.length, random) for _ in range(16_000)]
    for context in range(CONFIG.contexts):
        drawn = [problem.answer for problem in made if problem.prompt == f"g{context}>"]
        for word, count in Counter(drawn).items():
            share = data(context, CONFIG.length)[word]
            assert abs(count / len(drawn) - share) < 5 * math.sqrt(share / len(drawn))


def test_the_divergence_is_zero_at_the_data_alone() -> None:
    assert measured(Writes()) == pytest.approx({"kl_to_data": 0, "no_word": 0}, abs=1e-12)
    far = [measured(Writes(uniform))["kl_to_data"] for uniform in (0.1, 0.5, 1.0)]
    assert 0 < far[0] < far[1] < far[2]


def test_what_is_no_word_counts_as_far_from_the_data() -> None:
    found = measured(Writes(lost=0.25))
    assert found == pytest.approx({"kl_to_data": -math.log(0.75), "no_word": 0.25})


def test_the_divergence_by_hand() -> None:
    words = {"a": 0.25, "b": 0.75}
    said = {"a": math.log(0.5), "b": math.log(0.5)}
    assert divergence(words, said) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


def test_an_engine_that_knows_no_likelihoods_is_not_measured() -> None:
    assert measured(ScriptedEngine(says("abc"), version=0)) == {}


def test_every_word_is_right_and_nothing_else() -> None:
    [problem] = DOMAIN.held_out(FAMILY, CONFIG.length, 1)
    reasons = {
        answer: DOMAIN.score(problem, answer, ended=True).reason
        for answer in (*data(0, CONFIG.length), "", "ab", "abca", "abd")
    }
    assert set(reasons.values()) == {"right", "empty", "no word"}
    assert sum(reason == "right" for reason in reasons.values()) == WORDS


@pytest.mark.parametrize("text", ["3", "g3", "g3>"])
def test_a_context_can_be_asked_for(text: str) -> None:
    assert DOMAIN.pose(text).prompt == "g3>"


@pytest.mark.parametrize("text", ["8", "g", "", "3a", "\u0663"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(NotATask, match="ask for g0 to g7"):
        DOMAIN.pose(text)
