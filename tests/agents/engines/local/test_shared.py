"""How rows of one prompt come to lie beside one another."""

from hypothesis import given
from hypothesis import strategies as st

from agents.engines.local.shared import arranged


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_every_row_lies_once_in_a_part_of_its_prompt(prompt_of_row: list[int]) -> None:
    order, parts = arranged(prompt_of_row)
    assert sorted(order) == list(range(len(prompt_of_row)))
    lies = [prompt for share, prompts in parts for prompt in prompts for _ in range(share)]
    assert [prompt_of_row[row] for row in order] == lies
    shares = [share for share, _ in parts]
    assert len(set(shares)) == len(shares)
    # A prompt of n rows is copied no oftener than n has ones, written with two digits.
    for prompt in set(prompt_of_row):
        pieces = sum(prompts.count(prompt) for _, prompts in parts)
        assert pieces <= prompt_of_row.count(prompt).bit_count()


def test_groups_of_one_size_are_one_part_and_stay_in_order() -> None:
    assert arranged([0, 0, 0, 1, 1, 1]) == ([0, 1, 2, 3, 4, 5], [(3, [0, 1])])
