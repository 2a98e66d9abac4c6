"""Disks that are full or cannot be written, and checkpoints that rot: said, not repaired.
Full disks are small ones of a mount namespace of their own; the machine's is never filled."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.evolvent.conftest import EVOLVENT, evolvent
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.config import CheckpointsConfig

pytestmark = pytest.mark.slow


def in_namespace(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script as the root of a user and mount namespace of its own."""
    return subprocess.run(
        ["unshare", "-Urm", "bash", "-euc", script],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    try:
        probe = in_namespace("mount -t tmpfs none /mnt")
    except FileNotFoundError:
        pytest.skip("this machine has no unshare")
    if probe.returncode:
        pytest.skip(f"no mount namespaces here: {probe.stderr.strip()}")


def sentence(said: str) -> str:
    assert said.startswith("evolvent: ") and said.count("\n") == 1, said
    return said


def test_a_disk_that_cannot_be_written(lived: Path, tmp_path: Path) -> None:
    mine = shlex.quote(str(tmp_path))
    run = f"{shlex.quote(EVOLVENT)} run --recipe strings --dir"
    done = in_namespace(
        f"mount -t tmpfs none {mine}; cp -r {shlex.quote(str(lived))} {mine}/old;"
        f"mount -o remount,ro {mine}; {run} {mine}/new; echo new $?"
        f"; {shlex.quote(EVOLVENT)} run --dir {mine}/old; echo old $?".replace("; echo", " || echo")
        + f"; {shlex.quote(EVOLVENT)} status {mine}/old --json; echo status $?"
    )
    assert "new 2" in done.stdout and "old 2" in done.stdout, done.stdout + done.stderr
    assert "status 0" in done.stdout, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert line.startswith("evolvent: ") and "cannot be written" in line, line


def test_a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room(
    tiny: Path, tmp_path: Path
) -> None:
    mine, err = shlex.quote(str(tmp_path / "small")), shlex.quote(str(tmp_path / "err"))
    run = f"{shlex.quote(EVOLVENT)} run --recipe {shlex.quote(str(tiny))} --dir {mine}/r"
    run += " --set disk.reserve_gb=0"
    audit = f"{shlex.quote(EVOLVENT)} audit {mine}/r"
    done = in_namespace(
        f"mkdir {mine}; mount -t tmpfs -o size=3m none {mine}; "
        f"{run} --budget 120s 2>{err} && echo full 0 || echo full $?; "
        f"mount -o remount,size=400m {mine}; "
        f"ls {mine}/r/checkpoints | wc -l; "
        f"{run} --budget 2s; echo freed $?; {audit}; echo audit $?"
    )
    said = sentence((tmp_path / "err").read_text())
    assert "full 2" in done.stdout, done.stdout + done.stderr + said
    assert "full" in said or "space" in said, said
    assert "freed 0" in done.stdout and "audit 0" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
def test_under_the_reserve_nothing_is_asked_and_with_room_it_goes_on(
    tiny: Path, tmp_path: Path
) -> None:
    mine, first = (shlex.quote(str(tmp_path / name)) for name in ("small", "first.json"))
    evolve = f"{shlex.quote(EVOLVENT)} run --recipe {shlex.quote(str(tiny))} --dir {mine}/r"
    status = f"{shlex.quote(EVOLVENT)} status {mine}/r --json"
    done = in_namespace(
        f"mkdir {mine}; mount -t tmpfs -o size=200m none {mine}; "
        f"head -c 120m /dev/zero > {mine}/other; "
        f"{evolve} --budget 60s --set disk.reserve_gb=0.1 & run=$!; "
        f"until {status} 2>/dev/null | grep -q '\"version\": 0'; do sleep 0.5; done; sleep 3; "
        f"{status} > {first}; rm {mine}/other; "
        f"until {status} | grep -q '\"version\": [1-9]'; do sleep 0.5; done; "
        f"kill -INT $run; wait $run; echo ended $?; {shlex.quote(EVOLVENT)} audit {mine}/r"
    )
    assert "ended 0" in done.stdout, done.stdout + done.stderr
    seen = json.loads((tmp_path / "first.json").read_text())
    assert seen["disk"]["low"] and seen["version"] == 0 and seen["counts"]["tasks"] == 0
    assert "waiting for room" in done.stdout and "under the reserve of 100 MB" in done.stdout


def test_a_checkpoint_that_rotted_is_not_gone_on_from(copied: Path) -> None:
    newest = max((copied / "checkpoints").glob("v*"))
    path = newest / "state" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = sorted(path.name for path in (copied / "checkpoints").glob("v*"))
    done = evolvent("run", "--dir", str(copied), "--budget", "60s")
    assert done.returncode == 2
    assert "state.safetensors is damaged" in sentence(done.stderr)
    assert sorted(path.name for path in (copied / "checkpoints").glob("v*")) == before


def test_a_version_that_was_thinned_out_is_told_from_a_lost_one(copied: Path) -> None:
    keep = CheckpointsConfig(keep_newest=2, keep_every=0, keep_evaluated=0)
    stored = json.loads((copied / "recipe.json").read_text())
    stored["recipe"]["checkpoints"] = keep.model_dump()
    (copied / "recipe.json").write_text(json.dumps(stored))
    Checkpoints(copied, keep).prune()
    asked = evolvent("ask", str(copied), "12", "--family", "reverse", "--version", "1")
    assert asked.returncode == 2
    assert "were thinned out" in sentence(asked.stderr)
    assert "those of 0 and " in asked.stderr
    assert evolvent("audit", str(copied)).returncode == 0
    (copied / "checkpoints" / "v000000-e0001" / "model.safetensors").unlink()
    audited = evolvent("audit", str(copied))
    assert audited.returncode == 1
    assert "model.safetensors of version 0 is missing, and no rule" in audited.stderr
