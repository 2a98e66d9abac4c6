"""The share of a batch that says nearly the same, as R-Zero's challenger pays for it."""

import pytest

from tests.trainer.lessons import judgment, proposal
from trainer.updates.advantage import proposer_advantages
from trainer.updates.grpo import GrpoConfig
from trainer.updates.repetition import cluster_shares, likeness
from trainer.updates.rewards import WORTHS


def test_texts_that_share_their_characters_in_a_row_are_alike() -> None:
    assert likeness("drs:3142", "drs:3142") == 1
    assert likeness("drs:3142", "drs:3145") > 0.7
    assert likeness("drsn:3142", "drsn:7758") > 0.5 > likeness("drsn:3142", "dits:2413")
    assert likeness("drs:3142", "") == 0


def test_the_bleu_of_two_characters_in_a_row() -> None:
    """By hand: abc against abd has 2 of 3 characters and 1 of 2 pairs."""
    assert likeness("abc", "abd") == pytest.approx((2 / 3 * 1 / 2) ** 0.5)


def test_every_text_has_the_share_of_its_cluster() -> None:
    texts = ["drs:3142", "drs:3142", "drs:3145", "dit:77", "xyz"]
    assert cluster_shares(texts) == pytest.approx(
        {"drs:3142": 0.6, "drs:3145": 0.6, "dit:77": 0.2, "xyz": 0.2}
    )


def test_the_shares_of_the_clusters_are_the_whole_batch() -> None:
    texts = [f"d{program}:{digits}" for program in ("rs", "ta") for digits in range(311, 319)]
    shares = cluster_shares([*texts, *texts[:3]])
    assert len(set(shares.values())) == 2
    assert sum(set(shares.values())) == pytest.approx(1)


def test_clusters_are_joined_by_the_mean_of_all_their_pairs() -> None:
    """`ab` and `abcd` are near, `cdef` is near to `abcd` alone."""
    near, other, far = "abab", "abcdab", "cdcdcd"
    assert likeness(near, other) > 0.5 > (likeness(near, far) + likeness(other, far)) / 2
    assert set(cluster_shares([near, other, far]).values()) == {2 / 3, 1 / 3}


def test_a_proposal_earns_its_worth_less_its_share() -> None:
    judged = [judgment(index, [1.0, 0.0], proposal=proposal(index)) for index in (1, 10, 3)]
    texts = [one.attempt.task.proposal.turn.text for one in judged if one.attempt.task.proposal]
    assert texts[0] == texts[1] != texts[2]
    assert list(proposer_advantages(judged, [], WORTHS["tent"])) == []
    [first, second, third] = [
        advantage for _, advantage in proposer_advantages(judged, [], WORTHS["tent"], 1.0)
    ]
    assert first == second < 0 < third


def test_what_nobody_is_paid_for_cannot_cost_anything() -> None:
    with pytest.raises(ValueError, match="pays for none"):
        GrpoConfig(repetition=1.0)
