"""Whether the GPUs that a recipe names are there. torch is asked in a process of its own, and only
where one is named and the system shows any: the process that starts a run stays light."""

from collections.abc import Collection, Iterator

from agents.engines.config import EngineConfig, LocalConfig
from agents.engines.local.device import is_there, missing
from evolvent.errors import UsageError
from evolvent.preflight.gpus import num_gpus
from evolvent.preflight.machine import may_have_gpu, multiplies_bf16
from evolvent.recipe.recipe import Recipe

_ASKS = {
    "solver": "solver",
    "sampler": "solver",
    "source": "proposer",
    "judge": "critic",
    "judges": "critic",
}
"""Who generates with the policies of a section."""


def check_devices(recipe: Recipe, roles: Collection[str] | None = None) -> None:
    """Raises `UsageError` for a GPU that one of `roles` (None: any) would compute on and that this
    machine has not, and for a precision that its CPU has not."""
    if roles is None or "trainer" in roles:
        _check_precision(recipe)
    named = [(field, name) for field, name in _named(recipe, roles) if name.startswith("cuda")]
    if not named or (count := num_gpus()) is None:
        return
    for field, name in named:
        if not is_there(name, count):
            raise UsageError(f"{field}.{missing(name, count)}")


def _check_precision(recipe: Recipe) -> None:
    device = recipe.learner.device
    on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
    if recipe.learner.precision == "bf16" and on_cpu and not multiplies_bf16():
        raise UsageError(
            "learner.precision = 'bf16' would be slower on this CPU, which has neither avx512_bf16 "
            "nor amx_bf16: choose 'fp32'"
        )


def _named(recipe: Recipe, roles: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """The fields that name a device, and the device."""

    def is_here(role: str) -> bool:
        return role not in recipe.run.without and (roles is None or role in roles)

    if is_here("trainer"):
        yield "learner", recipe.learner.device
    if is_here("evaluator"):
        yield from _of_engine("engine", recipe.engine.in_process())
    asked = [(_ASKS[section], names) for section, names in recipe.uses.items() if section in _ASKS]
    asked += [(role.type, role.uses) for role in recipe.roles]
    for policy in dict.fromkeys(name for role, names in asked if is_here(role) for name in names):
        rule = recipe.policy(policy)
        place = "engine" if rule.engine is None else f"policies.{policy}.engine"
        yield from _of_engine(place, recipe.engine_of(rule))


def _of_engine(place: str, engine: EngineConfig) -> Iterator[tuple[str, str]]:
    if isinstance(engine, LocalConfig):
        yield place, engine.device
