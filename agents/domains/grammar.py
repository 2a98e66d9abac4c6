"""Words of a small random grammar: a prompt has many right answers, and how likely each is in the
data is known exactly. Knows no model but to measure it.

One real task: the model reads `g3>` and writes a word of three letters, `bca`. Each context, here
3, has probabilities of its own for the first letter, and for the next one after every letter. The
reference answer is one word drawn so: data, as others hold them.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise, product
from math import exp, fsum, log, prod
from random import Random
from statistics import fmean
from typing import ClassVar, Literal

from pydantic import Field

from agents.domains.domain import NotATask, Problem, Score
from agents.engines.engine import Engine, Likelihoods
from agents.parts import PartConfig, Parts

FAMILY = "grammar"
LETTERS = "abc"
MARK = ">"


class GrammarConfig(PartConfig):
    """`contexts` of the data, and words of `length` letters, which is the only level. What is asked
    is what the data have: no context is kept back."""

    held_out_from: ClassVar[int] = 100

    type: Literal["grammar"] = "grammar"
    contexts: int = Field(default=8, ge=1, le=10)
    length: int = Field(default=3, ge=1, le=4)

    def build(self, parts: Parts | None = None) -> "Grammar":
        return Grammar(self)


class Grammar:
    """The `Domain` of such words."""

    name = FAMILY
    families: Sequence[str] = (FAMILY,)

    def __init__(self, config: GrammarConfig) -> None:
        self._contexts = config.contexts
        self._length = config.length
        self.levels: Sequence[int] = (config.length,)
        self.warmup_levels: Sequence[int] = (config.length,)

    def make(self, family: str, level: int, random: Random) -> Problem:
        """Any context, and a word as the data have it."""
        context = random.randrange(self._contexts)
        words = data(context, level)
        return _problem(context, level, random.choices(list(words), list(words.values()))[0])

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """Every context once: whether the likeliest answer is a word."""
        return [_problem(each, level, _likeliest(each, level)) for each in self._all()][:count]

    def read(self, text: str) -> Problem:
        """Raises `NotATask`: nobody writes data."""
        raise NotATask("unparseable")

    def write(self, problem: Problem) -> str:
        return problem.prompt.removesuffix(MARK)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """A context, as `3`, `g3` or `g3>`."""
        text = question.strip().removesuffix(MARK).removeprefix("g")
        if text not in map(str, self._all()):
            raise NotATask(f"{question[:20]!r} is no context: ask for g0 to g{self._contexts - 1}")
        return _problem(int(text), self._length, _likeliest(int(text), self._length))

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Every word of the grammar is right, likely or not."""
        if not ended:
            return Score(value=0.0, reason="not ended")
        if len(answer) == problem.level and set(answer) <= set(LETTERS):
            return Score(value=1.0, reason="right")
        return Score(value=0.0, reason="no word" if answer else "empty")

    def max_answer_tokens(self, level: int) -> int:
        """One token per letter, the end, and one more by which too long an answer shows."""
        return level + 2

    def max_proposal_tokens(self) -> int:
        return 8

    def proposer_prompt(self) -> str:
        return "P" + MARK

    async def measure(self, engine: Engine) -> dict[str, float]:
        """Exact figures of the policy that an engine serves, the mean over all contexts: its
        divergence from the data, KL(data || policy) in nats, and how much of what it says is no
        word. Nothing of an engine that does not say how likely answers are."""
        if not isinstance(engine, Likelihoods):
            return {}
        divergences, known = [], []
        for context in self._all():
            words = data(context, self._length)
            said = await engine.log_likelihoods(_prompt(context), list(words))
            divergences.append(divergence(words, dict(zip(words, said, strict=True))))
            known.append(fsum(map(exp, said)))
        return {"kl_to_data": fmean(divergences), "no_word": max(0.0, 1 - fmean(known))}

    def _all(self) -> range:
        return range(self._contexts)


@cache
def data(context: int, length: int) -> dict[str, float]:
    """How likely each word is in a context: a Markov chain over letters."""
    rows = {before: _shares(f"{FAMILY}/{context}/{before}") for before in ("", *LETTERS)}
    return {
        "".join(word): prod(rows[before][after] for before, after in pairwise(("", *word)))
        for word in product(LETTERS, repeat=length)
    }


def divergence(words: dict[str, float], log_likelihoods: dict[str, float]) -> float:
    """KL in nats of a policy from the data."""
    return fsum(share * (log(share) - log_likelihoods[word]) for word, share in words.items())


def _shares(seed: str) -> dict[str, float]:
    """A point of the simplex, none of its shares near zero."""
    random = Random(seed)
    drawn = [0.1 + random.expovariate(1.0) for _ in LETTERS]
    return {letter: each / fsum(drawn) for letter, each in zip(LETTERS, drawn, strict=True)}


def _likeliest(context: int, length: int) -> str:
    words = data(context, length)
    return max(words, key=lambda word: words[word])


def _prompt(context: int) -> str:
    return f"g{context}{MARK}"


def _problem(context: int, length: int, word: str) -> Problem:
    return Problem(
        family=FAMILY,
        level=length,
        prompt=_prompt(context),
        question=f"A word of {length} letters in context {context}",
        answer=word,
        metadata={"context": context},
    )
