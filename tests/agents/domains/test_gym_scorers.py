"""Scorers of reasoning-gym that evaluate answers: in a room of the sandbox, and in time."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from agents.domains.domain import Domain, Problem, Score
from agents.domains.gym_catalog import dataset_files
from agents.domains.gym_datasets import EVALUATED, PARSED
from agents.domains.reasoning_gym import ReasoningGym, ReasoningGymConfig
from agents.sandbox import whole

FIXED = ("intermediate_integration", "polynomial_multiplication")
"""Those that need a fixed hash seed."""

NAMES = sorted((EVALUATED | PARSED) - set(FIXED))


def domain_of(name: str) -> ReasoningGym:
    return ReasoningGymConfig(dataset=name, levels=(1,), held_out_per_level=2).build()


def test_every_scorer_that_evaluates_is_known() -> None:
    evaluated = re.compile(r"\beval\(|\bexec\(|parse_expr\(|sympify\(|\.sympify|literal_eval")
    found = set()
    for name, path in dataset_files().items():
        _, _, scorer = path.read_text(encoding="utf-8").partition("def score_answer")
        scorer = scorer.partition("\nclass ")[0]
        # What an entry holds is reasoning-gym's own.
        if evaluated.search(scorer.replace("ast.literal_eval", "").replace('eval(entry["', "")):
            found.add(name)
    assert found <= EVALUATED | PARSED, found - EVALUATED - PARSED


def patient(domain: Domain, problem: Problem, answer: str) -> Score:
    """A room has two seconds, in which a busy machine may stand still."""
    for _ in range(3):
        score = domain.score(problem, answer, ended=True)
        if score.reason != "unreadable":
            break
    return score


def judges(name: str) -> None:
    domain = domain_of(name)
    problem = domain.make(name, 1, Random(1))
    assert domain.waits
    known = problem.answer or "1"
    right = patient(domain, problem, known)
    assert right.reason != "unreadable" and (right.right or not problem.answer)
    for bomb in ("9**9**9**9", "9" * 5_000, "(" * 5_000, "[" * 3_000 + "]" * 3_000, "1<<9**10"):
        started = time.monotonic()
        score = domain.score(problem, bomb, ended=True)
        assert not score.right
        assert time.monotonic() - started < 20
    assert patient(domain, problem, known) == right


@pytest.mark.parametrize("name", NAMES)
def test_a_scorer_in_a_room_judges_and_no_answer_holds_it_up(name: str) -> None:
    judges(name)


@pytest.mark.long
@pytest.mark.parametrize("name", FIXED)
def test_so_does_one_that_needs_a_fixed_hash_seed(name: str) -> None:
    script = f"from tests.agents.domains.test_gym_scorers import judges; judges({name!r})"
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
    )


@pytest.mark.parametrize(
    "answer",
    [
        "__import__('os').getpid()", "print(1)", "().x", "lambda: 1", "open('x')", "exit()",
        "[1 for x in (1,)] or eval", "'a'.upper()", "globals()",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["countdown", "spiral_matrix"])
def test_what_names_or_calls_anything_does_not_even_get_in(name: str, answer: str) -> None:
    domain = domain_of(name)
    problem = domain.make(name, 1, Random(1))
    score = domain.score(problem, answer, ended=True)
    assert (score.value, score.reason) == (0.0, "unreadable")


def test_other_scorers_need_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "why_not", lambda: "it is not there")
    assert not ReasoningGymConfig(dataset="chain_sum", levels=(1,)).build().waits


def test_without_a_room_nothing_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "why_not", lambda: "bubblewrap is not installed")
    with pytest.raises(ValueError, match="in a sandbox alone: bubblewrap is not installed"):
        domain_of("countdown")
