"""Checkpoints on disk: they exist whole or not at all, and say so when they are damaged."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bus.events import Weights, derive_id
from bus.memory.bus import MemoryBus
from tests.trainer.lessons import RUN
from trainer.checkpoint import checkpoint
from trainer.checkpoint.checkpoint import Checkpoints, Snapshot, Staged
from trainer.checkpoint.manifest import (
    DamagedCheckpoint,
    Manifest,
    checkpoint_folders,
    sha256_of,
)
from trainer.checkpoint.recovery import agreed, published


def snapshot(folder: Path) -> Snapshot:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    return Snapshot(
        model={"weight": torch.arange(6.0)},
        state={"raw.weight": torch.arange(6.0) + 1},
        shared_from=folder,
    )


def manifest(staged: Staged, number: int, epoch: int, parent: Weights | None) -> Manifest:
    weights = Weights(
        id=derive_id(RUN, "trainer", parent.id if parent else "seed model", epoch),
        run=RUN,
        agent="trainer",
        number=number,
        parent=parent.number if parent else None,
        parent_id=parent.id if parent else None,
        location=f"checkpoints/{staged.folder.name}",
        files=staged.files,
        step=number,
        epoch=epoch,
    )
    return Manifest(recipe="0" * 64, files=staged.files, state=staged.state, weights=weights)


def save(
    checkpoints: Checkpoints, number: int, epoch: int = 1, parent: Weights | None = None
) -> Manifest:
    staged = checkpoints.stage(snapshot(checkpoints.run / "seed"), number, epoch)
    made = manifest(staged, number, epoch, parent)
    staged.commit(made)
    return made


def chain(checkpoints: Checkpoints, versions: int) -> list[Manifest]:
    made: list[Manifest] = []
    for number in range(versions):
        made.append(save(checkpoints, number, parent=made[-1].weights if made else None))
    return made


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    loaded = checkpoints.load(published(tmp_path, made.weights))
    assert torch.equal(loaded.model["weight"], torch.arange(6.0))
    assert torch.equal(loaded.state["raw.weight"], torch.arange(6.0) + 1)
    assert (loaded.shared_from / "config.json").read_text() == "{}"
    assert set(made.files) == {"config.json", "model.safetensors"}


def test_a_staged_version_does_not_exist_before_its_commit(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    staged = checkpoints.stage(snapshot(tmp_path / "seed"), 0, 1)
    assert list(checkpoint_folders(tmp_path)) == []
    assert agreed(tmp_path, MemoryBus()).pending is None
    made = manifest(staged, 0, 1, None)
    staged.commit(made)
    assert [folder.name for folder in checkpoint_folders(tmp_path)] == ["v000000-e0001"]
    assert agreed(tmp_path, MemoryBus()).pending == made


def test_the_unpublished_version_of_the_highest_epoch_is_pending(tmp_path: Path) -> None:
    checkpoints, log = Checkpoints(tmp_path), MemoryBus()
    head = save(checkpoints, 0).weights
    asyncio.run(log.publish([head]))
    assert agreed(tmp_path, log).pending is None
    older = save(checkpoints, 1, epoch=1, parent=head)
    newer = save(checkpoints, 1, epoch=10, parent=head)
    found = agreed(tmp_path, log)
    assert found.pending == newer
    assert [folder.name for folder in found.beyond] == [older.folder_name]
    asyncio.run(log.publish([newer.weights]))
    assert agreed(tmp_path, log).pending is None


def test_a_version_other_than_the_one_on_the_log_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    weights = save(checkpoints, 0).weights
    other = weights.model_copy(update={"id": "0" * 32})
    with pytest.raises(DamagedCheckpoint, match="not the version that the log names"):
        published(tmp_path, other)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "state/state.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    path = checkpoints.root / made.folder_name / name
    content = bytearray(path.read_bytes())
    path.unlink()  # a file may be a link to the same file of another version
    content[-1] ^= 1
    if damage != "remove":
        path.write_bytes(content if damage == "flip" else content[:-1])
    with pytest.raises(DamagedCheckpoint, match=f"{name} is (damaged|missing)"):
        checkpoints.load(made)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "x"}', '{"format": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    path = checkpoints.root / made.folder_name / "manifest.json"
    path.write_text(content)
    with pytest.raises(DamagedCheckpoint, match=r"manifest.json cannot be read"):
        published(tmp_path, made.weights)


def test_a_manifest_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    path = checkpoints.root / made.folder_name / "manifest.json"
    path.write_text(path.read_text().replace('"format":1', '"format":2', 1))
    with pytest.raises(DamagedCheckpoint, match="written by a newer evolvent"):
        published(tmp_path, made.weights)


def test_a_folder_without_a_manifest_is_damaged(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    (checkpoints.root / made.folder_name / "manifest.json").unlink()
    with pytest.raises(DamagedCheckpoint, match=r"manifest.json is missing"):
        published(tmp_path, made.weights)


def test_two_trainers_of_one_epoch_cannot_both_commit(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = save(checkpoints, 0)
    staged = checkpoints.stage(snapshot(tmp_path / "seed"), 0, 1)
    with pytest.raises(DamagedCheckpoint, match="two trainers share an epoch"):
        staged.commit(manifest(staged, 0, 1, None))
    assert published(tmp_path, made.weights) == made


def test_forebears_come_newest_first_and_their_lack_is_noticed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = chain(checkpoints, 4)
    assert checkpoints.recent(made[-1], 3) == made[:0:-1]
    assert checkpoints.recent(made[-1], 99) == made[::-1]
    (checkpoints.root / made[1].folder_name).rename(tmp_path / "gone")
    with pytest.raises(DamagedCheckpoint, match="the parent of version 2 is missing"):
        checkpoints.recent(made[-1], 99)


def test_a_sibling_that_a_fenced_trainer_left_is_no_forebear(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    root = save(checkpoints, 0)
    save(checkpoints, 1, epoch=1, parent=root.weights)
    winner = save(checkpoints, 1, epoch=2, parent=root.weights)
    head = save(checkpoints, 2, epoch=2, parent=winner.weights)
    assert checkpoints.recent(head, 99) == [head, winner, root]


def test_pruning_keeps_every_model_and_the_newest_states(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep_states=2)
    made = chain(checkpoints, 4)
    checkpoints.stage(snapshot(tmp_path / "seed"), 4, 1)
    checkpoints.prune()
    assert list(checkpoints.root.glob(".v*")) == []
    for number, each in enumerate(made):
        folder = checkpoints.root / each.folder_name
        assert (folder / "model.safetensors").is_file()
        assert (folder / "state").is_dir() == (number >= 2)
    assert checkpoints.load(made[-1]).state
    assert not checkpoints.load(made[0]).state


def test_a_version_carries_its_own_probe_and_not_the_one_it_was_made_from(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    first = replace(snapshot(tmp_path / "seed"), probe=b"first")
    one = checkpoints.stage(first, 0, 1)
    assert (one.aside / "probe.json").read_bytes() == b"first"
    assert one.files["probe.json"] == hashlib.sha256(b"first").hexdigest()
    two = checkpoints.stage(replace(first, probe=None, shared_from=one.aside), 1, 1)
    assert "probe.json" not in two.files
    assert not (two.aside / "probe.json").exists()


def test_what_versions_share_is_read_for_its_digest_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(checkpoint, "sha256_of", noted)
    checkpoints, base = Checkpoints(tmp_path), tmp_path / "base"
    shared = replace(snapshot(base), format="lora")
    (base / "adapter").mkdir()
    (base / "adapter/adapter_config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"the base")
    folder, staged = base, None
    for number in range(3):
        staged = checkpoints.stage(replace(shared, shared_from=folder), number, 1)
        staged.commit(manifest(staged, number, 1, None))
        folder = staged.folder
    assert read.count("model.safetensors") == read.count("config.json") == 1
    assert read.count("adapter_model.safetensors") == 3
    assert staged is not None
    assert staged.files["model.safetensors"] == hashlib.sha256(b"the base").hexdigest()
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").write_bytes(b"another!")
    staged = checkpoints.stage(replace(shared, shared_from=base), 3, 1)
    assert staged.files["model.safetensors"] == hashlib.sha256(b"another!").hexdigest()
