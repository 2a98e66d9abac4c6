"""Recipes without a verifier: nothing of them asks what is right."""

import re

import pytest

from agents.judges.vote import VoteConfig
from agents.sources.schedule import ScheduleConfig
from agents.sources.unlabeled import UnlabeledConfig
from evolvent.errors import UsageError
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


def redirecting(objective: str) -> str:
    return f"guards=[{{type='floor', action='objective', objective={objective}}}]"


def test_a_guard_may_have_the_source_ask_otherwise() -> None:
    [guard] = load_recipe("words", [redirecting("{advance_at=0.1}")]).guards
    assert guard.objective == {"advance_at": 0.1}


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("{advance_at=2}", "guards.objective: source.advance_at = 2: Input should be less than 1"),
        ("{every=3}", "guards.objective: there is no field source.every; there are type, adv"),
        ("{}", "action = 'objective' needs fields of the source in objective"),
    ],
)
def test_what_no_source_could_ask_by_is_refused_with_the_recipe(objective: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        load_recipe("words", [redirecting(objective)])
