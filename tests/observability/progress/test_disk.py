"""What a run takes of its disk: parts, growth, and how long the room lasts."""

import os
from pathlib import Path

import pytest

from observability.progress.disk import Disk, DiskWatch, said, used_by


def made(run: Path) -> None:
    for name, bytes_ in (("log.sqlite", 40_960), ("log.sqlite-wal", 8_192), ("recipe.json", 100)):
        run.mkdir(exist_ok=True)
        (run / name).write_bytes(b"x" * bytes_)
    for version in ("v000000-e0001", "v000001-e0001"):
        folder = run / "checkpoints" / version
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"x" * 65_536)
    (run / "logs").mkdir()
    os.link(run / "log.sqlite", run / "logs" / "linked")


def test_parts_are_told_apart_and_what_is_shared_counts_once(tmp_path: Path) -> None:
    made(tmp_path)
    used = used_by(tmp_path)
    assert 49_152 <= used["log"] + used["other"] < 90_000
    assert 131_072 <= used["checkpoints"] < 160_000


def test_growth_is_what_came_within_the_last_hour(tmp_path: Path) -> None:
    made(tmp_path)
    times = [0.0]
    watch = DiskWatch(tmp_path, 0.0, lambda: times[0])
    assert watch.look().per_hour is None
    for minute in (30, 60, 90):
        times[0] = minute * 60.0
        with (tmp_path / "log.sqlite").open("ab") as log:
            log.write(b"x" * 4096 * 100 * minute)
        seen = watch.look()
    # Of the last hour: what came at 60 and at 90 minutes.
    assert seen.per_hour == pytest.approx(4096 * 100 * 150, rel=0.01)
    assert DiskWatch(tmp_path, 0.0, lambda: times[0]).now().per_hour == seen.per_hour


def test_how_long_the_room_lasts() -> None:
    disk = Disk(used={"log": 10**9}, free=11 * 10**9, reserve=1e9, per_hour=5e9)
    assert disk.hours_left == 2.0
    assert said(disk) == "1.0 GB used, 11.0 GB free · 5.0 GB/h · room for 2 hours"
    assert not disk.is_low


def test_what_does_not_grow_lasts_for_ever() -> None:
    assert Disk(used={}, free=10, per_hour=-3.0).hours_left is None
    assert Disk(used={}, free=10).hours_left is None


def test_under_the_reserve_it_is_said() -> None:
    disk = Disk(used={"log": 10**6}, free=5 * 10**6, reserve=1e9)
    assert disk.is_low
    assert said(disk).endswith("under the reserve of 1.0 GB: proposing waits for room")
