"""The optimiser against torch's own Muon and AdamW."""

import copy

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from tests.trainer.lessons import TINY
from trainer.config import OptimizerConfig
from trainer.optimizer import Optimizer, orthogonalise
from trainer.seed_model import make_model

STEPS = 5
CONFIG = OptimizerConfig(muon_lr=0.02, adamw_lr=3e-3, momentum=0.9, weight_decay=0.05)


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and "layers" in name


def gradients(model: nn.Module, step: int, norm: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    drawn = {
        name: torch.randn(parameter.shape, generator=generator)
        for name, parameter in model.named_parameters()
    }
    whole = torch.cat([value.flatten() for value in drawn.values()]).norm()
    return {name: value * norm / whole for name, value in drawn.items()}


def set_gradients(model: nn.Module, drawn: dict[str, torch.Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.grad = drawn[name].clone()


def test_five_steps_move_the_weights_as_torch_does() -> None:
    model = make_model(TINY, seed=1)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    reference = copy.deepcopy(model)
    named = list(reference.named_parameters())
    muon = torch.optim.Muon(
        [value for name, value in named if is_matrix(name, value)],
        lr=CONFIG.muon_lr,
        momentum=CONFIG.momentum,
        weight_decay=CONFIG.weight_decay,
    )
    adamw = torch.optim.AdamW(
        [value for name, value in named if not is_matrix(name, value)],
        lr=CONFIG.adamw_lr,
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )
    optimizer = Optimizer(model, CONFIG)
    for step in range(STEPS):
        drawn = gradients(model, step, norm=0.9)
        set_gradients(model, drawn)
        set_gradients(reference, drawn)
        assert optimizer.step() == pytest.approx(0.9, rel=1e-4)
        muon.step()  # type: ignore[no-untyped-call]
        adamw.step()

    mine = dict(model.named_parameters())
    for name, theirs in named:
        if is_matrix(name, theirs):
            # torch orthogonalises in bfloat16: three digits.
            apart = (mine[name] - theirs).norm() / (theirs - start[name]).norm()
            assert apart < 0.02, name
        else:
            assert torch.equal(mine[name], theirs), name


def test_adamw_for_everything_is_that_of_torch() -> None:
    """Matrices inside the layers decay, whatever moves them."""
    model = make_model(TINY, seed=1)
    reference = copy.deepcopy(model)
    named = list(reference.named_parameters())
    kinds = [(True, CONFIG.weight_decay), (False, 0.0)]
    adamw = torch.optim.AdamW(
        [
            {"params": [p for n, p in named if is_matrix(n, p) == kind], "weight_decay": decay}
            for kind, decay in kinds
        ],
        lr=CONFIG.adamw_lr / 2,
        betas=(0.9, 0.98),
    )
    optimizer = Optimizer(model, CONFIG.model_copy(update={"type": "adamw"}))
    for step in range(STEPS):
        drawn = gradients(model, step, norm=0.9)
        set_gradients(model, drawn)
        set_gradients(reference, drawn)
        assert optimizer.step(0.5) == pytest.approx(0.9, rel=1e-4)
        adamw.step()
    assert not [name for name in optimizer.state() if name.startswith("muon.")]
    mine = dict(model.named_parameters())
    for name, theirs in named:
        torch.testing.assert_close(mine[name], theirs)


def test_matrices_inside_the_layers_of_any_model_go_to_muon() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_embd=8, n_layer=2, n_head=2))
    state = Optimizer(model, CONFIG).state()
    sizes = sum(value.numel() for name, value in state.items() if name.startswith("muon."))
    inside = [value for name, value in model.named_parameters() if ".h." in name]
    assert sizes == sum(value.numel() for value in inside if value.ndim == 2) > 0


def test_the_scale_multiplies_both_learning_rates() -> None:
    whole, half = (make_model(TINY, seed=1) for _ in range(2))
    start = {name: value.detach().clone() for name, value in whole.named_parameters()}
    config = OptimizerConfig(weight_decay=0.0)
    for model, scale in ((whole, 1.0), (half, 0.5)):
        set_gradients(model, gradients(model, 0, norm=0.5))
        Optimizer(model, config).step(scale)
    halves = dict(half.named_parameters())
    for name, value in whole.named_parameters():
        torch.testing.assert_close(value - start[name], 2 * (halves[name] - start[name]))


def test_a_large_gradient_is_clipped_to_the_global_norm() -> None:
    clipped, small = (make_model(TINY, seed=1) for _ in range(2))
    config = OptimizerConfig(grad_clip=0.5)
    for model, norm in ((clipped, 50.0), (small, 0.5)):
        set_gradients(model, gradients(model, 0, norm))
        assert Optimizer(model, config).step() == pytest.approx(norm, rel=1e-4)
    theirs = dict(small.named_parameters())
    for name, value in clipped.named_parameters():
        torch.testing.assert_close(value, theirs[name])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_moves_nothing(bad: float) -> None:
    model = make_model(TINY, seed=1)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = Optimizer(model, CONFIG)
    before = {name: value.clone() for name, value in optimizer.state().items()}
    drawn = gradients(model, 0, norm=0.5)
    drawn["model.layers.1.mlp.up_proj.weight"][0, 0] = bad
    set_gradients(model, drawn)
    assert not optimizer.step() < float("inf")
    assert all(torch.equal(value, start[name]) for name, value in model.named_parameters())
    assert all(torch.equal(value, before[name]) for name, value in optimizer.state().items())
    assert all(value.grad is None for value in model.parameters())


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24)])
def test_orthogonalised_matrices_have_singular_values_about_one(
    shape: tuple[int, int, int],
) -> None:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(drawn)
    singular = torch.linalg.svdvals(result)
    assert result.shape == drawn.shape
    assert 0.3 < float(singular.min()) <= float(singular.max()) < 1.3
    # The directions stay: the polar factor of the input and of the output agree.
    u, _, v = torch.linalg.svd(drawn, full_matrices=False)
    overlap = (result * (u @ v)).sum() / (result.norm() * (u @ v).norm())
    assert float(overlap) > 0.95


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_the_state_goes_on_in_another_optimiser(kind: str) -> None:
    config = CONFIG.model_copy(update={"type": kind})
    whole, again = (make_model(TINY, seed=1) for _ in range(2))
    first = Optimizer(whole, config)
    for step in range(2):
        set_gradients(whole, gradients(whole, step, norm=0.5))
        first.step()
    with torch.no_grad():
        for mine, theirs in zip(again.parameters(), whole.parameters(), strict=True):
            mine.copy_(theirs)
    second = Optimizer(again, config)
    second.restore({name: value.clone() for name, value in first.state().items()})
    for model, optimizer in ((whole, first), (again, second)):
        set_gradients(model, gradients(model, 2, norm=0.5))
        optimizer.step()
    for mine, theirs in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)
