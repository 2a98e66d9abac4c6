"""Which policy a version moves follows from its number; of a batch each learns what it said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events import CURRENT, Judgment, Refusal
from tests.trainer.lessons import batch, judgment, proposal, refusal
from trainer.phases import PhaseConfig, Phases

PHASES = (
    PhaseConfig(policy="challenger", versions=2),
    PhaseConfig(policy=CURRENT, versions=3),
)
CHAINS = {"challenger": "challenger", "current": CURRENT, "reference": CURRENT}


def test_phases_follow_each_other_again_and_again() -> None:
    phases = Phases(PHASES)
    assert phases.policies == (CURRENT, "challenger")
    moved = [phases.policy(version) for version in range(11)]
    assert moved == [CURRENT, *(["challenger"] * 2 + [CURRENT] * 3) * 2]


def test_without_phases_every_version_moves_the_one_policy() -> None:
    phases, whole = Phases(), batch([judgment(1, proposal=proposal(1))])
    assert phases.policies == (CURRENT,)
    assert {phases.policy(version) for version in range(5)} == {CURRENT}
    assert phases.learned(whole, CURRENT) is whole
    assert (phases.age(3, 5), phases.since(9, 4), phases.since(1, 4)) == (2, 4, 2)


@given(
    st.lists(st.tuples(st.sampled_from(["a", CURRENT]), st.integers(1, 4)), min_size=1, max_size=4),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_answers_age_by_the_versions_that_moved_who_answers(
    said: list[tuple[str, int]], drawn: int, more: int
) -> None:
    phases = Phases([PhaseConfig(policy=policy, versions=count) for policy, count in said])
    newest = drawn + more
    later = range(drawn + 1, newest + 1)
    assert phases.age(drawn, newest) == sum(phases.policy(one) == CURRENT for one in later)
    back = phases.since(newest, 3)
    assert back > newest or phases.age(newest - back, newest) == 3


def by(policy: str, index: int) -> Judgment:
    """A task that `policy` wrote, answered by the current one."""
    said = proposal(index)
    turn = said.turn.model_copy(update={"policy": policy})
    return judgment(index, proposal=said.model_copy(update={"turn": turn}))


def refused(policy: str) -> Refusal:
    found = refusal(9)
    turn = found.proposal.turn.model_copy(update={"policy": policy})
    return found.model_copy(update={"proposal": found.proposal.model_copy(update={"turn": turn})})


@pytest.mark.parametrize("policy", ["challenger", CURRENT])
def test_each_policy_learns_from_what_it_said(policy: str) -> None:
    whole = batch([by("challenger", 1), by("reference", 2), judgment(3)])
    whole = whole.__class__(
        judgments=whole.judgments,
        trained=whole.trained,
        dropped=(),
        num_tasks=3,
        refused=(refused("challenger"), refused("current")),
    )
    learned = Phases(PHASES, CHAINS).learned(whole, policy)
    written = [one.attempt.task.proposal is not None for one in learned.judgments]
    answered = {bool(s.trainable) for one in learned.judgments for s in one.attempt.samples}
    told = [one.proposal.turn.policy for one in learned.refused]
    if policy == "challenger":
        assert (written, answered, told) == ([True, False, False], {False}, ["challenger"])
    else:
        assert (written, answered, told) == ([False, True, False], {True}, ["current"])
    assert learned.trained == whole.trained, "what is consumed is consumed by whoever learns"
    rewards = [one.verdicts for one in learned.judgments]
    assert rewards == [one.verdicts for one in whole.judgments]
