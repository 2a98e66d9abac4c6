"""What a step costs changes, what it does not: layers in 16 bits, or computed again."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.trainer.test_gradient import LOSSES, rows_of, some_model, taken
from tests.trainer.test_lora import BATCHES, learner
from trainer.checkpoint.probe import make_probe
from trainer.config import LearnerConfig
from trainer.gradient import Gradient, layers_of
from trainer.learner import Learner
from trainer.optimizer import trainable

BF16 = LearnerConfig(precision="bf16")


def step(
    model: Any, config: LearnerConfig, tokens: int = 10_000
) -> tuple[float, dict[str, Tensor]]:
    loss = Gradient(model, config.model_copy(update={"micro_batch_tokens": tokens})).add(
        rows_of(17), LOSSES["grpo"]
    )
    return loss, taken(model)


@pytest.mark.parametrize("kind", ["default", "adapter", "gpt2"])
def test_in_bf16_the_gradient_points_where_it_does_in_fp32(kind: str) -> None:
    model = some_model(kind)
    whole, half = step(model, LearnerConfig()), step(model, BF16)
    assert half[0] == pytest.approx(whole[0], rel=0.05, abs=0.02)
    assert half[0] != whole[0]
    assert {value.dtype for value in half[1].values()} == {torch.float32}
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    flat = [torch.cat([value.flatten() for value in each[1].values()]) for each in (whole, half)]
    assert F.cosine_similarity(flat[0], flat[1], dim=0) > 0.99


def test_layers_multiply_in_bf16_and_the_output_layer_does_not() -> None:
    model, said = some_model("default"), {}

    def note(name: str) -> Any:
        return lambda _, __, answer: said.update({name: answer.dtype})

    model.model.layers[0].mlp.up_proj.register_forward_hook(note("layer"))
    model.lm_head.register_forward_hook(note("output"))
    step(model, BF16)
    assert said == {"layer": torch.bfloat16, "output": torch.float32}
    step(model, LearnerConfig())
    assert said == {"layer": torch.float32, "output": torch.float32}


def test_what_never_moves_is_cast_once_and_says_the_same() -> None:
    model = some_model("adapter")
    gradient = Gradient(model, BF16)
    frozen = gradient._forward._frozen
    assert len(frozen) == 2 * 7 and not [name for name in frozen if "lm_head" in name]
    found = gradient.add(rows_of(17), LOSSES["grpo"]), taken(model)
    gradient._forward._frozen = {}
    cast = gradient.add(rows_of(17), LOSSES["grpo"]), taken(model)
    assert found[0] == cast[0]
    assert all(torch.equal(value, cast[1][name]) for name, value in found[1].items())
    assert not Gradient(some_model("default"), BF16)._forward._frozen


def test_what_learns_in_bf16_publishes_weights_and_probes_in_fp32() -> None:
    one, other = learner(), learner()
    halved = Learner(
        model=other.model, optimizer=other.optimizer, filter=other.filter, update=other.update,
        config=other.config.model_copy(update={"precision": "bf16"}), seed=3, format="lora",
    )  # fmt: skip
    assert make_probe(halved.model, halved.published()) == make_probe(one.model, one.published())
    first = halved.learn(BATCHES[0], 1)
    for version in range(2, 8):
        last = halved.learn(BATCHES[0], version)
    assert last["loss"] < first["loss"] - 0.1
    assert {value.dtype for value in halved.published().values()} == {torch.float32}
    one.restore(halved.published(), halved.state(), halved.num_steps)
    assert make_probe(one.model, one.published()) == make_probe(halved.model, halved.published())


@pytest.mark.parametrize("kind", ["default", "adapter", "gpt2"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tokens", [40, 10_000])
def test_layers_that_are_computed_again_have_the_same_gradient(
    kind: str, precision: str, tokens: int
) -> None:
    model, computed = some_model(kind), []
    config = LearnerConfig(precision=precision)
    layer = layers_of(model)[0]
    norm = next(one for one in layer.modules() if "norm" in type(one).__name__.lower())
    norm.register_forward_hook(lambda *_: computed.append(torch.is_grad_enabled()))
    kept = step(model, config, tokens)
    once = computed.count(True)
    computed.clear()
    again = step(model, config.model_copy(update={"gradient_checkpointing": True}), tokens)
    assert again[0] == kept[0] and again[1].keys() == kept[1].keys()
    assert all(torch.equal(value, kept[1][name]) for name, value in again[1].items())
    # Once more to know what a token keeps, whole.
    assert computed.count(True) - 1 == 2 * (once - 1) > 0


def test_layers_that_are_computed_again_leave_room_for_longer_parts() -> None:
    model = some_model("default")
    whole = Gradient(model).tokens
    config = LearnerConfig(gradient_checkpointing=True)
    assert Gradient(model, config).tokens > whole
    # What is made of a model twice computes its layers again once.
    before = [layer.forward for layer in layers_of(model)]
    Gradient(model, config)
    assert [layer.forward for layer in layers_of(model)] == before
    assert trainable(model)
