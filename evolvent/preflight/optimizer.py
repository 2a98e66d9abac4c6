"""Whether Muon can pay: on a CPU it takes longer to orthogonalise the matrices of a large model
than all the rest of a step. Loads no torch."""

from evolvent.errors import UsageError
from evolvent.preflight.machine import may_have_gpu
from evolvent.preflight.sizes import Sizes
from evolvent.recipe.recipe import Recipe

_MOST_OPERATIONS = 50e9
"""In a step on a CPU: at 10 to 70 GFLOP/s, measured on one core, 1 to 5 seconds."""


def check_optimizer(recipe: Recipe, sizes: Sizes) -> None:
    """Raises `UsageError` where a step of Muon on this machine would take too long."""
    if recipe.learner.device.startswith("cuda"):
        return
    if recipe.learner.device == "auto" and may_have_gpu():
        return
    if sizes.muon_operations <= _MOST_OPERATIONS:
        return
    adapts = recipe.lora.rank > 0
    # Under an adapter a given model never moves; a fresh one does in its warm-up.
    warmed = recipe.warmup.steps and not (adapts and recipe.model.path is not None)
    full = {
        "warmup.optimizer.type": recipe.warmup.optimizer if warmed else None,
        "optimizer.type": None if adapts else recipe.optimizer,
    }
    for field, config in full.items():
        if config is not None and config.type == "muon":
            raise UsageError(
                f"{field} = 'muon' needs {sizes.muon_operations / 1e9:,.0f} GFLOP a step for the "
                f"matrices of {sizes.parameters:,} parameters, on a CPU at most "
                f"{_MOST_OPERATIONS / 1e9:,.0f} are allowed: choose 'adamw', or compute on a GPU"
            )
