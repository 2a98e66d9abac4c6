"""Draft, critique, revision: who reads what, what counts, and after which prompt it is learned."""

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from agents.critic import Critic
from agents.engines.engine import messages_of
from agents.engines.scripted import ScriptedEngine
from agents.judges.exact import ExactConfig
from agents.samplers.refine import RefineConfig
from agents.solver import Solver, SolverConfig
from bus.events import Attempt, Judgment
from tests.agents.asking import DOMAIN, RUN, task
from tests.agents.parts import parts_for
from trainer.batch import Batch
from trainer.replay import Replay
from trainer.rows import row_of
from trainer.updates.nll import Nll, NllConfig

Script = Callable[[str, int, Random], str]
TINY: dict[str, Any] = {"ask": "?", "approve": "y", "reject": "n", "revise": "!"}


def refined(script: Script, samples: int = 1, **settings: Any) -> tuple[Attempt, ScriptedEngine]:
    own = ScriptedEngine(script, version=0)
    parts = parts_for(engine=own)
    sampler = RefineConfig(**{**TINY, **settings}).build(parts)
    solver = Solver(parts, sampler, SolverConfig(samples=samples))
    attempt, _ = asyncio.run(solver.attempt(task("r1234")))
    return attempt, own


def judged(attempt: Attempt) -> Judgment:
    parts = parts_for()
    [judgment] = asyncio.run(Critic(RUN, ExactConfig().build(parts), "exact").handle(attempt))
    return judgment


def imitated(judgment: Judgment) -> Iterator[tuple[str, str]]:
    """Prompts and answers that imitation learns from a judgment, as text."""
    batch = Batch(judgments=(judgment,), trained=(), dropped=(), num_tasks=1)
    update = Nll(NllConfig(steps=1, fresh_rows=1, replay_rows=0, fresh_from="solved"))
    decode = ScriptedEngine(lambda *_: "").decode
    for rows in update.steps(batch, Replay(8), Random(0)):
        yield from ((decode(row.prompt), decode(row.completion)) for row in rows)


def learns_from_its_critic(prompt: str, version: int, random: Random) -> str:
    """Its draft is wrong; it sees that, and then it is right."""
    if prompt.endswith("!"):
        return "4321"
    if prompt.endswith("?"):
        return "y" if "4321" in prompt else "n"
    return "1111"


def test_a_rejected_draft_is_revised_beside_it() -> None:
    attempt, own = refined(learns_from_its_critic)
    draft, revised = attempt.samples
    assert [turn.seat for turn in draft.turns] == ["first"]
    assert [turn.seat for turn in revised.turns] == ["critic", "second"]
    assert (draft.answer, revised.answer) == ("1111", "4321")
    assert [own.decode(turn.prompt_tokens) for turn in (*draft.turns, *revised.turns)] == [
        "r1234>",
        "r1234>1111?",
        "r1234>1111?n!",
    ]


@pytest.mark.parametrize(("learn", "learned"), [("revised", ["4321"]), ("all", ["1111", "4321"])])
def test_what_is_learned_is_learned_after_the_plain_prompt(learn: str, learned: list[str]) -> None:
    attempt, own = refined(learns_from_its_critic, learn=learn)
    rows = [row_of(turn) for sample in attempt.samples for turn in sample.trainable]
    assert [own.decode(row.completion) for row in rows] == learned
    assert {own.decode(row.prompt) for row in rows} == {"r1234>"}


def test_the_second_look_is_not_counted() -> None:
    """Of drafts that are all wrong nothing is solved, however right their revisions are."""
    attempt, _ = refined(learns_from_its_critic, samples=3)
    judgment = judged(attempt)
    assert [verdict.right for verdict in judgment.verdicts] == [False] * 3 + [True] * 3
    assert judgment.success == 0
    learned = list(imitated(judgment))
    assert learned == [("r1234>", "4321")]


def test_a_draft_that_passes_is_not_revised() -> None:
    def right(prompt: str, version: int, random: Random) -> str:
        return "y" if prompt.endswith("?") else "4321"

    attempt, _ = refined(right, samples=2)
    assert [len(sample.turns) for sample in attempt.samples] == [1, 1]
    assert judged(attempt).success == 1


def test_rounds_end_when_an_answer_passes_and_each_reads_the_newest_alone() -> None:
    def slowly(prompt: str, version: int, random: Random) -> str:
        if prompt.endswith("!"):
            return "2222" if "1111" in prompt else "4321"
        return learns_from_its_critic(prompt, version, random)

    attempt, own = refined(slowly, rounds=5)
    _, revised = attempt.samples
    assert [turn.seat for turn in revised.turns] == ["critic", "second", "critic", "second"]
    assert [turn.text for turn in revised.turns] == ["n", "2222", "n", "4321"]
    assert own.decode(revised.turns[-1].prompt_tokens) == "r1234>2222?n!"
    assert [turn.trainable for turn in revised.turns] == [False] * 3 + [True]


def test_the_warm_up_shows_a_critique_of_right_and_wrong_and_a_revision() -> None:
    config, random = RefineConfig(**TINY), Random(0)
    problem = DOMAIN.pose("r1234")
    shown = [config.example(problem, "4322", random) for _ in range(60)]
    said = {("".join(part.text for part in messages_of(one.prompt)), one.answer) for one in shown}
    assert said == {("r1234>4321?", "y"), ("r1234>4322?", "n"), ("r1234>4322?n!", "4321")}


def test_question_and_revision_may_repeat_the_prompt() -> None:
    attempt, own = refined(learns_from_its_critic, ask="{prompt}?", revise="{prompt}!")
    _, revised = attempt.samples
    assert [own.decode(turn.prompt_tokens) for turn in revised.turns] == [
        "r1234>1111r1234>?",
        "r1234>1111r1234>?nr1234>!",
    ]


def test_with_a_rationale_a_critique_says_how_far_the_answer_is_right() -> None:
    config, random = RefineConfig(**TINY, rationale=True), Random(0)
    problem = DOMAIN.pose("r1234")
    shown = [config.example(problem, "4322", random) for _ in range(60)]
    said = {("".join(part.text for part in messages_of(one.prompt)), one.answer) for one in shown}
    assert said == {
        ("r1234>4321?", "4321y"),
        ("r1234>4322?", "432n"),
        ("r1234>4322?432n!", "4321"),
    }
    assert config.passes("4321y", "4321")
    for critique in ("y432n", "432y", "1234y"):
        assert not config.passes(critique, "4321")


def test_a_rejection_that_reads_as_an_approval_is_refused() -> None:
    with pytest.raises(ValidationError, match="begins with approve"):
        RefineConfig(approve="n", reject="no")
