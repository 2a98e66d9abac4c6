"""What is remembered survives a restart, and only the newest rows are."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.replay import Replay
from trainer.rows import Row

TOKENS = st.lists(st.integers(0, 150_000), min_size=1, max_size=6).map(tuple)
ROWS = st.builds(
    lambda prompt, completion, weight: Row(prompt=prompt, completion=completion, weight=weight),
    TOKENS,
    TOKENS,
    st.floats(-4, 4, width=32),
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["solved/1", "solved/12", "proposed/a/3"]), ROWS)),
    rates=st.dictionaries(st.sampled_from(["x/1", "x/2"]), st.floats(0, 1)),
)
def test_the_state_round_trip_changes_no_draw(
    rows: list[tuple[str, Row]], rates: dict[str, float]
) -> None:
    before, after = Replay(5), Replay(5)
    for queue, row in rows:
        before.add(queue, row)
    before.rates.update(rates)
    after.restore(before.state())
    assert after.rates == before.rates
    assert after.names("") == before.names("")
    for seed in range(4):
        assert after.sample(8, Random(seed), "") == before.sample(8, Random(seed), "")


def test_the_oldest_row_of_a_full_queue_is_forgotten() -> None:
    replay = Replay(2)
    for token in (5, 6, 7):
        replay.add("q", Row(prompt=(1,), completion=(token,)))
    assert {replay.draw("q", Random(seed)).completion for seed in range(20)} == {(6,), (7,)}


def test_queues_are_drawn_alike_whatever_their_length() -> None:
    replay = Replay(100)
    replay.add("solved/1", Row(prompt=(1,), completion=(1,)))
    for _ in range(99):
        replay.add("solved/2", Row(prompt=(1,), completion=(2,)))
    drawn = [row.completion for row in replay.sample(400, Random(0), "solved/")]
    assert 150 < drawn.count((1,)) < 250


def test_an_empty_memory_gives_nothing() -> None:
    assert Replay(2).sample(5, Random(0), "solved/") == []
