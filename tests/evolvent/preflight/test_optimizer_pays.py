"""Muon is refused where it cannot pay, before anything starts; AdamW is not."""

import pytest

from evolvent.errors import UsageError
from evolvent.preflight.optimizer import check_optimizer
from evolvent.preflight.sizes import Sizes
from evolvent.recipe.load import load_recipe
from trainer.config import ModelConfig

SMOLLM2 = Sizes.fresh(
    ModelConfig(hidden=576, intermediate=1536, layers=30, heads=9, head_dim=64, vocab=49152)
)
"""As large as SmolLM2-135M, which shares keys and values among heads."""


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ([], "warmup.optimizer.type"),
        (["optimizer.type=adamw"], "warmup.optimizer.type"),
        (["warmup.steps=0"], "optimizer.type"),
        (["warmup.optimizer.type=adamw"], "optimizer.type"),
        (["warmup.steps=0", "optimizer.type=adamw"], None),
        (["warmup.steps=0", "lora.rank=4"], None),
        (["lora.rank=4"], "warmup.optimizer.type"),
        (["lora.rank=4", "model={path='given'}"], None),
        (["learner.device=cuda"], None),
    ],
)
def test_muon_of_a_large_model_is_refused_on_a_cpu(
    settings: list[str], refused: str | None
) -> None:
    recipe = load_recipe("words", ["learner.device=cpu", *settings])
    if refused is None:
        check_optimizer(recipe, SMOLLM2)
        return
    with pytest.raises(
        UsageError, match=rf"^{refused} = 'muon' needs 1,\d\d\d GFLOP a step .*adamw"
    ):
        check_optimizer(recipe, SMOLLM2)


def test_muon_of_a_small_model_is_not() -> None:
    check_optimizer(load_recipe("words", ["learner.device=cpu"]), Sizes.fresh(ModelConfig()))
