"""Whether a run with a recipe could ever learn: groups that can differ, rows that can come.
Loads no part and no torch."""

from agents.judges.chance import ChanceConfig
from agents.judges.implicit import ImplicitConfig
from agents.judges.vote import VoteConfig
from agents.sources.learned import LearnedConfig
from agents.sources.mutate import MutateConfig
from evolvent.recipe.recipe import Recipe
from trainer.filters.band import BandConfig
from trainer.updates.advantage import OF_GROUP
from trainer.updates.config import UpdateConfig
from trainer.updates.cream import CreamConfig
from trainer.updates.dpo import DpoConfig
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig


def check(recipe: Recipe) -> None:
    """Raises `ValueError` for a recipe whose weights would stay as they are, or learn from nothing
    that was judged."""
    _check_group(recipe)
    _check_ratios(recipe)
    _check_proposers(recipe)
    _check_operators(recipe)
    _check_band(recipe)
    _check_coins(recipe)
    _check_rows(recipe)
    _check_growth(recipe)
    _check_hints(recipe)
    _check_warmup(recipe)
    _check_roles(recipe)
    _check_games(recipe)
    _check_likelihood(recipe)


def _check_group(recipe: Recipe) -> None:
    samples = recipe.solver.samples
    if samples > 1:
        return
    if _compares_a_group(recipe.loss):
        raise ValueError(
            f"solver.samples = {samples}: loss.type = {recipe.loss.type!r} compares the samples of "
            "a group with each other, and would never learn from a group of one; draw 2 or more"
        )
    if any(isinstance(judge, VoteConfig) for judge in recipe.all_judges):
        raise ValueError(
            f"solver.samples = {samples}: judge.type = 'vote' would find every answer in the "
            "majority; draw 2 or more"
        )


def _compares_a_group(loss: UpdateConfig) -> bool:
    if isinstance(loss, GrpoConfig):
        return loss.baseline in OF_GROUP
    return isinstance(loss, DpoConfig | CreamConfig)


def _check_ratios(recipe: Recipe) -> None:
    """What was drawn from a narrowed distribution has a probability that no learner computes."""
    solver = recipe.solver
    if solver.narrowed and getattr(recipe.loss, "takes_ratios", False):
        narrowed = "top_p" if solver.top_p < 1 else "top_k"
        raise ValueError(
            f"solver.{narrowed} = {getattr(solver, narrowed)}: loss.type = {recipe.loss.type!r} "
            "compares the learner with the distribution that was sampled from, which must hold "
            "every token; leave solver.top_p at 1 and solver.top_k at 0, or choose loss.type = "
            "'nll'"
        )


def _check_proposers(recipe: Recipe) -> None:
    """Proposals that a policy gradient learns from are drawn whole, by weights that learn."""
    reward, source = getattr(recipe.loss, "proposer_reward", "none"), recipe.source
    if reward == "none":
        return
    said = f"loss.proposer_reward = {reward!r}"
    if not isinstance(source, LearnedConfig):
        raise ValueError(
            f"{said} rewards what a model proposes, and with source.type = {source.type!r} none "
            "does: choose source.type = 'learned', or loss.proposer_reward = 'none'"
        )
    if source.top_p < 1 or source.top_k > 0:
        narrowed = "top_p" if source.top_p < 1 else "top_k"
        raise ValueError(
            f"source.{narrowed} = {getattr(source, narrowed)}: {said} compares the learner with "
            "the distribution that was sampled from, which must hold every token; leave "
            "source.top_p at 1 and source.top_k at 0"
        )
    if (follows := recipe.policy(source.policy).follow) not in ("current", "previous"):
        raise ValueError(
            f"source.policy = {source.policy!r} follows {follows}, and {said} would teach what "
            "other weights have written: set loss.proposer_reward = 'none', or name a policy that "
            "follows current or previous"
        )


def _check_operators(recipe: Recipe) -> None:
    """A domain that makes tasks of others says `evolves` in its configuration."""
    if isinstance(recipe.source, MutateConfig) and not getattr(recipe.domain, "evolves", False):
        raise ValueError(
            f"source.type = {recipe.source.type!r} makes tasks of other tasks, and domain.type = "
            f"{recipe.domain.type!r} has no operators for that: choose domain.type = 'programs' or "
            "'strings'"
        )


def _check_band(recipe: Recipe) -> None:
    if not isinstance(band := recipe.filter, BandConfig):
        return
    samples = recipe.solver.samples
    inside = [right for right in range(samples + 1) if band.low <= right / samples <= band.high]
    if isinstance(recipe.loss, NllConfig):
        inside = [right for right in inside if right > 0]
    if not inside:
        raise ValueError(
            f"filter.low = {band.low} and filter.high = {band.high}: no share of solver.samples = "
            f"{samples} that could be learned from lies between them; draw more samples or widen it"
        )


