"""Recipes without a verifier: nothing of them asks what is right."""

import pytest

from agents.judges.vote import VoteConfig
from agents.sources.schedule import ScheduleConfig
from agents.sources.unlabeled import UnlabeledConfig
from evolvent.recipe.load import load_recipe
from evolvent.roles import GUARD, services
from trainer.filters.length import LengthConfig
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig


@pytest.mark.parametrize("name", ["vote", "lmsi", "ttrl", "sit"])
def test_the_majority_alone_judges(name: str) -> None:
    recipe = load_recipe(name)
    assert [type(judge) for judge in recipe.all_judges] == [VoteConfig]
    assert recipe.family == "self-training"


def test_lmsi_learns_every_way_to_the_majority() -> None:
    recipe = load_recipe("lmsi")
    assert isinstance(recipe.source, UnlabeledConfig)
    assert isinstance(recipe.loss, NllConfig) and recipe.loss.fresh_from == "solved"
    assert recipe.loss.per_task == recipe.solver.samples == 32


def test_ttrl_rewards_the_majority_near_version_0_and_is_guarded() -> None:
    recipe = load_recipe("ttrl")
    assert isinstance(recipe.source, UnlabeledConfig)
    assert isinstance(recipe.loss, GrpoConfig)
    assert recipe.loss.kl > 0 and recipe.loss.reference == "first"
    assert GUARD in services(recipe) and GUARD not in services(load_recipe("ttrl", ["guards=[]"]))
    assert load_recipe("ttrl", ["guards=[]"]).digest == recipe.digest


def test_sit_goes_by_the_clock_and_keeps_what_is_long_enough() -> None:
    recipe = load_recipe("sit")
    assert isinstance(recipe.source, ScheduleConfig) and recipe.source.advance_at is None
    assert isinstance(recipe.filter, LengthConfig) and recipe.filter.shorter_by == 2
    assert isinstance(recipe.loss, NllConfig) and recipe.loss.replay_rows > 0
    assert recipe.loss.warmup_rows > 0
    [judge] = recipe.all_judges
    assert isinstance(judge, VoteConfig) and 0.7 <= judge.threshold <= 0.9


def test_a_guard_is_written_as_a_table() -> None:
    recipe = load_recipe("words", ["guards=[{type='floor', of='entropy', least=0.1}]"])
    assert [guard.named for guard in recipe.guards] == ["floor"]
    mine = load_recipe("words")
    assert mine.gone_on_with(recipe).guards == recipe.guards
    assert recipe.gone_on_with(mine).guards == recipe.guards
