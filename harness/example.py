"""Records the run that `evolvent example` writes: the default recipe, small, with its log and a few
checkpoints, packed into one file.

    python harness/example.py [--keep NAME]

The run is real: nothing in it is made up, and no two recordings are alike. `--keep` lays the former
one among the runs that every later evolvent must read (`tests/evolvent/runs`). What docs/ shows of
the run is written anew.
"""

import argparse
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

from evolvent.opened.example import RECORDED
from harness.answers import PAGES, write_answers
from harness.runs import ROOT, command, say

KEPT = ROOT / "tests" / "evolvent" / "runs"
LARGEST_BYTES = 1_000_000
SETTINGS = (
    *("model.hidden=24", "model.intermediate=64", "model.layers=2", "model.head_dim=12"),
    *("domain.levels=[1, 2, 3, 4, 5]", "domain.warmup_levels=[1, 2, 3]"),
    *("domain.held_out_from=3", "warmup.steps=450", "trainer.size=24", "solver.samples=6"),
    *("loss.steps=10", "evaluator.every=8", "evaluator.count=32", "run.keep_states=1"),
    *("checkpoints.keep_newest=2", "checkpoints.keep_every=0", "checkpoints.keep_evaluated=0"),
)
_MEMBERS = ("recipe.json", "log.sqlite", "checkpoints")


def record(folder: Path, budget: str) -> Path:
    """A run of its own in `folder`, which has ended and passed its audit."""
    run = folder / "example"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    words = ["run", "--dir", str(run), "--budget", budget, *settings]
    subprocess.run(command(*words), check=True, stdout=subprocess.DEVNULL)
    subprocess.run(command("audit", str(run), "--deep"), check=True, stdout=subprocess.DEVNULL)
    return run


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
