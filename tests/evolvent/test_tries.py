"""Several tries of a version at the held-out suites."""

import json
from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest
from rich.table import Table

from evolvent.ask.tries import Tried, pass_at
from evolvent.tables import tries_table
from tests.evolvent.conftest import evolvent


@pytest.mark.parametrize(("drawn", "right"), [(6, 0), (6, 1), (6, 3), (6, 6), (1, 1)])
def test_pass_at_k_is_the_share_of_choices_with_a_right_answer(drawn: int, right: int) -> None:
    answers = [True] * right + [False] * (drawn - right)
    for k in range(1, drawn + 1):
        share = fmean(any(chosen) for chosen in combinations(answers, k))
        assert pass_at(k, drawn, right) == pytest.approx(share)


def test_tries_are_shown_with_their_number() -> None:
    one = Tried(suite="sort", level=5, problems=3, samples=4, pass_1=0.25, pass_n=0.5)
    table = tries_table([one])
    assert isinstance(table, Table)
    assert [column.header for column in table.columns][-2:] == ["pass@1", "pass@4"]


def test_more_tries_are_right_as_often_at_least(copied: Path) -> None:
    done = evolvent("evaluate", str(copied), "--count", "3", "--samples", "4", "--json")
    tries = json.loads(done.stdout)
    assert tries, done.stderr
    for one in tries:
        assert one["problems"] == 3 and one["samples"] == 4
        assert 0 <= one["pass_1"] <= one["pass_n"] <= 1
