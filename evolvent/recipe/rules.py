"""What a recipe may say of policies: every role names one that there is and that it can learn with.
Loads no part and no torch."""

from typing import TYPE_CHECKING, Any

from agents.engines.config import ServerConfig
from agents.policies.policy import BUILT_IN, PolicyConfig
from agents.sources.learned import LearnedConfig
from evolvent.errors import UsageError

if TYPE_CHECKING:
    from evolvent.recipe.recipe import Recipe

_SETTINGS = {"solver": "solver.policy", "proposer": "source.policy"}


def completed(policies: Any) -> Any:
    """Policies as written, with what goes without saying. Raises `ValueError`."""
    if not isinstance(policies, dict):
        return policies
    return {name: _completed(name, policy) for name, policy in policies.items()}


def _completed(name: str, policy: Any) -> Any:
    if not isinstance(policy, dict):
        return policy
    if name in BUILT_IN and policy.get("follow", name) != name:
        raise ValueError(f"what follows {policy['follow']} cannot be called {name}")
    if isinstance(engine := policy.get("engine"), dict):
        policy = {**policy, "engine": {"type": "local", **engine}}
    return {"follow": name, **policy} if name in BUILT_IN else policy


def chosen(recipe: "Recipe") -> dict[str, str]:
    """The policy of every role that generates."""
    names = {"solver": recipe.solver.policy}
    if isinstance(recipe.source, LearnedConfig):
        names["proposer"] = recipe.source.policy
    return names


def check(recipe: "Recipe") -> None:
    """Raises `ValueError` for what could not be served, or not be learned from."""
    policies = {}
    for role, name in chosen(recipe).items():
        try:
            policies[role] = recipe.policy(name)
        except UsageError as error:
            raise ValueError(f"{_SETTINGS[role]}: {error}") from None
    _check_pace(recipe, policies["solver"])
    source = policies.get("proposer", BUILT_IN["current"])
    if source.follow == "reference" and source.version > 0:
        raise ValueError(
            f"source.policy would wait for version {source.version}, to which only its tasks lead: "
            "let it follow version 0"
        )
    _check_servers(recipe)


def _check_pace(recipe: "Recipe", solver: PolicyConfig) -> None:
    ahead, allowed = recipe.proposer.ahead, recipe.trainer.max_staleness
    if solver.follow == "reference":
        raise ValueError(
            f"solver.policy = {recipe.solver.policy!r} serves version {solver.version} for ever: "
            f"its attempts would soon be more than trainer.max_staleness = {allowed} versions old; "
            "name a policy that follows current or previous"
        )
    if ahead > allowed:
        raise ValueError(
            f"proposer.ahead = {ahead} must not exceed trainer.max_staleness = {allowed}"
        )
    if solver.follow == "previous" and ahead + 1 > allowed:
        raise ValueError(
            f"proposer.ahead = {ahead} must be below trainer.max_staleness = {allowed}: "
            f"solver.policy = {recipe.solver.policy!r} is a version behind"
        )


def _check_servers(recipe: "Recipe") -> None:
    """A server serves one version at a time, and so one policy."""
    users: dict[str, str] = {}
    for name in chosen(recipe).values():
        engine = recipe.engine_of(recipe.policy(name))
        for url in engine.urls if isinstance(engine, ServerConfig) else ():
            if users.setdefault(url, name) != name:
                raise ValueError(
                    f"the policies {users[url]} and {name} cannot share the server {url}: name "
                    f"another one in policies.{name}.engine.urls"
                )
