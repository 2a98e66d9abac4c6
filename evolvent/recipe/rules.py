"""Whether the policies of a recipe can be served, and its run can learn with them. Loads no part
and no torch."""

from agents.policies.config import PolicyConfig
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.roles import services


def check(recipe: Recipe) -> None:
    """Raises `ValueError` for what could not be served, or not be learned from."""
    for section, names in recipe.uses.items():
        for name in names:
            try:
                policy = recipe.policy(name)
            except UsageError as error:
                raise ValueError(f"{section}.policy: {error}") from None
            if section == "solver":
                _check_pace(recipe, policy)
            elif policy.follow == "reference" and policy.version > 0:
                raise ValueError(
                    f"{section}.policy would wait for version {policy.version}, to which only its "
                    "tasks lead: let it follow version 0"
                )
    _check_servers(recipe)


def _check_pace(recipe: Recipe, solver: PolicyConfig) -> None:
    ahead, allowed = recipe.proposer.ahead, recipe.trainer.max_staleness
    if solver.follow == "reference":
        raise ValueError(
            f"solver.policy = {recipe.solver.policy!r} serves version {solver.version} for ever: "
            f"its attempts would soon be more than trainer.max_staleness = {allowed} versions old; "
            "name a policy that follows current or previous"
        )
    if solver.follow == "promoted":
        raise ValueError(
            f"solver.policy = {recipe.solver.policy!r} serves what a gate has promoted, however "
            "old: name a policy that follows current or previous"
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


def _check_servers(recipe: Recipe) -> None:
    """A server serves one version at a time, and so one policy of the services of a run."""
    users: dict[str, str] = {}
    asked = (name for row in services(recipe).values() for name in row.uses(recipe))
    for name in dict.fromkeys(asked):
        for url in recipe.engine_of(recipe.policy(name)).servers:
            if users.setdefault(url, name) != name:
                raise ValueError(
                    f"the policies {users[url]} and {name} cannot share the server {url}: name "
                    f"another one in policies.{name}.engine.urls"
                )
