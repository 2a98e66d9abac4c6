"""What the examples do beyond their contracts: what each page says of its own."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from agents.domains.domain import NotATask
from agents.domains.strings import StringsConfig
from bus.events import Evaluation, Judgment, LevelCount, Promotion, Sample, Verdict, derive_id
from bus.memory.bus import MemoryBus
from evolvent.contract.ground import RUN, attempt, ground, judgments, task, turn, weights
from tests.docs.pages import module_of
from trainer.batch import Batch
from trainer.forward import Scored
from trainer.replay import Replay

Module = Callable[[str], Any]


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return lambda kind: module_of(kind, tmp_path)


def judged(rewards: Sequence[float], turns: int = 1) -> Judgment:
    """A group with these rewards, whose answers say which sample they are."""
    problem = StringsConfig().build().make("reverse", 3, Random(1))
    samples = [
        Sample(turns=tuple(turn(str(number)) for _ in range(turns)))
        for number in range(len(rewards))
    ]
    tried = attempt(task(problem), samples)
    return Judgment(
        id=derive_id(RUN, "critic", tried.id),
        run=RUN,
        agent="critic",
        attempt=tried,
        verdicts=tuple(
            Verdict(scores={}, reward=reward, reason="said", provenance="test")
            for reward in rewards
        ),
        critic="test",
    )


def answers(judgment: Judgment) -> list[str]:
    return [sample.answer for sample in judgment.attempt.samples]


def test_a_number_is_posed_as_the_page_says(module: Module) -> None:
    domain = module("domain").BinaryConfig().build()
    for question in ("13", " b13 ", "b13>"):
        problem = domain.pose(question)
        assert (problem.level, problem.prompt, problem.answer) == (4, "b13>", "1101")


@pytest.mark.parametrize("text", ["", "b", "b013", "13", "x13", "b-1", "b0", "b" + "9" * 9])
def test_what_is_no_number_is_no_task(module: Module, text: str) -> None:
    with pytest.raises(NotATask):
        module("domain").BinaryConfig().build().read(text)


def test_the_hardest_levels_that_are_solved_are_asked_most(module: Module) -> None:
    async def scenario() -> Counter[int]:
        async with ground() as parts:
            source = module("source").RegretConfig(rate=1.0).build(parts)
            rates = {1: 32, 2: 24, 3: 8, 4: 2, 5: 0, 6: 0}
            for family in parts.domain.families:
                source.fold(
                    [
                        LevelCount(family=family, level=level, tasks=8, samples=32, correct=correct)
                        for level, correct in rates.items()
                    ]
                )
            assert set(source.state.top.values()) == {4}
            draw = await source.draw(2_000, Random(1), 0, "draw")
            return Counter(draft.problem.level for draft in draw.drafts)

    asked = asyncio.run(scenario())
    assert asked[4] > asked[3] > asked[2] > asked[1] > 0
    assert asked[5] + asked[6] < asked[1] * 4


def test_a_share_of_the_group_is_criticised(module: Module) -> None:
    async def scenario() -> list[tuple[tuple[str, bool], ...]]:
        async with ground() as parts:
            asked = task(parts.domain.make("reverse", 3, Random(1)))

            async def speak(prompt: Any, n: int = 1, **said: Any) -> Any:
                policy = parts.policy("current")
                return await policy.sample(prompt, n, max_tokens=9, **said)

            sampler = module("sampler").CritiqueConfig(share=0.25).build(parts)
            samples = await sampler.sample(asked, 4, speak)
        return [tuple((each.seat, each.trainable) for each in one.turns) for one in samples]

    criticised = (("first", False), ("critic", False), ("last", True))
    assert asyncio.run(scenario()) == [criticised, *[(("", True),)] * 3]


def test_long_answers_are_worth_less(module: Module) -> None:
    judge = module("judge").BriefConfig(free=4, over=4, least=0.2).build(None)
    problem = StringsConfig().build().make("reverse", 3, Random(1))
    others = turn("9" * 50, trainable=False)
    # The end is a token too.
    samples = [Sample(turns=(others, turn("1" * length))) for length in (0, 3, 5, 7, 40)]
    verdicts = asyncio.run(judge.judge(attempt(task(problem), samples)))
    assert [verdict.reward for verdict in verdicts] == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])
    assert [verdict.reason for verdict in verdicts] == ["short", "short", *["too long"] * 3]


@pytest.mark.parametrize(
    ("rewards", "kept"),
    [
        ((0, 0, 0, 1, 0, 0), (0, 1)),
        ((1, 1, 0, 1, 1, 1), (0, 1)),
        ((0.1, 0.9, 0.5, 0.4), (0.1, 0.9)),
        ((1, 1, 1), (1, 1)),
        ((1,), (1,)),
    ],
)
def test_what_differs_most_is_kept_with_its_verdict(
    module: Module, rewards: tuple[float, ...], kept: tuple[float, ...]
) -> None:
    whole = judged(rewards)
    chosen = module("filter").SpreadConfig(keep=2).build(None)
    [judgment] = chosen.choose([whole], Random(1))
    assert sorted(verdict.reward for verdict in judgment.verdicts) == sorted(kept)
    said = dict(zip(answers(whole), whole.verdicts, strict=True))
    assert [said[answer] for answer in answers(judgment)] == list(judgment.verdicts)
    assert answers(judgment) == sorted(answers(judgment))
    assert answers(whole) == [str(number) for number in range(len(rewards))]


def rows_of(module: Module, judgment: Judgment, **settings: Any) -> list[Any]:
    update = module("update").PairsConfig(**settings).build(None)
    batch = Batch(judgments=(judgment,), trained=(), dropped=(), num_tasks=1)
    return [row for rows in update.steps(batch, Replay(8), Random(1)) for row in rows]


def test_the_best_is_paired_with_the_worst(module: Module) -> None:
    engine_ids = {turn(str(number)).tokens: number for number in range(4)}
    rows = rows_of(module, judged((0.0, 1.0, 0.2, 0.7)))
    pairs = {(engine_ids[row.completion], row.weight) for row in rows}
    assert pairs == {(1, 1), (0, -1), (3, 2), (2, -2)}
    assert not rows_of(module, judged((1.0, 1.0, 1.0)))
    assert len(rows_of(module, judged((0.0, 1.0, 0.2, 0.7)), pairs=1)) == 2


def test_the_loss_is_that_of_the_paper(module: Module) -> None:
    """Two pairs, the first of two turns a side; padding stands at the end of each row."""
    update = module("update").PairsConfig(beta=0.5).build(None)
    weights_B = torch.tensor([1.0, 1.0, -1.0, -1.0, 2.0, -2.0])
    mask_BT = torch.tensor([[1.0, 1.0, 0.0]] * 6)
    gain_B = torch.tensor([0.3, 0.1, -0.2, 0.0, -0.4, 0.6])
    reference_BT = torch.full((6, 3), -1.0)
    logprobs_BT = (reference_BT + gain_B[:, None] / 2).requires_grad_()
    loss = update(
        Scored(
            logprobs_BT=logprobs_BT,
            behaviour_BT=torch.zeros(6, 3),
            weights_B=weights_B,
            mask_BT=mask_BT,
            reference_BT=reference_BT,
        )
    )
    margins = (0.3 + 0.1 + 0.2 - 0.0, -0.4 - 0.6)
    expected = sum(math.log1p(math.exp(-0.5 * margin)) for margin in margins) / 2
    assert float(loss.detach()) == pytest.approx(expected)
    loss.backward()
    assert logprobs_BT.grad is not None
    assert (logprobs_BT.grad[weights_B > 0, :2] < 0).all()
    assert (logprobs_BT.grad[weights_B < 0, :2] > 0).all()
    assert not logprobs_BT.grad[:, 2].any()


def evaluation(number: int, held_out: float) -> Evaluation:
    version = weights(number)
    return Evaluation(
        id=derive_id(RUN, "evaluator", version.id),
        run=RUN,
        agent="evaluator",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        weights=version.id,
        weights_version=number,
        scores=(),
        held_out=held_out,
        seen=1.0,
        seconds=0.0,
    )


@pytest.mark.parametrize("restart_after", [None, 1, 3])
@pytest.mark.parametrize(("gain", "promoted"), [(0.0, [0, 2, 4]), (0.25, [0, 4])])
def test_records_are_promoted_and_a_restart_goes_on(
    module: Module, gain: float, promoted: list[int], restart_after: int | None
) -> None:
    async def scenario() -> list[int]:
        bus, role = MemoryBus(), module("role")
        config = role.PromoterConfig(gain=gain)
        promoter = role.Promoter(RUN, bus.log, config.gain)
        said: list[Promotion] = []
        for number, held_out in enumerate((0.2, 0.1, 0.4, 0.3, 0.5)):
            event = evaluation(number, held_out)
            await bus.publish([event])
            if number == restart_after:
                promoter = role.Promoter(RUN, bus.log, config.gain)
            answer = await promoter.handle(event)
            again = await role.Promoter(RUN, bus.log, config.gain).handle(event)
            assert [each.id for each in again] == [each.id for each in answer]
            await bus.publish(answer)
            said += answer
        await bus.close()
        assert all(each.decision == "promoted" for each in said)
        return [each.weights_version for each in said]

    assert asyncio.run(scenario()) == promoted


def test_an_example_learns_from_groups_of_the_ground(module: Module) -> None:
    """Filter and update fit one another: of a spread group there is a pair."""

    async def scenario() -> list[Judgment]:
        async with ground() as parts:
            return await judgments(parts, 12)

    chosen = module("filter").SpreadConfig(keep=2).build(None)
    spread = chosen.choose(asyncio.run(scenario()), Random(1))
    mixed = [judgment for judgment in spread if 0 < judgment.success < 1]
    assert mixed
    assert all(rows_of(module, judgment) for judgment in mixed)
