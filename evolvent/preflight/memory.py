"""Whether what a run holds at once fits the memory of this machine, and an attempt a record of the
log: counted from below, so that what is refused could not have worked."""

from collections.abc import Collection, Sequence

from agents.engines.config import LocalConfig
from bus.codec import MAX_VALUE_BYTES
from bus.events import CURRENT
from evolvent.errors import UsageError
from evolvent.preflight.machine import may_have_gpu
from evolvent.preflight.rehearsal import Need
from evolvent.preflight.sizes import Sizes
from evolvent.recipe.recipe import Recipe
from trainer.config import LearnerConfig

_FLOAT = 4
_COPIES = 4
"""Of each trained weight: itself, its gradient, its average, the momentum of its optimiser."""

_TOKEN_BYTES = 16
"""Of a sampled token in a judgment: its id and its log-probability."""

_READ_BYTES, _WRITTEN_BYTES = 5, 11
"""Of a token on the log, in base64: its id; and with its log-probability."""

_GIB, _MIB = 1 << 30, 1 << 20


def check_memory(
    recipe: Recipe, roles: Collection[str], sizes: Sizes, needs: Sequence[Need], free: int
) -> None:
    """Raises `UsageError` where the services `roles`, all on this machine, could not get what they
    need of `free` bytes."""
    parts: dict[str, int] = {}
    if "trainer" in roles:
        parts |= _learning(recipe, sizes, needs)
    if {"solver", "evaluator"} & set(roles) and _computes_here(recipe):
        parts |= _serving(recipe, sizes, needs, solves="solver" in roles)
    if sum(parts.values()) <= free:
        return
    largest = max(parts, key=lambda what: parts[what])
    raise UsageError(
        f"this recipe needs at least {_shown(sum(parts.values()))} of memory, {_shown(free)} are "
        f"free: {_shown(parts[largest])} take {largest}"
    )


def check_records(recipe: Recipe, needs: Sequence[Need]) -> None:
    """Raises `UsageError` where a group of right answers is larger than a record may be."""
    each = max(need.reads * _READ_BYTES + need.writes * _WRITTEN_BYTES for need in needs)
    if (size := recipe.solver.samples * each) > MAX_VALUE_BYTES:
        raise UsageError(
            f"solver.samples = {recipe.solver.samples:,} make an attempt of at least "
            f"{size / _MIB:,.0f} MiB, {MAX_VALUE_BYTES / _MIB:,.0f} are allowed on the log: lower "
            "it, or domain.levels"
        )


def _learning(recipe: Recipe, sizes: Sizes, needs: Sequence[Need]) -> dict[str, int]:
    batch = recipe.trainer.size * recipe.solver.samples
    shortest = min(need.reads for need in needs) + 1
    parts = {
        f"the samples of a version ({batch:,}): lower trainer.size or solver.samples": batch
        * shortest
        * _TOKEN_BYTES
    }
    if may_have_gpu() and recipe.learner.device != "cpu":
        return parts
    copies = 1 if recipe.lora.rank else _COPIES
    copies *= len({CURRENT, *(phase.policy for phase in recipe.phases)})
    named = (
        f"the weights, gradients, averages and momenta of {sizes.parameters:,} parameters: choose "
        "a smaller model, or lora.rank"
    )
    parts[named] = copies * sizes.parameters * _FLOAT
    longest = max(need.reads + need.writes for need in needs)
    rows = min(recipe.warmup.batch, batch) if recipe.warmup.steps else 1
    least = longest if recipe.learner.shared_prefixes else rows * shortest
    part = max(longest, min(recipe.learner.micro_batch_tokens or 0, least))
    parts[f"one part of {part:,} tokens: lower learner.micro_batch_tokens or domain.levels"] = (
        part * sizes.kept_bytes // _kept_of(recipe.learner)
    )
    return parts


def _kept_of(learner: LearnerConfig) -> int:
    """Of so many bytes that layers keep at least one is kept."""
    if learner.gradient_checkpointing:
        return 10
    return 2 if learner.precision == "bf16" else 1


def _serving(
    recipe: Recipe, sizes: Sizes, needs: Sequence[Need], *, solves: bool
) -> dict[str, int]:
    longest = max(need.reads + need.writes for need in needs)
    solver = recipe.solver
    tasks = min(recipe.trainer.size, solver.concurrency)
    asked = tasks * solver.samples if solves else recipe.evaluator.count
    rows = min(getattr(recipe.engine, "max_rows", asked), asked)
    return {
        f"the served weights of {sizes.parameters:,} parameters: choose a smaller model": (
            sizes.parameters * _FLOAT
        ),
        f"the keys and values of {rows:,} samples of {longest:,} tokens: lower engine.max_rows or "
        "domain.levels": rows * longest * sizes.cached_bytes,
    }


def _computes_here(recipe: Recipe) -> bool:
    engine = recipe.engine
    return isinstance(engine, LocalConfig) and (engine.device == "cpu" or not may_have_gpu())


def _shown(size: int) -> str:
    return f"{size / _GIB:,.1f} GiB"
