"""Rationalisation: who is asked again, what the hint says, and what is learned of it."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from pydantic import ValidationError

from agents.samplers.fields import NoField
from agents.samplers.rationalise import Rationalise, RationaliseConfig
from agents.solver import Solver, SolverConfig
from bus.events import Attempt
from tests.agents.asking import engine, task
from tests.agents.parts import parts_for
from trainer.rows import row_of, sampled_row

Script = Callable[[str, int, Random], str]


def needs_a_hint(prompt: str, version: int, random: Random) -> str:
    return prompt.removesuffix("#").partition(">")[2] or "0"


def knows(prompt: str, version: int, random: Random) -> str:
    return random.choice(("4321", "0", "00"))


def attempt_by(
    script: Script, config: RationaliseConfig, samples: int = 4
) -> tuple[Attempt, list[str]]:
    """What the sampler makes of `r1234>`, and the prompts as the engine read them."""
    own = engine(script)
    parts = parts_for(engine=own)
    solver = Solver(parts, config.build(parts), SolverConfig(samples=samples))
    attempt, _ = asyncio.run(solver.attempt(task("r1234")))
    turns = [turn for sample in attempt.samples for turn in sample.turns]
    return attempt, [own.decode(turn.prompt_tokens) for turn in turns]


def test_a_task_that_is_solved_gets_no_hint() -> None:
    attempt, read = attempt_by(knows, RationaliseConfig(), samples=32)
    assert read == ["r1234>"] * 32
    assert not any(sample.hinted for sample in attempt.samples)


def test_a_task_that_is_not_solved_is_asked_again_with_its_answer() -> None:
    attempt, read = attempt_by(needs_a_hint, RationaliseConfig(samples=2))
    assert read == ["r1234>"] * 4 + ["r1234>4321#"] * 2
    assert [sample.hinted for sample in attempt.samples] == [False] * 4 + [True] * 2
    assert [sample.answer for sample in attempt.samples] == ["0"] * 4 + ["4321"] * 2
    assert {turn.seat for sample in attempt.samples[4:] for turn in sample.turns} == {"hinted"}


def test_the_hint_is_never_learned() -> None:
    attempt, _ = attempt_by(needs_a_hint, RationaliseConfig())
    plain, hinted = attempt.samples[0].turns[0], attempt.samples[-1].turns[0]
    assert hinted.prompt_tokens != plain.prompt_tokens
    row = row_of(hinted)
    assert (row.prompt, row.completion) == (plain.prompt_tokens, hinted.tokens)
    assert row.logprobs == (), "it was not drawn after this prompt"
    with pytest.raises(ValueError, match="learned after another prompt"):
        sampled_row(attempt, hinted)
    assert sampled_row(attempt, plain).prompt == row_of(plain).prompt == plain.prompt_tokens


def test_the_metadata_of_a_task_may_be_the_hint() -> None:
    parts = parts_for()
    problem = parts.domain.pose("r1234")
    assert RationaliseConfig(hint="{answer}|{prompt}").hinted(problem) == "4321|r1234>"
    with pytest.raises(NoField, match=r"sampler.hint names 'output', which a task of reverse"):
        RationaliseConfig(hint="{prompt}{output}#").hinted(problem)


def test_a_task_without_a_known_answer_gets_no_hint() -> None:
    own = engine(needs_a_hint)
    parts = parts_for(engine=own)
    sampler: Rationalise = RationaliseConfig().build(parts)
    solver = Solver(parts, sampler, SolverConfig(samples=2))
    asked = task("r1234").model_copy(update={"answer": ""})
    attempt, _ = asyncio.run(solver.attempt(asked))
    assert len(attempt.samples) == 2


@pytest.mark.parametrize("hint", ["{prompt}#", "{", "{prompt}{0}", "plain words", "{prompt}{}"])
def test_a_hint_must_say_something_of_the_answer(hint: str) -> None:
    with pytest.raises(ValidationError, match="hint"):
        RationaliseConfig(hint=hint)


def test_a_seed_model_is_shown_what_a_hint_means() -> None:
    config = RationaliseConfig(hint="{prompt}{answer}#")
    shown = config.example(parts_for().domain.pose("r1234"), "1", Random(1))
    assert config.shows and (shown.prompt, shown.answer) == ("r1234>4321#", "4321")
