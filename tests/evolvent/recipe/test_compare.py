"""Recipes held against each other."""

import json

import pytest
from typer.testing import CliRunner

from evolvent.cli import app
from evolvent.recipe.compare import Difference, differences
from evolvent.recipe.load import load_recipe


def test_a_recipe_differs_from_itself_in_nothing() -> None:
    assert differences(load_recipe("words"), load_recipe("words", ["name=other"])) == []


def test_settings_that_differ_are_named_with_both_values() -> None:
    changed = load_recipe("words", ["solver.samples=4", "trainer.size=32"])
    assert differences(load_recipe("words"), changed) == [
        Difference(setting="solver.samples", first="8", second="4"),
        Difference(setting="trainer.size", first="64", second="32"),
    ]


def test_what_one_of_them_has_not_is_none() -> None:
    found = differences(load_recipe("words"), load_recipe("words", ["source.type=uniform"]))
    assert Difference(setting="source.type", first='"curriculum"', second='"uniform"') in found
    assert Difference(setting="source.floor", first="0.02", second=None) in found


def test_the_command_prints_them() -> None:
    said = CliRunner().invoke(app, ["recipes", "--compare", "words", "grpo", "--json"])
    settings = [one["setting"] for one in json.loads(said.stdout)]
    assert "loss.type" in settings
    assert "description" not in settings


@pytest.mark.parametrize("names", [("words", "nosuch"), ("nosuch", "words")])
def test_a_recipe_that_is_not_there_is_named(names: tuple[str, str]) -> None:
    said = CliRunner().invoke(app, ["recipes", "--compare", *names])
    assert "there is no recipe nosuch" in str(said.exception)
