"""The log has less than the checkpoints, as after a power cut: where learning goes on, and what is
set aside."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.bus import Bus
from bus.events import Judgment
from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, check_exactly_once
from trainer.batch import GROUP
from trainer.checkpoint.manifest import checkpoint_folders
from trainer.checkpoint.recovery import agreed
from trainer.config import CheckpointsConfig
from trainer.trainer import TOPICS

VERSIONS = 5


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    return Classroom(MemoryBus(), tmp_path)


async def learned(room: Classroom) -> list[Judgment]:
    judged = await room.judge(0, (VERSIONS - 1) * SIZE)
    await room.teach(versions=VERSIONS)
    return judged


async def cut(room: Classroom, num_versions: int, kept: Sequence[Judgment]) -> Bus:
    """A log with the first versions, and of the judgments those that were `kept`."""
    bus = MemoryBus()
    wanted = {judgment.id for judgment in kept}
    for partition in range(4):
        records = room.seen.read("judgments", partition)
        await bus.append([record for record in records if record.event_id in wanted])
    trainer = bus.subscribe(list(TOPICS), GROUP, GROUP, exclusive=True)
    for manifest in room.manifests()[:num_versions]:
        done = [consumed.position for consumed in manifest.consumed]
        await trainer.complete(done, [manifest.weights])
    await trainer.close()
    return bus


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_version_that_follows_is_published_and_the_rest_set_aside(
    room: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        after = Classroom(await cut(room, 2, judged), room.folder)
        found = agreed(after.folder, after.seen)
        assert found.pending == room.manifests()[2]
        await after.teach(versions=VERSIONS)
        check_exactly_once(after, judged)
        assert len(after.lessons) == VERSIONS - 3
        assert names(room.folder / "checkpoints" / "aside") == ["v000003-e0001", "v000004-e0001"]
        assert "goes to version 2; what was made beyond it is set aside" in caplog.text

    asyncio.run(scenario())


def test_what_was_made_of_lost_judgments_is_not_published(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        first = [one for one in judged if one.id in {c.id for c in room.manifests()[1].trained}]
        after = Classroom(await cut(room, 2, first), room.folder)
        assert agreed(after.folder, after.seen).pending is None
        # Others come to lie where those were that are lost.
        others = await after.judge(100, SIZE)
        assert agreed(after.folder, after.seen).pending is None
        await after.teach(versions=3)
        check_exactly_once(after, first + others)
        assert len(names(room.folder / "checkpoints" / "aside")) == VERSIONS - 2

    asyncio.run(scenario())


def test_without_a_state_the_optimiser_is_fresh(
    room: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        first = [one for one in judged if one.id in {c.id for c in room.manifests()[1].trained}]
        after = Classroom(await cut(room, 2, first), room.folder)
        assert not (room.folder / after.versions()[-1].location / "state").exists()
        first += await after.judge(100, SIZE)
        await after.teach(versions=3)
        check_exactly_once(after, first)
        assert "version 1 has lost what training resumes from" in caplog.text

    asyncio.run(scenario())


def test_a_version_that_was_thinned_out_has_an_older_one_stand_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep = CheckpointsConfig(keep_newest=2, keep_every=0, keep_evaluated=0)

    async def scenario() -> None:
        room = Classroom(MemoryBus(), tmp_path, keep=keep)
        judged = await learned(room)
        first = [one for one in judged if one.id in {c.id for c in room.manifests()[1].trained}]
        after = Classroom(await cut(room, 2, first), tmp_path, keep=keep)
        await after.teach(versions=3)
        _, thinned, again = after.versions()
        assert (again.parent, again.step, again.trained) == (1, thinned.step, 0)
        assert again.files["model.safetensors"] == after.versions()[0].files["model.safetensors"]
        assert "version 2 is that of version 0 again" in caplog.text
        first += await after.judge(100, SIZE)
        await after.teach(versions=4)
        check_exactly_once(after, first)

    asyncio.run(scenario())


def test_a_damaged_version_that_nobody_has_seen_is_made_again(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        after = Classroom(await cut(room, 2, judged), room.folder)
        damaged = room.folder / room.versions()[2].location / "model.safetensors"
        damaged.write_bytes(damaged.read_bytes()[:-1])
        await after.teach(versions=VERSIONS)
        check_exactly_once(after, judged)
        assert len(after.lessons) == VERSIONS - 2

    asyncio.run(scenario())


def test_a_log_without_any_version_goes_on_from_version_0(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        after = Classroom(await cut(room, 0, judged), room.folder)
        await after.teach(versions=VERSIONS)
        check_exactly_once(after, judged)
        assert after.seeds == 0

    asyncio.run(scenario())


def test_what_a_successor_makes_is_left_alone(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await learned(room)
        log = (await cut(room, 2, judged)).log
        assert agreed(room.folder, log, below_epoch=1).beyond == ()
        assert len(agreed(room.folder, log, below_epoch=2).beyond) == 2
        assert len(list(checkpoint_folders(room.folder))) == VERSIONS

    asyncio.run(scenario())


def test_no_name_is_given_twice(room: Classroom) -> None:
    async def scenario() -> None:
        await learned(room)
        for time in (1, 2):
            room.bus = await cut(room, 1, [])
            room.seen = room.bus.log
            await room.judge(100 * time, SIZE)
            await room.teach(versions=2)
        assert [weights.epoch for weights in room.versions()] == [1, 3]
        aside = names(room.folder / "checkpoints" / "aside")
        assert aside == sorted(
            [*(f"v00000{number}-e0001" for number in range(1, 5)), "v000001-e0002"]
        )

    asyncio.run(scenario())
