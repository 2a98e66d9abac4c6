"""Programs of a few operations alone: what is drawn, what is refused, and which are too few."""

from random import Random

import pytest
from pydantic import ValidationError

from agents.domains.domain import NotATask
from agents.domains.programs.programs import ProgramsConfig
from agents.domains.programs.validity import ALL, draw_program, is_trivial, longest_program

FEW = ProgramsConfig(operations="ratinc", levels=(1, 2, 3, 4), warmup_levels=(1, 2)).build()


def test_programs_are_of_these_letters_alone() -> None:
    random = Random(1)
    made = [
        FEW.make(family, level, random) for family in FEW.families for level in [*FEW.levels] * 9
    ]
    suites = [one for level in FEW.levels for one in FEW.held_out("deduction", level, 64)]
    letters = {letter for one in (*made, *suites) for letter in one.metadata["program"]}
    assert letters == set("ratinc")


def test_a_task_with_another_operation_is_out_of_range() -> None:
    assert FEW.read("drn:3142").answer == "3524"
    with pytest.raises(NotATask, match="out of range"):
        FEW.read("drs:3142")
    assert ProgramsConfig().build().read("dus:3142")


def test_by_default_all_are_drawn_as_ever() -> None:
    drawn = [draw_program(3, Random(seed)) for seed in range(20)]
    assert drawn == [draw_program(3, Random(seed), ALL) for seed in range(20)]
    assert ProgramsConfig().operations == ALL


def test_what_can_be_drawn_at_all() -> None:
    assert longest_program(3, "r") == 1
    assert longest_program(6, "rc") == 3
    assert longest_program(6, "ratinc") == 6
    assert not is_trivial("rc")


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ("", "each of them once"),
        ("rnr", "each of them once"),
        ("rx", "there is no operation x"),
        ("rc", "make programs of up to 3 letters"),
    ],
)
def test_operations_that_say_nothing_or_too_little_are_refused(operations: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ProgramsConfig(operations=operations)
