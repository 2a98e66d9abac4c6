"""How an attempt is made: what is asked in each turn, who says it, and what may be learned."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from transformers import AutoTokenizer

from agents.engines.engine import Engine
from agents.samplers.config import SamplerConfig
from agents.samplers.second_look import SecondLookConfig
from agents.samplers.single import SingleConfig
from agents.solver import Solver, SolverConfig
from bus.events import Attempt, Turn
from tests.agents.asking import engine, task
from tests.agents.engines.checkpoint.chat_checkpoint import save_chat_checkpoint
from tests.agents.engines.checkpoint.tiny_checkpoint import local_engine, save_checkpoint
from tests.agents.parts import parts_for

QUESTION = "again>"
EOS = 1


async def attempt_by(own: Engine, sampler: SamplerConfig, samples: int = 4) -> Attempt:
    parts = parts_for(engine=own)
    solver = Solver(parts, sampler.build(parts), SolverConfig(samples=samples))
    attempt, _ = await solver.attempt(task("r1234"))
    return attempt


def second_look(learn: Literal["last", "both"] = "last") -> SecondLookConfig:
    return SecondLookConfig(question=QUESTION, learn=learn)


def thinks_again(prompt: str, version: int, random: Random) -> str:
    return "4321" if prompt.endswith(QUESTION) else str(random.randrange(1000, 10_000))


def without_end(tokens: Sequence[int]) -> tuple[int, ...]:
    return tuple(token for token in tokens if token != EOS)


def test_a_single_turn_is_the_answer() -> None:
    attempt = asyncio.run(attempt_by(engine(thinks_again), SingleConfig()))
    assert [len(sample.turns) for sample in attempt.samples] == [1] * 4
    assert {turn.seat for sample in attempt.samples for turn in sample.turns} == {""}
    assert len({sample.answer for sample in attempt.samples}) > 1


@pytest.mark.parametrize(("learn", "learned"), [("last", (False, True)), ("both", (True, True))])
def test_the_second_look_is_the_answer_and_what_is_learned_is_said(
    learn: Literal["last", "both"], learned: tuple[bool, bool]
) -> None:
    attempt = asyncio.run(attempt_by(engine(thinks_again), second_look(learn)))
    assert [sample.answer for sample in attempt.samples] == ["4321"] * 4
    for sample in attempt.samples:
        assert [turn.seat for turn in sample.turns] == ["first", "second"]
        assert tuple(turn.trainable for turn in sample.turns) == learned
        assert {turn.policy for turn in sample.turns} == {"current"}
    assert len({sample.turns[0].text for sample in attempt.samples}) > 1


def test_the_second_look_reads_the_task_the_answer_and_the_question() -> None:
    own = engine(thinks_again)
    attempt = asyncio.run(attempt_by(own, second_look()))
    for sample in attempt.samples:
        first, second = sample.turns
        assert own.decode(first.prompt_tokens) == "r1234>"
        assert own.decode(second.prompt_tokens) == f"r1234>{first.text}{QUESTION}"


def test_a_model_without_a_template_reads_its_answer_as_the_tokens_it_sampled(
    tmp_path: Path,
) -> None:
    """Some of its bytes are no text, which could not be encoded again."""

    async def scenario() -> tuple[Attempt, tuple[int, ...], tuple[int, ...]]:
        made = save_checkpoint(tmp_path, seed=1)
        with local_engine() as own:
            await own.swap(0, made.folder, made.files)
            attempt = await attempt_by(own, second_look(), samples=64)
            before, after = own.encode("r1234>"), own.encode(QUESTION)
            await own.close()
        return attempt, before, after

    attempt, before, after = asyncio.run(scenario())
    firsts = [sample.turns[0] for sample in attempt.samples]
    assert any("\N{REPLACEMENT CHARACTER}" in turn.text for turn in firsts)
    assert {turn.finish_reason for turn in firsts} == {"stop", "length"}
    for sample in attempt.samples:
        first, second = sample.turns
        assert second.prompt_tokens == (*before, *without_end(first.tokens), *after)


def test_through_a_chat_template_the_second_look_reads_a_conversation(tmp_path: Path) -> None:
    async def scenario() -> Attempt:
        made = save_chat_checkpoint(tmp_path)
        with local_engine() as own:
            await own.swap(0, made.folder, made.files)
            attempt = await attempt_by(own, second_look())
            await own.close()
        return attempt

    attempt = asyncio.run(scenario())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)

    def conversation(first: Turn) -> list[int]:
        messages = [
            {"role": "user", "content": "r1234>"},
            {"role": "assistant", "content": first.text},
            {"role": "user", "content": QUESTION},
        ]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return [int(token) for token in ids]

    for sample in attempt.samples:
        first, second = sample.turns
        assert list(second.prompt_tokens) == conversation(first)
        assert tokenizer.decode(second.prompt_tokens).count("<|im_start|>user") == 2
