"""Old versions are thinned out by rule: what stays, what is never taken, what a crash leaves."""

import json
import shutil
from pathlib import Path

import pytest

from agents.engines.checkpoint.held import held
from tests.trainer.checkpoint.test_checkpoint import chain, save, snapshot
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import (
    DamagedCheckpoint,
    Manifest,
    checkpoint_folders,
    is_thinned,
    read_manifest,
)
from trainer.checkpoint.retention import AT_ONCE, Needed
from trainer.config import CheckpointsConfig

KEEP = CheckpointsConfig(keep_newest=3, keep_every=10, keep_evaluated=2)


def checkpoints_in(run: Path, keep: CheckpointsConfig = KEEP) -> Checkpoints:
    return Checkpoints(run, keep, keep_states=2, evaluated_every=4)


def lived(run: Path, versions: int, needed: Needed = Needed()) -> Checkpoints:  # noqa: B008
    """So many versions, each tidied up after as a trainer does."""
    checkpoints = checkpoints_in(run)
    made: list[Manifest] = []
    for number in range(versions):
        made.append(save(checkpoints, number, parent=made[-1].weights if made else None))
        checkpoints.prune(needed)
    return checkpoints


def whole(run: Path) -> list[int]:
    return [
        read_manifest(folder).version
        for folder in checkpoint_folders(run)
        if (folder / "model.safetensors").exists()
    ]


def test_the_newest_every_tenth_and_the_last_evaluated_stay_whole(tmp_path: Path) -> None:
    lived(tmp_path, 30)
    assert whole(tmp_path) == [0, 10, 16, 20, 24, 27, 28, 29]


def test_of_a_thinned_version_the_manifest_stays_and_what_is_gone_is_said(tmp_path: Path) -> None:
    checkpoints = lived(tmp_path, 9)
    folder = tmp_path / "checkpoints" / "v000003-e0001"
    assert is_thinned(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "thinned.json"]
    said = json.loads((folder / "thinned.json").read_text())
    assert "model.safetensors" in said["files"]
    assert said["rule"] == {**KEEP.model_dump(), "newest": 6}
    with pytest.raises(DamagedCheckpoint, match="is missing"):
        checkpoints.weights(read_manifest(folder).weights)


def test_a_trainer_that_starts_again_takes_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    lived(tmp_path / "one", 30)
    for start in range(3):
        checkpoints = checkpoints_in(tmp_path / "two")
        for number in range(start * 10, start * 10 + 10):
            save(checkpoints, number)
            checkpoints.prune()
    assert whole(tmp_path / "two") == whole(tmp_path / "one")


def test_what_a_fenced_trainer_left_beside_a_version_takes_no_other_ones_place(
    tmp_path: Path,
) -> None:
    lived(tmp_path, 13)
    shutil.copytree(
        tmp_path / "checkpoints" / "v000012-e0001", tmp_path / "checkpoints" / "v000012-e0000"
    )
    checkpoints = checkpoints_in(tmp_path)
    for number in range(13, 19):
        save(checkpoints, number)
        checkpoints.prune()
    assert sorted(set(whole(tmp_path))) == [0, 8, 10, 12, 16, 17, 18]


def test_many_old_versions_are_taken_a_few_at_a_time(tmp_path: Path) -> None:
    every = CheckpointsConfig(keep_newest=3, keep_every=0, keep_evaluated=0)
    chain(Checkpoints(tmp_path), 3 * AT_ONCE)
    checkpoints = checkpoints_in(tmp_path, every)
    checkpoints.prune()
    assert len(whole(tmp_path)) == 2 * AT_ONCE
    for _ in range(3):
        checkpoints.prune()
    assert whole(tmp_path) == [0, *range(3 * AT_ONCE - 3, 3 * AT_ONCE)]


def test_what_somebody_has_still_to_read_or_may_serve_is_not_taken(tmp_path: Path) -> None:
    checkpoints = lived(tmp_path, 12, Needed(awaited=5, versions=frozenset({2, 7})))
    assert whole(tmp_path) == [0, 2, 4, *range(5, 12)]
    checkpoints.prune(Needed(versions=frozenset({7})))
    assert whole(tmp_path) == [0, 4, 7, 8, 9, 10, 11]
    checkpoints.prune()
    assert whole(tmp_path) == [0, 4, 8, 9, 10, 11]


def test_what_training_resumes_from_stays_of_the_policies_at_rest(tmp_path: Path) -> None:
    needed = Needed(versions=frozenset({2}), resumed=frozenset({2, 7}))
    checkpoints = lived(tmp_path, 8, needed)
    states = sorted(folder.parent.name for folder in tmp_path.glob("checkpoints/*/state"))
    assert states == ["v000002-e0001", "v000007-e0001"]
    checkpoints.prune(needed)
    assert checkpoints_in(tmp_path).load(read_manifest(tmp_path / "checkpoints" / states[0])).state


def test_what_an_engine_loads_or_serves_is_taken_when_it_lets_go(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    chain(checkpoints, 6)
    with held(tmp_path / "checkpoints" / "v000001-e0001"):
        checkpoints.prune()
        assert whole(tmp_path) == [0, 1, 3, 4, 5]
    checkpoints.prune()
    assert whole(tmp_path) == [0, 3, 4, 5]


def test_a_version_half_thinned_at_a_crash_is_thinned_by_the_next(tmp_path: Path) -> None:
    chain(Checkpoints(tmp_path), 6)
    folder = tmp_path / "checkpoints" / "v000001-e0001"
    (folder / "thinned.json").write_text(json.dumps({"rule": {}, "files": ["config.json"]}))
    (folder / "config.json").unlink()
    checkpoints_in(tmp_path).prune()
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "thinned.json"]


def test_what_a_successor_writes_aside_is_left_alone(tmp_path: Path) -> None:
    old, new = checkpoints_in(tmp_path), checkpoints_in(tmp_path)
    root = save(old, 0, epoch=2)
    left = old.stage(snapshot(tmp_path / "seed"), 1, 1)
    save(old, 1, epoch=2, parent=root.weights)
    staged = new.stage(snapshot(tmp_path / "seed"), 2, 3)
    old.prune()
    assert staged.aside.is_dir()
    assert not left.aside.exists()


def test_a_damaged_folder_is_not_touched(tmp_path: Path) -> None:
    chain(Checkpoints(tmp_path), 6)
    damaged = tmp_path / "checkpoints" / "v000001-e0001"
    (damaged / "manifest.json").unlink()
    checkpoints_in(tmp_path).prune()
    assert (damaged / "model.safetensors").exists()
