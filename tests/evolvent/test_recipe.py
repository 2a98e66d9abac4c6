"""Recipes: those that come along are whole, and a setting means what it says."""

from pathlib import Path

import pytest

from evolvent.errors import UsageError
from evolvent.recipe import load_recipe, shipped


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    stored = type(recipe).model_validate(recipe.model_dump(mode="json"))
    assert stored.digest == recipe.digest


def test_there_is_a_recipe_for_each_method() -> None:
    assert {"words", "strings", "grpo", "learned", "vote"} <= set(shipped())


def test_only_how_long_it_runs_is_left_out_of_the_digest() -> None:
    plain = load_recipe("strings")
    assert load_recipe("strings", ["run.budget_seconds=7"]).digest == plain.digest
    for setting in ("seed=9", "trainer.size=7", "domain.levels=[1,2,3,4,5]", "loss.steps=9"):
        assert load_recipe("strings", [setting]).digest != plain.digest


def test_a_setting_is_written_as_in_toml_or_as_plain_text() -> None:
    recipe = load_recipe(
        "strings", ["seed=9", 'judge={type="vote", threshold=0.25}', "name=mine", "loss.type=grpo"]
    )
    assert (recipe.seed, recipe.name) == (9, "mine")
    assert recipe.judge.model_dump() == {"type": "vote", "threshold": 0.25}
    assert recipe.loss.type == "grpo"


def test_a_recipe_of_ones_own_needs_little(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"\n[domain]\ntype = "strings"\n')
    assert load_recipe(str(path)).name == "mine"


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a TOML file or one of"):
        load_recipe(str(tmp_path))
