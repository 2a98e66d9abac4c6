"""What of a batch is learned from: bounds and all."""

from collections.abc import Sequence
from random import Random

import pytest
from pydantic import TypeAdapter, ValidationError

from bus.events import Judgment, Sample
from tests.trainer.lessons import PARTS, batch, judgment, learner, turn
from trainer.filters.band import BandConfig
from trainer.filters.config import FilterConfig
from trainer.filters.everything import AllConfig
from trainer.filters.length import LengthConfig

BY_SHARE = {right: judgment(right, [1.0] * right + [0.0] * (10 - right)) for right in range(11)}
ALL = list(BY_SHARE.values())


def shares(config: FilterConfig) -> list[int]:
    chosen = config.build(PARTS).choose(ALL, Random(0))
    return [right for right, judged in BY_SHARE.items() if judged in chosen]


def test_all_leaves_nothing_out() -> None:
    assert list(AllConfig().build(PARTS).choose(ALL, Random(0))) == ALL
    assert list(AllConfig().build(PARTS).choose([], Random(0))) == []


@pytest.mark.parametrize(
    ("low", "high", "chosen"),
    [
        (0.3, 0.8, range(3, 9)),
        (0.0, 1.0, range(11)),
        (0.0, 0.0, [0]),
        (1.0, 1.0, [10]),
        (0.5, 0.5, [5]),
        (0.31, 0.39, []),
    ],
)
def test_a_band_has_both_its_bounds(low: float, high: float, chosen: list[int]) -> None:
    assert shares(BandConfig(low=low, high=high)) == list(chosen)


def test_a_band_keeps_the_order_in_which_judgments_came() -> None:
    chosen = BandConfig().build(PARTS).choose(ALL[::-1], Random(0))
    assert list(chosen) == [BY_SHARE[right] for right in range(8, 2, -1)]


@pytest.mark.parametrize("wrong", [{"low": 0.8, "high": 0.3}, {"low": -0.1}, {"high": 1.1}])
def test_what_is_no_band_is_refused(wrong: dict[str, float]) -> None:
    filters: TypeAdapter[FilterConfig] = TypeAdapter(FilterConfig)
    with pytest.raises(ValidationError):
        filters.validate_python({"type": "band", **wrong})


def test_what_is_left_out_is_not_learned_from_and_is_counted() -> None:
    inside: list[Judgment] = [BY_SHARE[5], BY_SHARE[6]]
    outside: list[Judgment] = [BY_SHARE[0], BY_SHARE[10]]
    alone, among = learner(), learner(keeps=BandConfig().build(PARTS))
    expected = alone.learn(batch(inside), 1)
    found = among.learn(batch([outside[0], *inside, outside[1]]), 1)
    assert found == expected
    assert found["chosen"] == 2
    published = alone.published()
    assert all(value.equal(published[name]) for name, value in among.published().items())


def test_a_batch_of_which_nothing_is_left_teaches_nothing() -> None:
    one = learner(keeps=BandConfig().build(PARTS))
    before = {name: value.clone() for name, value in one.published().items()}
    assert one.learn(batch([BY_SHARE[0], BY_SHARE[10]]), 1) == {
        "steps": 0.0,
        "skipped": 0.0,
        "chosen": 0.0,
    }
    assert all(value.equal(before[name]) for name, value in one.published().items())


def answered(index: int, lengths: Sequence[int], level: int = 1, rewards: str = "") -> Judgment:
    """A judgment whose samples have so many tokens, each right but where `rewards` has a 0."""
    judged = judgment(index, [float(one) for one in rewards or "1" * len(lengths)], level=level)
    samples = tuple(Sample(turns=(turn([2] * length),)) for length in lengths)
    attempt = judged.attempt.model_copy(update={"samples": samples})
    return judged.model_copy(update={"attempt": attempt})


def lengths(judgments: Sequence[Judgment], shorter_by: int = 2) -> list[list[int]]:
    chosen = LengthConfig(shorter_by=shorter_by).build(PARTS).choose(judgments, Random(0))
    return [[one.num_tokens for one in each.attempt.samples] for each in chosen]


def test_an_answer_that_dropped_a_digit_too_many_is_left_out() -> None:
    assert lengths([answered(0, [6, 5, 4, 6]), answered(1, [5, 3])]) == [[6, 5, 6], [5]]
    assert lengths([answered(0, [6, 5, 4, 6]), answered(1, [5, 3])], 1) == [[6, 6]]
    assert lengths([answered(0, [6, 5, 4, 6])], 3) == [[6, 5, 4, 6]]


def test_what_is_kept_keeps_its_verdict() -> None:
    [chosen] = LengthConfig().build(PARTS).choose([answered(0, [3, 6, 2, 6], 1, "0110")], Random(0))
    assert [verdict.reward for verdict in chosen.verdicts] == [1.0, 0.0]


def test_levels_are_measured_apart_and_wrong_answers_measure_nothing() -> None:
    judged = [answered(0, [9, 9], level=2), answered(1, [4, 9, 3], 1, "101"), answered(2, [3])]
    assert lengths(judged) == [[9, 9], [4, 9, 3], [3]]
    assert lengths([answered(0, [2, 9], 1, "00")]) == [[2, 9]]
