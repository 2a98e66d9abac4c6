"""The families of tasks are listed with what a recipe needs to know of each."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.domains.families import families
from agents.domains.gym_catalog import dataset_files
from agents.domains.reasoning_gym import ReasoningGymConfig
from evolvent.cli import app, main


def listed(*words: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["families", *words, "--json"])
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout))


def test_one_family_says_what_its_recipe_may_set_and_name() -> None:
    [found] = listed("base_conversion")
    assert found["domain"] == "reasoning_gym"
    assert found["parameters"]["max_base"] == 16
    assert {"source_repr", "target_base"} <= set(found["prompt_fields"])
    assert found["question"].startswith("Your task is to convert")
    domain = ReasoningGymConfig(
        dataset="base_conversion", levels=(1,), parameters={"max_base": 3}, prompt="{source_repr}>"
    ).build()
    assert domain.held_out("base_conversion", 1, 1)[0].prompt.endswith(">")


def test_strings_are_among_them() -> None:
    [found] = listed("sort")
    assert (found["domain"], found["answer"]) == ("strings", "1234")


@pytest.mark.parametrize(
    ("name", "domain", "answer"),
    [
        ("add", "arithmetic", "31820"),
        ("multiply", "arithmetic", "66481"),
        ("deduction", "programs", "3524"),
        ("abduction", "programs", "3142"),
        ("induction", "programs", "rn"),
        ("kuhn", "kuhn", "p"),
    ],
)
def test_so_are_sums_and_programs(name: str, domain: str, answer: str) -> None:
    [found] = listed(name)
    assert (found["domain"], found["answer"]) == (domain, answer)


def test_a_name_that_is_none_is_told_with_those_that_come_close(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["families", "chain_sums"])
    assert ended.value.code == 2
    assert "did you mean chain_sum or decimal_chain_sum?" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # reasoning-gym's
def test_every_family_has_an_example() -> None:
    found = {family.name: family for family in families()}
    ours = {"reverse", "sort", "add", "subtract", "multiply", "copy"}
    ours |= {"deduction", "abduction", "induction", "kuhn", "grammar", "codes"}
    assert set(found) == {*ours, *dataset_files()}
    assert not ours & set(dataset_files())
    assert all(family.question for family in found.values())
    assert json.dumps([family.parameters for family in found.values()])
    assert "PYTHONHASHSEED" in found["knight_swap"].note
    assert "no recipe" in found["codeio"].note
