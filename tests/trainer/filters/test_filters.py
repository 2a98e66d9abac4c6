"""What of a batch is learned from: bounds and all."""

from random import Random

import pytest
from pydantic import TypeAdapter, ValidationError

from bus.events import Judgment
from tests.trainer.lessons import PARTS, batch, judgment, learner
from trainer.filters.band import BandConfig
from trainer.filters.config import FilterConfig
from trainer.filters.everything import AllConfig

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
