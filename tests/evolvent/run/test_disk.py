"""Disks that are full or cannot be written, and checkpoints that rot: said, not repaired.
Full disks are small ones of a mount namespace of their own; the machine's is never filled."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.evolvent.conftest import EVOLVENT, evolvent

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
