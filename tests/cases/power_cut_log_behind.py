"""Power cut: checkpoints are synced to the disk, commits of the log are not: the log then ends
before the newest checkpoint and the run refuses to go on. Needs root and loop mounts."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cases._case import (
    FAULT,
    HOLDS,
    NotTried,
    evolvent,
    program,
    run_case,
    tiny_recipe,
    versions,
)


def sh(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NotTried(f"{words[0]} does not work here: {done.stderr.strip()}")


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir()
    sh("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        for _ in range(20):
            if not subprocess.call(["umount", "-q", str(at)]):
                break
            time.sleep(0.5)
        else:
            subprocess.call(["umount", "-l", str(at)])


def grown(run: Path, count: int, seconds: float, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + seconds
    while len(versions(run)) < count:
        if time.monotonic() > until or process.poll() is not None:
            raise NotTried(f"the run has {len(versions(run))} versions, {count} are wanted")
        time.sleep(0.1)


def case(folder: Path) -> tuple[int, str]:
    import psutil

    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        raise NotTried("it takes root and mkfs.ext4")
    disk, cut = folder / "disk.img", folder / "cut.img"
    sh("truncate", "-s", "256M", disk)
    sh("mkfs.ext4", "-q", "-F", disk)
    with mounted(disk, folder / "disk") as place:
        run = place / "run"
        words = ["run", "--recipe", tiny_recipe(folder), "--dir", run, "--budget", "60s"]
        process = subprocess.Popen(
            [str(program()), *map(str, words)], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        family = [psutil.Process(process.pid)]
        try:
            grown(run, 2, 60, process)
            sh("sync", "-f", run)
            grown(run, len(versions(run)) + 12, 40, process)
            family += family[0].children(recursive=True)
            for one in family:
                one.suspend()
            newest = versions(run)[-1].name
            # What the disk holds now is what a power cut would leave.
            sh("cp", "--sparse=always", disk, cut)
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()
            psutil.wait_procs(family[1:], timeout=10)
    with mounted(cut, folder / "after") as place:
        done = evolvent("run", "--dir", place / "run", "--budget", "3s", seconds=60)
        if done.code != 0:
            return FAULT, f"cut at {newest}; started again: {done}"
        audited = evolvent("audit", place / "run", seconds=40)
        if audited.code != 0:
            return FAULT, f"cut at {newest}; it goes on, but the audit: {audited}"
    return HOLDS, f"cut at {newest}; the run goes on and its audit is clean"


if __name__ == "__main__":
    run_case(case)
