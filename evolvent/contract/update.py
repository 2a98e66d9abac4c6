"""What every update promises. Loads torch."""

import math
from dataclasses import replace
from random import Random

import torch

from evolvent.contract.ground import judgments
from evolvent.contract.promise import DoesNotApply, Promise, Subject, expect
from trainer.batch import Batch
from trainer.config import ModelConfig
from trainer.forward import Scored, score
from trainer.replay import Replay
from trainer.rows import Row
from trainer.seed_model import make_model
from trainer.updates.update import Update

_COUNT = 12
_WARM = 0.5
_TINY = ModelConfig(hidden=16, intermediate=16, layers=1, heads=1, head_dim=16)
_REFERENCES = (None, "previous", "first")


async def a_batch_gives_rows_to_learn_from(subject: Subject) -> None:
    expect(bool(await _rows(subject)), "of a batch with right and wrong answers it learns nothing")


async def only_trainable_turns_are_learned_from(subject: Subject) -> None:
    batch = await judgments(subject.parts, _COUNT)
    samples = [sample for judgment in batch for sample in judgment.attempt.samples]
    own = {turn.tokens for sample in samples for turn in sample.trainable}
    frozen = {turn.tokens for sample in samples for turn in sample.turns if not turn.trainable}
    learned = {row.completion for row in await _rows(subject)}
    expect(not learned & (frozen - own), "the turn of a frozen policy is learned from")
    expect(bool(learned & own), "no turn of the batch is learned from")


async def the_same_chance_gives_the_same_rows(subject: Subject) -> None:
    expect(await _rows(subject) == await _rows(subject), "it gives two orders of rows")


def an_empty_batch_is_no_error(subject: Subject) -> None:
    update: Update = subject.build()
    for rows in update.steps(Batch.empty(), Replay(8), Random(1)):
        expect(bool(rows), "a step has no rows")


async def the_loss_is_a_number_with_a_gradient(subject: Subject) -> None:
    update: Update = subject.build()
    model = make_model(_TINY)
    loss = update(await _scored(subject, model))
    expect(loss.ndim == 0, f"the loss has the shape {tuple(loss.shape)}, not ()")
    expect(math.isfinite(float(loss.detach())), f"the loss is {float(loss.detach())}")
    loss.backward()  # type: ignore[no-untyped-call]
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    whole = all(bool(torch.isfinite(grad).all()) for grad in grads)
    expect(whole and any(bool(grad.any()) for grad in grads), "the gradient is zero or no number")


async def padding_changes_nothing(subject: Subject) -> None:
    update: Update = subject.build()
    model = make_model(_TINY)
    scored = await _scored(subject, model)
    spoilt = torch.where(scored.mask_BT.bool(), scored.logprobs_BT, torch.tensor(-7.0))
    before, after = (
        float(update(each).detach()) for each in (scored, replace(scored, logprobs_BT=spoilt))
    )
    expect(math.isclose(before, after, abs_tol=1e-6), f"{before} becomes {after} by it")


def the_reference_is_one_that_there_is(subject: Subject) -> None:
    update: Update = subject.build()
    expect(update.reference in _REFERENCES, f"there is no reference {update.reference!r}")


async def a_reference_that_is_asked_for_is_used(subject: Subject) -> None:
    update: Update = subject.build()
    if update.reference is None:
        raise DoesNotApply("it compares with no other version")
    scored = await _scored(subject, make_model(_TINY))
    assert scored.reference_BT is not None
    other = replace(scored, reference_BT=scored.reference_BT - 1.0)
    expect(
        not torch.allclose(update(scored), update(other)),
        "the loss is the same whatever the reference says",
    )


async def what_is_compared_with_the_behaviour_policy_is_at_its_temperature(
    subject: Subject,
) -> None:
    update: Update = subject.build()
    scored = await _scored(subject, make_model(_TINY))
    shift_BT = 0.1 * torch.arange(scored.behaviour_BT.numel()).view_as(scored.behaviour_BT)
    if torch.equal(
        update(scored), update(replace(scored, behaviour_BT=scored.behaviour_BT - shift_BT))
    ):
        return
    expect(
        getattr(subject.config, "takes_ratios", False),
        "its configuration does not say `takes_ratios = True`: recipes that sample with top_p or "
        "top_k would not be refused",
    )
    expect(
        all(row.temperature == _WARM for row in await _rows(subject, _WARM)),
        "its rows are not at the temperature of their attempts: make them with `sampled_row`",
    )


async def _rows(subject: Subject, temperature: float = 1.0) -> list[Row]:
    if not getattr(subject.config, "learns", True):
        raise DoesNotApply("it learns nothing")
    update: Update = subject.build()
    judged = tuple(
        each.model_copy(
            update={"attempt": each.attempt.model_copy(update={"temperature": temperature})}
        )
        for each in await judgments(subject.parts, _COUNT)
    )
    batch = replace(Batch.empty(), judgments=judged)
    return [row for rows in update.steps(batch, Replay(8), Random(1)) for row in rows]


async def _scored(subject: Subject, model: torch.nn.Module) -> Scored:
    """Log-probabilities of what is learned from, the reference's of a model of its own."""
    update: Update = subject.build()
    rows = await _rows(subject)
    scored = score(model, rows)
    if update.reference is None:
        return scored
    with torch.no_grad():
        reference = score(make_model(_TINY, seed=1), rows)
    return replace(scored, reference_BT=reference.logprobs_BT)


PROMISES: tuple[Promise, ...] = (
    a_batch_gives_rows_to_learn_from,
    only_trainable_turns_are_learned_from,
    the_same_chance_gives_the_same_rows,
    an_empty_batch_is_no_error,
    the_loss_is_a_number_with_a_gradient,
    padding_changes_nothing,
    the_reference_is_one_that_there_is,
    a_reference_that_is_asked_for_is_used,
    what_is_compared_with_the_behaviour_policy_is_at_its_temperature,
)
