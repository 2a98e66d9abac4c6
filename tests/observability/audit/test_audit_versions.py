"""Faults planted into checkpoints and the chain of versions are found, by the right code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.observability.audit.audit_faults import (
    audited,
    codes,
    folder_of,
    forge_manifest,
    forge_row,
    says,
)
from tests.observability.audit.audited_run import VERSIONS
from trainer.checkpoint.manifest import MANIFEST, folder_name


def test_a_fenced_trainers_folder_is_counted(run: Path) -> None:
    newest = folder_of(run, VERSIONS)
    shutil.copytree(newest, newest.parent / folder_name(VERSIONS, 1))
    found = audited(run)
    assert found.violations == []
    assert found.counts["orphans"] == 1


def test_a_folder_of_a_newer_epoch_than_the_published_version(run: Path) -> None:
    newest = folder_of(run, VERSIONS)
    shutil.copytree(newest, newest.parent / folder_name(VERSIONS, 9))
    assert says(audited(run), "I4", "e0009")


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "state/state.safetensors"])
def test_a_flipped_byte_in_a_checkpoint(run: Path, file: str) -> None:
    path = folder_of(run, VERSIONS) / file
    raw = bytearray(path.read_bytes())
    raw[0] ^= 1
    path.write_bytes(raw)
    assert says(audited(run), "I3", f"{file} is damaged", f"v{VERSIONS:06d}")


def test_quick_reads_the_files_of_the_newest_versions_only(run: Path) -> None:
    (folder_of(run, 1) / "model.safetensors").write_bytes(b"?")
    assert audited(run, quick=2).violations == []
    assert says(audited(run), "I3", "v000001", "damaged")
    (folder_of(run, VERSIONS - 1) / "model.safetensors").write_bytes(b"?")
    assert says(audited(run, quick=2), "I3", "damaged")


def test_a_missing_file_and_missing_training_state(run: Path) -> None:
    (folder_of(run, 2) / "model.safetensors").unlink()
    shutil.rmtree(folder_of(run, 3) / "state")
    found = audited(run)
    assert [violation.code for violation in found.violations] == ["I3"]
    assert says(found, "I3", "model.safetensors of version 2 is missing")
    shutil.rmtree(folder_of(run, VERSIONS) / "state")
    assert says(audited(run), "I3", f"v{VERSIONS:06d}", "resumes from")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")])
def test_a_missing_or_broken_manifest(run: Path, damage: Callable[[Path], object]) -> None:
    damage(folder_of(run, 3) / MANIFEST)
    found = audited(run)
    assert says(found, "I3", "version 3", "manifest")
    # What it consumed is known from its event: nothing else is called lost.
    assert len(found.violations) == 1 and found.counts["lost"] == 0


def test_a_manifest_that_is_not_the_event(run: Path) -> None:
    path = folder_of(run, 3) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["weights"]["metrics"] = {"loss": 0.0}
    path.write_text(json.dumps(manifest))
    assert codes(audited(run)) == {"I3"}


def test_files_outside_of_the_checkpoint(run: Path) -> None:
    def escape(manifest: dict[str, Any]) -> None:
        for files in (manifest["files"], manifest["weights"]["files"]):
            files["../../secret"] = "0" * 64

    forge_manifest(run, 2, escape)
    (run / "secret").write_text("secret")
    found = audited(run)
    assert says(found, "I3", "../../secret", "outside")
    assert not says(found, "I3", "damaged")


def test_a_checkpoint_outside_of_the_run(run: Path, tmp_path: Path) -> None:
    folder = folder_of(run, 2)
    elsewhere = shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(elsewhere)
    assert says(audited(run), "I3", "version 2", "outside")


def test_a_gap_in_the_versions(run: Path) -> None:
    forge_manifest(run, VERSIONS, lambda m: m["weights"].update(number=VERSIONS + 1))
    found = audited(run)
    assert says(found, "I3", f"version {VERSIONS + 1}", f"stands where version {VERSIONS}")


def test_a_wrong_parent(run: Path) -> None:
    forge_manifest(run, 4, lambda m: m["weights"].update(parent_id="ab" * 16))
    found = audited(run)
    assert codes(found) == {"I3"}
    assert says(found, "I3", "version 4", "parent", "ab" * 16)


def test_a_lowered_epoch(run: Path) -> None:
    forge_manifest(run, VERSIONS, lambda m: m["weights"].update(epoch=1))
    found = audited(run)
    assert codes(found) == {"I4"}
    assert says(found, "I4", f"version {VERSIONS}", "epoch 1", "epoch 2")


def test_a_step_that_goes_back(run: Path) -> None:
    forge_manifest(run, 3, lambda m: m["weights"].update(step=1))
    assert says(audited(run), "I3", "version 3", "step 1")


def test_counts_in_the_event_that_are_not_the_manifests(run: Path) -> None:
    path = folder_of(run, 3) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["weights"]["trained"] += 1
    manifest["weights"]["positions"] = {}
    path.write_text(json.dumps(manifest))
    forge_row(run, "weights", 0, 3, json.dumps(manifest["weights"]).encode())
    found = audited(run)
    assert codes(found) == {"I5"}
    assert says(found, "I5", "version 3", "other positions")
