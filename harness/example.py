"""Records the run that `evolvent example` writes: the default recipe, small, with its log and a few
checkpoints, packed into one file.

    python harness/example.py [--keep NAME]

The run is real: nothing in it is made up, and no two recordings are alike. `--keep` lays the former
one among the runs that every later evolvent must read (`tests/evolvent/runs`). What docs/ shows of
the run is written anew.
"""

import argparse
import asyncio
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import apsw

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.bus import Bus
from bus.events import Control, Weights, derive_id
from evolvent.opened.example import RECORDED
from evolvent.run.control import AGENT
from evolvent.run.folder import RunFolder
from harness.answers import PAGES, write_answers
from harness.runs import ROOT, Start, command, follow, opened, say, started

KEPT = ROOT / "tests" / "evolvent" / "runs"
LARGEST_BYTES = 2_100_000
SETTINGS = (
    *("model.hidden=24", "model.intermediate=64", "model.layers=2", "model.head_dim=12"),
    *("model.vocab=50", "domain.levels=[1, 2, 3, 4, 5, 6, 7]", "warmup.steps=500"),
    *("trainer.size=64", "solver.samples=4", "loss.steps=50", "loss.warmup_rows=16"),
    *("optimizer.muon_lr=0.004", "optimizer.adamw_lr=0.0008", "source.advance_at=0.4"),
    *("evaluator.every=1", "evaluator.count=32", "checkpoints.keep_every=1", "run.keep_states=1"),
)
UNTIL = 0.42
"""The held-out accuracy that ends it."""
SAID: tuple[tuple[int, tuple[str, ...]], ...] = (
    (5, ("pause", "solver")),
    (5, ("resume", "solver")),
    (12, ("objective", "advance_at=0.25")),
)
"""What an operator says at which version."""
ASKED, NO_VERSION = 15, 999
"""At which version a measurement is asked for that cannot be made: a dead letter."""
_POLL_SECONDS = 0.2
_MEMBERS = ("recipe.json", "log.sqlite", "checkpoints")


def record(folder: Path, budget: str) -> Path:
    """A run of its own in `folder`, which has ended and passed its audit."""
    run = folder / "example"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    with started(run, "--budget", budget, "--until", str(UNTIL), *settings) as start:
        asyncio.run(_operated(run, start))
        if start.process.wait() != 0:
            raise SystemExit(f"{run} ended with code {start.code}:\n{start.last_words()}")
    _quietly("audit", str(run), "--deep")
    return run


def _quietly(*words: str) -> None:
    subprocess.run(command(*words), check=True, stdout=subprocess.DEVNULL)


async def _operated(run: Path, start: Start) -> None:
    """Say each thing once its version is there."""
    bus = await opened(run, start)
    try:
        for version, (said, *words) in SAID:
            await _published(bus, start, version)
            await asyncio.to_thread(_quietly, said, str(run), *words)
        await _published(bus, start, ASKED)
    finally:
        await bus.close()
    await _ask_for_no_version(RunFolder(run))


async def _published(bus: Bus, start: Start, version: int) -> None:
    while bus.log.heads()[Weights.topic, 0] <= version:
        if not await follow(bus, start, _POLL_SECONDS):
            raise SystemExit(f"it ended before version {version}:\n{start.last_words()}")


async def _ask_for_no_version(folder: RunFolder) -> None:
    asked = Control(
        id=derive_id(folder.run_id, AGENT, f"evaluate/{NO_VERSION}"),
        run=folder.run_id,
        agent=AGENT,
        command="evaluate",
        role="evaluator",
        weights_version=NO_VERSION,
    )
    async with folder.log(writable=True) as bus:
        await bus.publish([asked])


def pack(run: Path, archive: Path) -> None:
    """The files of a run at rest; the same files make the same archive."""
    whole = run / "whole.sqlite"
    connection = apsw.Connection(str(run / "log.sqlite"))
    connection.execute("VACUUM INTO ?", (str(whole),))
    connection.close()
    files = [file for name in _MEMBERS for file in _files(run / name)]
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for file in sorted(files):
            content = (whole if file.name == "log.sqlite" else file).read_bytes()
            member = tarfile.TarInfo(file.relative_to(run).as_posix())
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    whole.unlink()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", metavar="NAME", help="keep the former one under this name")
    parser.add_argument("--budget", default="180s", help="how long it evolves")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / RECORDED.name
        pack(record(Path(folder), arguments.budget), archive)
        size = archive.stat().st_size
        if size > LARGEST_BYTES:
            raise SystemExit(f"{size:,} bytes, {LARGEST_BYTES:,} are allowed: record less")
        if arguments.keep:
            shutil.copyfile(RECORDED, KEPT / f"{arguments.keep}.tar.xz")
        shutil.copyfile(archive, RECORDED)
        say(f"{RECORDED}: {size:,} bytes")
    for page in PAGES:
        write_answers(page)
    say("name its sha256 in tests/evolvent/run/test_recorded_runs.py")


if __name__ == "__main__":
    main()
