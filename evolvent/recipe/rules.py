"""Whether the policies of a recipe can be served, and its run can learn with them. Loads no part
and no torch."""

from agents.policies.config import BUILT_IN, PolicyConfig
from bus.events import CURRENT
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
    _check_phases(recipe)
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


def _check_phases(recipe: Recipe) -> None:
    """Every policy that is trained has something to learn from, and every chain is of one."""
    trained = {CURRENT, *(phase.policy for phase in recipe.phases)}
    for name, chain in recipe.chains.items():
        if chain not in trained:
            raise ValueError(
                f"policies.{name}.chain = {chain!r}, which no phase trains: add it to phases"
            )
    if not recipe.phases:
        return
    if all(phase.policy != CURRENT for phase in recipe.phases):
        raise ValueError(f"phases never train {CURRENT!r}, the policy that answers: add it")
    if recipe.learner.restart_every:
        raise ValueError(
            f"learner.restart_every = {recipe.learner.restart_every} counts versions of one "
            "policy, and phases train several: set it to 0"
        )
    for name, policy in recipe.policies.items():
        if policy.version:
            raise ValueError(
                f"policies.{name}.version = {policy.version}: where phases train several policies "
                "a reference is version 0; leave it out"
            )
    for name in sorted(trained - {CURRENT}):
        _check_trained(recipe, name)
    if (chain := recipe.policy(recipe.solver.policy).chain) != CURRENT:
        raise ValueError(
            f"solver.policy = {recipe.solver.policy!r} has the weights of {chain!r}: answers are "
            f"learned from and measured as those of {CURRENT!r}; name a policy of that chain"
        )


def _check_trained(recipe: Recipe, name: str) -> None:
    if recipe.policy(name).chain != name or name in BUILT_IN:
        raise ValueError(
            f"phases cannot train {name!r}, which has other weights: give it another name"
        )
    if name not in {recipe.policy(used).chain for used in recipe.source.uses}:
        raise ValueError(
            f"phases train {name!r}, which proposes nothing that it could learn from: set "
            f"source.type = 'learned' and source.policy = {name!r}"
        )
    reward = getattr(recipe.loss, "proposer_reward", "none")
    if reward == "none" and not getattr(recipe.loss, "proposal_rows", 0):
        raise ValueError(
            f"phases train {name!r}, and loss.type = {recipe.loss.type!r} learns from no "
            "proposal: set loss.proposer_reward, such as 'tent'"
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