def _check_coins(recipe: Recipe) -> None:
    if len(recipe.all_judges) > 1 or not isinstance(coin := recipe.all_judges[0], ChanceConfig):
        return
    if coin.rate == 0 and isinstance(recipe.loss, NllConfig):
        raise ValueError("judge.rate = 0: nothing would ever be right, so nothing is learned from")
    if coin.rate in (0, 1) and isinstance(recipe.loss, GrpoConfig | DpoConfig | CreamConfig):
        raise ValueError(
            f"judge.rate = {coin.rate:g}: all samples of a group would be judged alike, and "
            f"loss.type = {recipe.loss.type!r} learns from what differs"
        )


def _check_rows(recipe: Recipe) -> None:
    loss = recipe.loss
    if isinstance(loss, NllConfig) and not (
        loss.fresh_rows or loss.replay_rows or loss.proposal_rows
    ):
        raise ValueError(
            "loss.fresh_rows, loss.replay_rows and loss.proposal_rows are all 0: nothing that was "
            "judged would be learned from"
        )


def _check_growth(recipe: Recipe) -> None:
    growth = getattr(recipe.loss, "growth", 1.0)
    if growth > 1 and not recipe.learner.restart_every:
        raise ValueError(
            f"loss.growth = {growth:g} counts how often learning starts from version 0 again, and "
            "it never does: set learner.restart_every"
        )


def _check_hints(recipe: Recipe) -> None:
    """What was drawn after a hint is learned after another prompt: it has no ratio."""
    hints, sampler, loss = getattr(recipe.sampler, "hints", False), recipe.sampler, recipe.loss
    if hints and getattr(loss, "takes_ratios", False):
        raise ValueError(
            f"sampler.type = {sampler.type!r} has samples learned after another prompt than they "
            f"were drawn after, and loss.type = {loss.type!r} compares the learner with what they "
            "were drawn from; choose sampler.type = 'single' or loss.type = 'nll'"
        )


def _check_warmup(recipe: Recipe) -> None:
    """A domain of a plug-in may have warm-up levels without a field of that name."""
    if getattr(recipe.domain, "warmup_levels", None) != ():
        return
    needs = {
        "warmup.steps": recipe.warmup.steps,
        "loss.warmup_rows": getattr(recipe.loss, "warmup_rows", 0),
        "loss.anchor_rows": getattr(recipe.loss, "anchor_rows", 0),
        "loss.role_rows": getattr(recipe.loss, "role_rows", 0),
    }
    for field, value in needs.items():
        if value:
            raise ValueError(
                f"{field} = {value} needs domain.warmup_levels, which names no level: name some, "
                f"or set {field} = 0"
            )


def _check_roles(recipe: Recipe) -> None:
    """A fresh model knows nothing but what its warm-up has shown."""
    shown, share = recipe.shown_roles, recipe.warmup.role_share
    if share and not shown:
        raise ValueError(
            f"warmup.role_share = {share:g}: neither source nor sampler nor judge asks for "
            "anything but the task; set it to 0"
        )
    if shown and not share and recipe.model.path is None:
        raise ValueError(
            f"warmup.role_share = 0: a fresh model would not know what to say where type = "
            f"{getattr(shown[0], 'type', '')!r} asks for more than the task; set it to 0.3, or "
            "name a model that knows in model.path"
        )
    rows = getattr(recipe.loss, "role_rows", 0)
    if rows and not share:
        raise ValueError(f"loss.role_rows = {rows} needs warmup.role_share above 0")


def _check_games(recipe: Recipe) -> None:
    """Games are of one domain, played by one sampler and judged by one judge; seats have rewards of
    their own, which not every update reads."""
    deals, plays = _of_games(recipe.domain), _of_games(recipe.sampler)
    judges = [judge for judge in recipe.all_judges if not isinstance(judge, ChanceConfig)]
    if deals and plays and all(map(_of_games, judges)):
        if not isinstance(recipe.loss, GrpoConfig):
            raise ValueError(
                f"loss.type = {recipe.loss.type!r} reads one reward of a sample, and the seats of "
                "a game have different ones; choose loss.type = 'grpo'"
            )
    elif plays or any(map(_of_games, judges)):
        raise ValueError(
            f"sampler.type = {recipe.sampler.type!r}, judge.type = {recipe.all_judges[0].type!r} "
            f"and domain.type = {recipe.domain.type!r}: games need all three to be about games, "
            "such as domain.type = 'kuhn' with sampler.type = 'game' and judge.type = 'game'"
        )


def _of_games(part: object) -> bool:
    return bool(getattr(part, "of_games", False))


def _check_likelihood(recipe: Recipe) -> None:
    """What is worth less than 1 is not right, and imitation learns what is right."""
    judges = recipe.all_judges
    alone = len(judges) == 1 and isinstance(judges[0], ImplicitConfig)
    if alone and isinstance(recipe.loss, NllConfig):
        raise ValueError(
            "judge.type = 'implicit': no answer would ever be right, and loss.type = 'nll' "
            "imitates right ones; choose loss.type = 'cream' or 'dpo'"
        )
