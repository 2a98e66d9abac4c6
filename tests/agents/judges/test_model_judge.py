"""A model as a judge: what it reads, what its word is worth, and that nobody learns from it."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from pydantic import ValidationError

from agents.critic import Critic
from agents.engines.scripted import ScriptedEngine
from agents.judges.model import ModelConfig
from bus.events import Attempt, Judgment, Verdict
from tests.agents.asking import RUN, attempt, says, task
from tests.agents.parts import parts_for

QUESTION = task("r12").question


class Reader:
    """A judge that keeps what it reads, and replies by the answer."""

    def __init__(self, replies: dict[str, str]) -> None:
        self.read: list[str] = []
        self._replies = replies

    def __call__(self, prompt: str, version: int, random: Random) -> str:
        self.read.append(prompt)
        return self._replies[prompt.split("Answer: ")[1].split("\n", maxsplit=1)[0]]


def judged(config: ModelConfig, group: Attempt, own: ScriptedEngine) -> tuple[Verdict, ...]:
    parts = parts_for(others={config.policy: own})
    return asyncio.run(config.build(parts).judge(group))


def replies(words: Sequence[str]) -> list[Verdict]:
    """To one answer each."""
    group = attempt(task("r12"), [str(index) for index in range(len(words))])
    reader = Reader({str(index): word for index, word in enumerate(words)})
    return list(judged(ModelConfig(max_tokens=20), group, ScriptedEngine(reader, version=0)))


def test_a_reply_says_yes_no_or_neither() -> None:
    said = replies(
        ["yes", "Yes, it is.", " YES", "no", "No!", "nobody knows", "maybe", "", "oh yes"]
    )
    assert [verdict.reward for verdict in said] == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert [verdict.known for verdict in said] == [True] * 6 + [False] * 3
    assert [verdict.reason for verdict in said] == (
        ["approved"] * 3 + ["disapproved"] * 3 + ["the judge said neither"] * 3
    )
    assert {verdict.provenance for verdict in said} == {"model"}
    assert [verdict.scores for verdict in said] == [{"model": verdict.reward} for verdict in said]


def test_the_words_are_the_recipes() -> None:
    config = ModelConfig(yes="+", no="-", template="{prompt}={answer}:")
    for word, reward, known in (("+", 1, True), ("-", 0, True), ("yes", 0, False)):
        [verdict] = judged(
            config, attempt(task("r12"), ["21"]), ScriptedEngine(says(word), version=0)
        )
        assert (verdict.reward, verdict.known) == (reward, known)
        assert verdict.turn is not None
        own = ScriptedEngine(says(word), version=0)
        assert own.decode(verdict.turn.prompt_tokens) == "r12>=21:"


def test_what_the_judge_said_stands_in_the_verdict_and_is_not_learned_from() -> None:
    config = ModelConfig(policy="reference")
    group = attempt(task("r12"), ["21"])
    own = ScriptedEngine(says("yes"), version=7)
    parts = parts_for(others={"reference": own})
    critic = Critic(RUN, config.build(parts), "model")
    [judgment] = asyncio.run(critic.handle(group))
    [verdict] = judgment.verdicts
    turn = verdict.turn
    assert turn is not None
    assert (turn.text, turn.policy, turn.seat, turn.trainable) == (
        "yes",
        "reference",
        "judge",
        False,
    )
    assert {span.version for span in turn.spans} == {7}
    assert own.decode(turn.prompt_tokens).startswith(f"{QUESTION}\nAnswer: 21\n")
    # What judges is no part of what is judged: it does not age the attempt.
    assert judgment.attempt.oldest_version == 0
    [read] = Judgment.model_validate_json(judgment.model_dump_json()).verdicts
    assert read.turn is not None
    assert (read.turn.tokens, read.turn.spans) == (turn.tokens, turn.spans)


def test_an_answer_is_never_read_as_a_field_of_the_template() -> None:
    answers = ["{question}", "{answer}", "{prompt} {0} {", "\\1 \\g<0>"]
    reader = Reader(dict.fromkeys(answers, "no"))
    judged(ModelConfig(), attempt(task("r12"), answers), ScriptedEngine(reader, version=0))
    for answer, prompt in zip(answers, reader.read, strict=True):
        assert prompt.startswith(f"{QUESTION}\nAnswer: {answer}\n")
        assert prompt.count(QUESTION) == 1


def test_every_different_answer_is_judged_once() -> None:
    reader = Reader({"21": "yes", "12": "no"})
    group = attempt(task("r12"), ["21", "12", "21", "21", "12"])
    said = judged(ModelConfig(), group, ScriptedEngine(reader, version=0))
    assert len(reader.read) == 2
    assert [verdict.reward for verdict in said] == [1, 0, 1, 1, 0]


def test_a_template_that_hides_the_answer_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must show the \{answer\}"):
        ModelConfig(template="{question} Is it right?")
    with pytest.raises(ValidationError):
        ModelConfig(yes="")
