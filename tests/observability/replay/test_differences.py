"""What other verdicts, another filter or another limit of staleness change."""

from collections.abc import Sequence

import pytest

from bus.events import CURRENT, Judgment, Promotion, Verdict, Weights, derive_id
from observability.replay.batches import Rebatching
from observability.replay.differences import Differences
from observability.replay.gains import Gains
from tests.trainer.lessons import AT, PARTS, RUN, judgment
from trainer.checkpoint.manifest import Consumed, Dropped, Manifest
from trainer.filters.band import BandConfig
from trainer.filters.everything import All
from trainer.filters.filter import Filter
from trainer.phases import Phases

ALL = All()
Again = tuple[Verdict, ...] | str


def replayed(
    trained: Sequence[Judgment],
    again: Sequence[Again],
    *,
    stale: Sequence[Judgment] = (),
    now: Filter = ALL,
    max_staleness: int = 2,
    baseline: str = "group",
) -> Differences:
    """Version 3, which has learned from `trained` and dropped `stale`, with other verdicts."""
    known = [*trained, *stale]
    places = [
        Consumed(id=one.id, topic="judgments", partition=0, offset=offset)
        for offset, one in enumerate(known)
    ]
    manifest = Manifest(
        recipe="0" * 64,
        trained=tuple(places[: len(trained)]),
        dropped=tuple(
            Dropped(**one.model_dump(), reason="stale: 3 versions old")
            for one in places[len(trained) :]
        ),
        files={},
        weights=version(3),
    )
    read = dict(zip((one.position for one in places), known, strict=True))
    rebatching = Rebatching(was=ALL, now=now, max_staleness=max_staleness, phases=Phases(), seed=1)
    found = Differences(gains=Gains(baseline=baseline))
    for one, said in zip(known, again, strict=True):
        found.judged(one, said)
    verdicts = {
        one.id: said for one, said in zip(known, again, strict=True) if not isinstance(said, str)
    }
    learned = rebatching.version(manifest, read, verdicts, found.batches)
    found.gains.add(learned.was, learned.now)
    found.versions.add(learned)
    return found


def version(number: int) -> Weights:
    return Weights(
        id=derive_id(RUN, "trainer", str(number)),
        run=RUN,
        agent="trainer",
        created_at=AT,
        number=number,
        parent=number - 1,
        parent_id=derive_id(RUN, "trainer", str(number - 1)),
        location=f"v{number}",
        files={},
        step=number,
        epoch=1,
        policy=CURRENT,
    )


def rewarded(one: Judgment, *rewards: float) -> tuple[Verdict, ...]:
    pairs = zip(one.verdicts, rewards, strict=True)
    return tuple(verdict.model_copy(update={"reward": reward}) for verdict, reward in pairs)


@pytest.mark.parametrize("baseline", ["group", "batch", "role_ema"])
def test_the_same_verdicts_change_nothing(baseline: str) -> None:
    judged = [judgment(index, (1.0, 0.0, 1.0), version=2) for index in range(3)]
    late = [judgment(9, version=0)]
    again = [one.verdicts for one in (*judged, *late)]
    found = replayed(judged, again, stale=late, max_staleness=1, baseline=baseline)
    assert found.none
    said = found.as_json()
    assert said["versions"]["compared"] == 1 and said["versions"]["first"] is None
    assert said["advantages"]["turns"] == 9 and said["advantages"]["mean_change"] == 0
    assert said["batches"]["stale"] == said["batches"]["would_be_stale"] == 1


def test_other_verdicts_change_what_a_version_learns() -> None:
    judged = [judgment(index, (1.0, 0.0), version=2) for index in range(3)]
    again = [judged[0].verdicts, rewarded(judged[1], 0.0, 1.0), rewarded(judged[2], 1.0, 1.0)]
    said = replayed(judged, again).as_json()
    assert not said["none"]
    verdicts = said["verdicts"]
    assert (verdicts["samples"], verdicts["differ"], verdicts["differ_in"]) == (6, 3, 2)
    assert (verdicts["now_right"], verdicts["now_wrong"]) == (2, 1)
    assert [one["judgment"] for one in verdicts["examples"]] == [judged[1].id, judged[2].id]
    assert said["rewards"]["was"] == 0.5 and said["rewards"]["now"] == pytest.approx(4 / 6)
    assert said["rewards"]["levels"][0]["family"] == "reverse"
    # One group is turned round, one has nothing to tell apart.
    assert (said["advantages"]["differ"], said["advantages"]["of_other_sign"]) == (4, 2)
    assert said["versions"]["first"] == 3
    [row] = said["versions"]["rows"]
    assert (row["changed"], row["gained"], row["lost"]) == (2, 0, 0)


def test_a_filter_leaves_out_by_the_other_verdicts() -> None:
    judged = [judgment(index, (1.0, 0.0), version=2) for index in range(2)]
    again = [judged[0].verdicts, rewarded(judged[1], 1.0, 1.0)]
    said = replayed(judged, again, now=BandConfig().build(PARTS)).as_json()
    assert (said["batches"]["would_filter"], said["batches"]["lost"]) == (1, 1)
    assert said["versions"]["rows"][0]["would_learn_from"] == 1


@pytest.mark.parametrize(("most", "gained", "lost"), [(0, 0, 1), (1, 0, 0), (2, 1, 0)])
def test_the_limit_of_staleness_admits_and_drops(most: int, gained: int, lost: int) -> None:
    fresh, late = judgment(1, version=1), judgment(2, version=0)
    again = [fresh.verdicts, late.verdicts]
    said = replayed([fresh], again, stale=[late], max_staleness=most).as_json()
    assert (said["batches"]["gained"], said["batches"]["lost"]) == (gained, lost)
    assert said["none"] == (not gained and not lost)
    assert said["verdicts"]["differ"] == 0


def test_an_attempt_that_would_be_rejected_teaches_nothing() -> None:
    judged = [judgment(index, version=2) for index in range(2)]
    said = replayed(judged, [judged[0].verdicts, "no room"]).as_json()
    assert said["verdicts"]["rejected"] == 1 and said["batches"]["lost"] == 1
    assert said["verdicts"]["examples"][0]["rejected"] == "no room"


def test_decisions_on_versions_that_would_be_others_are_counted() -> None:
    judged = [judgment(0, version=2)]
    found = replayed(judged, [rewarded(judged[0], 0.0, 1.0)])
    for number in (2, 3, 4):
        decided = Promotion(
            id=derive_id(RUN, "gate", str(number)),
            run=RUN,
            agent="gate",
            weights=version(number).id,
            weights_version=number,
            decision="promoted",
        )
        found.promotions.add(decided, found.versions.first)
    promotions = found.as_json()["promotions"]
    assert (promotions["decisions"], promotions["resting"]) == (3, 2)
    assert [one["version"] for one in promotions["examples"]] == [3, 4]
