"""Exactly-once learning: the trainer is stopped at every step, started again, and doubled."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from bus.errors import Fenced
from bus.memory.bus import MemoryBus
from tests.bus.sleeping import SleepingBus
from tests.trainer.classroom import (
    SIZE,
    Classroom,
    Crash,
    check_exactly_once,
    crash_at,
    halt_at,
    until,
)
from tests.trainer.lessons import refusal
from trainer.batch import BatchConfig
from trainer.checkpoint.manifest import DamagedCheckpoint, checkpoint_folders
from trainer.updates.grpo import GrpoConfig

BEFORE_RENAME = ("trainer.before_stage", "trainer.staged")
AFTER_RENAME = ("trainer.renamed", "trainer.published")


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    return Classroom(MemoryBus(), tmp_path)


def test_every_judgment_is_learned_once(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, 3 * SIZE)
        await room.teach(versions=4)
        check_exactly_once(room, judged)
        assert [len(lesson) for lesson in room.lessons] == [SIZE] * 3

    asyncio.run(scenario())


@pytest.mark.parametrize("reference", ["first", "previous"])
def test_no_trainer_reads_the_log_on_its_event_loop(
    tmp_path: Path, reference: Literal["first", "previous"]
) -> None:
    async def scenario() -> None:
        seen = MemoryBus()
        bus = SleepingBus(seen)
        room = Classroom(bus, tmp_path, seen=seen)
        room.update = GrpoConfig(kl=0.1, reference=reference)
        judged = await room.judge(0, SIZE)
        await room.teach(versions=2)
        judged += await room.judge(100, 2 * SIZE)
        await room.teach(versions=4)
        check_exactly_once(room, judged)
        assert bus.log.num_calls > 0

    asyncio.run(scenario())


def test_a_new_trainer_goes_on_with_the_next_version(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, SIZE)
        await room.teach(versions=2)
        judged += await room.judge(100, SIZE)
        await room.teach(versions=3)
        check_exactly_once(room, judged)
        assert (room.seeds, len(room.lessons)) == (1, 2)
        assert [weights.epoch for weights in room.versions()] == [1, 1, 2]

    asyncio.run(scenario())


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("point", [*BEFORE_RENAME, *AFTER_RENAME])
def test_a_crash_anywhere_loses_and_repeats_nothing(
    room: Classroom, monkeypatch: pytest.MonkeyPatch, point: str, version: int
) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, 3 * SIZE)
        crash_at(monkeypatch, point, version)
        with pytest.raises(Crash):
            await room.teach(versions=4)
        published = point == "trainer.published"
        assert room.version_count == version + published
        await room.teach(versions=4)
        check_exactly_once(room, judged)
        repeated = point in BEFORE_RENAME
        assert len(room.lessons) == 3 + (repeated and version > 0)
        assert room.seeds == 1 + (repeated and version == 0)
        assert len(list(checkpoint_folders(room.folder))) == 4

    asyncio.run(scenario())


def test_a_crash_after_the_rename_publishes_the_manifest_as_it_is(
    room: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, SIZE)
        crash_at(monkeypatch, "trainer.renamed", 1)
        with pytest.raises(Crash):
            await room.teach(versions=2)
        more = await room.judge(100, 2)  # they must not slip into the version that is made
        await room.teach(versions=2)
        head = room.versions()[-1]
        assert (head.number, head.epoch, head.trained) == (1, 1, SIZE)
        assert room.backlog() == len(more)
        judged += more + await room.judge(200, SIZE - len(more))
        await room.teach(versions=3)
        check_exactly_once(room, judged)

    asyncio.run(scenario())


@pytest.mark.parametrize("point", ["trainer.before_stage", "trainer.staged", "trainer.renamed"])
def test_a_second_trainer_fences_the_first(
    room: Classroom, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, 2 * SIZE)
        reached, go_on = halt_at(monkeypatch, point, version=1)
        zombie = asyncio.ensure_future(room.train(asyncio.Event()))
        await asyncio.to_thread(reached.wait, 20)
        await room.teach(versions=3)
        go_on()
        with pytest.raises(Fenced):
            await zombie
        check_exactly_once(room, judged)
        judged += await room.judge(100, SIZE)
        await room.teach(versions=4)
        check_exactly_once(room, judged)

    asyncio.run(scenario())


def test_an_idle_trainer_notices_that_it_was_replaced(room: Classroom) -> None:
    async def scenario() -> None:
        idle = asyncio.ensure_future(room.train(asyncio.Event()))
        await until(lambda: room.version_count == 1)
        judged = await room.judge(0, 0)
        await room.teach(versions=1)
        judged += await room.judge(0, SIZE)
        await room.teach(versions=2)
        with pytest.raises(Fenced):
            await asyncio.wait_for(idle, 10)
        check_exactly_once(room, judged)

    asyncio.run(scenario())


def test_a_log_of_another_chain_is_refused(room: Classroom, tmp_path: Path) -> None:
    async def scenario() -> None:
        await room.judge(0, SIZE)
        await room.teach(versions=2)
        other = Classroom(MemoryBus(), tmp_path / "other", run="another")
        await other.teach(versions=1)
        crossed = Classroom(other.bus, tmp_path)
        with pytest.raises(DamagedCheckpoint, match="is not the version that the log names"):
            await crossed.teach(versions=2)
        assert len(list(checkpoint_folders(tmp_path))) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["model.safetensors", "state/state.safetensors"])
def test_a_damaged_checkpoint_is_not_gone_on_from(room: Classroom, name: str) -> None:
    async def scenario() -> None:
        await room.judge(0, SIZE)
        await room.teach(versions=2)
        path = room.folder / room.versions()[-1].location / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        await room.judge(100, SIZE)
        with pytest.raises(DamagedCheckpoint, match=f"{name} is damaged"):
            await room.teach(versions=3)
        assert room.version_count == 2

    asyncio.run(scenario())


def test_what_cannot_be_learned_from_is_consumed_with_its_reason(room: Classroom) -> None:
    async def scenario() -> None:
        await room.bus.publish([refusal(1)])
        judged = await room.judge(0, SIZE - 1)
        teaching = asyncio.ensure_future(room.teach(versions=2))
        await until(lambda: room.version_count == 1)
        judged += await room.judge(100, 1)
        await teaching
        head = room.manifests()[-1]
        assert [dropped.reason for dropped in head.dropped] == ["refused by the task gate"]
        assert (head.weights.dropped, head.weights.trained, head.weights.consumed) == (1, 4, 4)
        check_exactly_once(room, judged)
        assert head.weights.positions["refusals/0"] == ((0, 1),)

    asyncio.run(scenario())


def test_a_batch_that_does_not_fill_is_learned_when_its_time_is_over(room: Classroom) -> None:
    async def scenario() -> None:
        judged = await room.judge(0, 2)
        stop = asyncio.Event()
        config = BatchConfig(size=SIZE, max_staleness=2, timeout_seconds=0.2)
        training = asyncio.ensure_future(room.train(stop, config))
        async with asyncio.timeout(20):
            await until(lambda: room.version_count == 2)
        stop.set()
        await training
        check_exactly_once(room, judged)

    asyncio.run(scenario())


def test_only_the_newest_checkpoints_keep_what_training_resumes_from(room: Classroom) -> None:
    async def scenario() -> None:
        await room.judge(0, 4 * SIZE)
        await room.teach(versions=5)
        folders = list(checkpoint_folders(room.folder))
        assert [(folder / "state").is_dir() for folder in folders] == [False] * 3 + [True] * 2
        assert all((folder / "model.safetensors").is_file() for folder in folders)
        assert not list((room.folder / "checkpoints").glob(".v*"))

    asyncio.run(scenario())
