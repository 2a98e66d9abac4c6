"""What every domain promises, tried with texts that nobody thought of. The rest of the contract is
in `evolvent/contract/domain.py`, and tried in tests/evolvent/contract."""

import json
import subprocess
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agents.domains.config import DomainConfig
from agents.domains.domain import Domain, NotATask, Problem
from tests.agents.domains.dataset.data import WORDS as DATASET

WORDS: dict[str, Any] = {
    "type": "reasoning_gym",
    "dataset": "spell_backward",
    "levels": list(range(1, 11)),
    "warmup_levels": [1, 2, 3, 4],
    "level_parameters": ["min_word_len", "max_word_len"],
    "prompt": "r{word}>",
    "held_out_from": 4,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "strings": {"type": "strings", "levels": list(range(1, 17))},
    "words": WORDS,
    "arithmetic": {
        "type": "arithmetic",
        "families": ["add", "subtract", "multiply", "copy"],
        "levels": list(range(1, 17)),
    },
    "programs": {"type": "programs"},
    "python_programs": {"type": "python_programs"},
    "dataset": DATASET,
    "kuhn": {"type": "kuhn"},
    "grammar": {"type": "grammar"},
    "chain_sum": {
        "type": "reasoning_gym",
        "dataset": "chain_sum",
        "levels": [2, 3, 4],
        "warmup_levels": [2],
        "level_parameters": ["min_terms", "max_terms"],
        "parameters": {"min_digits": 2, "max_digits": 2},
    },
}
HELD_OUT_FROM = {
    "strings": 4,
    "words": 4,
    "arithmetic": 4,
    "programs": 1,
    "python_programs": 1,
    "dataset": 1,
    "chain_sum": 1,
}
REASONS = {
    *("unparseable", "unknown family", "out of range", "held-out", "trivial"),
    *("unsupported", "does not run", "not deterministic"),
}
WRITABLE = ("strings", "words", "arithmetic", "programs", "python_programs", "dataset")
LETTER_FIRST = ("strings", "words")
"""Whose users leave the letter out with which a task is written."""


def build(name: str) -> Domain:
    config: DomainConfig = TypeAdapter(DomainConfig).validate_python(CONFIGS[name])
    return config.build()


DOMAINS = {name: build(name) for name in CONFIGS}


@pytest.fixture(params=CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def domain(name: str) -> Domain:
    return DOMAINS[name]


def cells(domain: Domain) -> Iterator[tuple[str, int]]:
    return ((family, level) for family in domain.families for level in domain.levels)


@pytest.mark.parametrize("name", WRITABLE)
def test_reading_refuses_held_out_problems(name: str, domain: Domain) -> None:
    for family, level in cells(domain):
        if level >= HELD_OUT_FROM[name]:
            for problem in domain.held_out(family, level, 4):
                text = domain.write(problem)
                with pytest.raises(NotATask, match="held-out"):
                    domain.read(text)
                assert domain.pose(text[name in LETTER_FIRST :], family) == problem


@given(seed=st.integers(0, 2**32), cell=st.integers(0, 10**6), name=st.sampled_from(WRITABLE))
def test_what_is_written_can_be_read(seed: int, cell: int, name: str) -> None:
    domain = DOMAINS[name]
    family = domain.families[cell % len(domain.families)]
    problem = domain.make(family, domain.levels[cell % len(domain.levels)], Random(seed))
    assert domain.read(domain.write(problem)) == problem


@given(
    text=st.text(max_size=12) | st.text("drsnx0123abc:+>", max_size=12),
    name=st.sampled_from(list(CONFIGS)),
)
def test_any_text_is_a_task_or_refused(text: str, name: str) -> None:
    domain = DOMAINS[name]
    try:
        problem = domain.read(text)
    except NotATask as refusal:
        assert str(refusal) in REASONS
    else:
        assert domain.write(problem) == text
        assert problem.level in domain.levels


@given(answer=st.text(max_size=12), name=st.sampled_from(list(CONFIGS)))
def test_no_answer_is_an_error(answer: str, name: str) -> None:
    domain = DOMAINS[name]
    problem = domain.make(domain.families[0], domain.levels[0], Random(7))
    assert 0.0 <= domain.score(problem, answer, ended=True).value <= 1.0


def test_domains_are_configured_and_asked_for_their_shape_without_heavy_imports() -> None:
    program = """
import json, sys
from agents.domains.config import DomainConfig
from pydantic import TypeAdapter
for config in json.loads(sys.argv[1]).values():
    domain = TypeAdapter(DomainConfig).validate_python(config).build()
    domain.levels, domain.warmup_levels, domain.max_answer_tokens(3), domain.proposer_prompt()
print([name for name in ("reasoning_gym", "torch", "numpy") if name in sys.modules])
"""
    command = [sys.executable, "-c", program, json.dumps(CONFIGS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_same_word_is_the_same_problem_whoever_poses_it() -> None:
    made: Problem = DOMAINS["words"].make("spell_backward", 7, Random(8))
    word = made.prompt[1:-1]
    assert DOMAINS["words"].pose(word) == made
