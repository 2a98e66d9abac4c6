"""Recipes held against each other."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evolvent.cli import app
from evolvent.recipe.compare import Difference, differences
from evolvent.recipe.load import changed_recipe, load_recipe

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"
MOST_LINES = 12


def neighbours() -> Iterator[tuple[str, str]]:
    """Recipes that follow each other in a family of the page's table."""
    families: list[list[str]] = []
    for family, name in re.findall(r"^\| ([\w-]*) ?\| \[`([\w-]+)`\]", PAGE.read_text(), re.M):
        if family:
            families.append([])
        families[-1].append(name)
    assert len(families) == 4
    return (pair for family in families for pair in pairwise(family))


def test_a_recipe_differs_from_itself_in_nothing() -> None:
    assert differences(load_recipe("words"), load_recipe("words", ["name=other"])) == []


def test_settings_that_differ_are_named_with_both_values() -> None:
    changed = load_recipe("words", ["warmup.steps=9", "solver.samples=4", "trainer.size=32"])
    assert differences(load_recipe("words"), changed) == [
        Difference(setting="solver.samples", first="8", second="4", is_ground=False),
        Difference(setting="trainer.size", first="64", second="32", is_ground=False),
        Difference(setting="warmup.steps", first="200", second="9", is_ground=True),
    ]


def test_another_part_is_one_line_with_what_is_said_of_it() -> None:
    changed = load_recipe("words", ["source={type='unlabeled', levels=[5]}"])
    said = '{ type = "unlabeled", levels = [5] }'
    assert differences(load_recipe("words"), changed) == [
        Difference(setting="source", first='{ type = "curriculum" }', second=said, is_ground=False)
    ]


def test_what_one_of_them_has_not_is_none() -> None:
    more = ["domain.parameters={data_file='w'}", "policies.mine.engine.max_rows=4"]
    said = [
        (one.setting, one.first)
        for one in differences(load_recipe("words"), load_recipe("words", more))
    ]
    assert said == [("policies.mine", None), ("domain.parameters.data_file", None)]


@pytest.mark.parametrize(("one", "other"), neighbours())
def test_neighbours_of_a_family_differ_in_few_lines(one: str, other: str) -> None:
    method = [d for d in differences(load_recipe(one), load_recipe(other)) if not d.is_ground]
    assert 0 < len(method) <= MOST_LINES, [each.setting for each in method]


@pytest.mark.parametrize(("one", "other"), neighbours())
def test_the_lines_said_to_one_of_them_make_it_the_other(one: str, other: str) -> None:
    for mine, theirs in (
        (load_recipe(one), load_recipe(other)),
        (load_recipe(other), load_recipe(one)),
    ):
        lines = differences(mine, theirs)
        # TOML has no word for what is not set.
        if any(line.second in (None, "null") for line in lines):
            continue
        made = changed_recipe(mine, [f"{line.setting}={line.second}" for line in lines])
        assert made.digest == theirs.digest and made.guards == theirs.guards


def test_the_command_prints_them() -> None:
    said = CliRunner().invoke(app, ["recipes", "--compare", "words", "grpo", "--json"])
    settings = {one["setting"]: one["is_ground"] for one in json.loads(said.stdout)}
    assert settings["loss"] is False
    assert "description" not in settings
    said = CliRunner().invoke(app, ["recipes", "--compare", "words", "grpo"])
    assert "6 lines of the method, 2 of what it is tried on." in said.stdout


@pytest.mark.parametrize("names", [("words", "nosuch"), ("nosuch", "words")])
def test_a_recipe_that_is_not_there_is_named(names: tuple[str, str]) -> None:
    said = CliRunner().invoke(app, ["recipes", "--compare", *names])
    assert "there is no recipe nosuch" in str(said.exception)
