"""The log is older than the checkpoints (as after a power cut, here by an earlier copy of the
file). `evolvent run` refuses for ever and asks for a copy that nobody has."""

import shutil
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, tiny_run, versions


def case(folder: Path) -> tuple[int, str]:
    run = tiny_run(folder)
    shutil.copy(run / "log.sqlite", folder / "earlier.sqlite")
    before = len(versions(run))
    if (done := evolvent("run", "--dir", run, "--budget", "4s", seconds=60)).code != 0:
        raise NotTried(f"the run does not go on: {done}")
    for tail in ("-wal", "-shm"):
        (run / f"log.sqlite{tail}").unlink(missing_ok=True)
    shutil.copy(folder / "earlier.sqlite", run / "log.sqlite")
    behind = f"the log is {len(versions(run)) - before} versions behind"
    done = evolvent("run", "--dir", run, "--budget", "3s", seconds=60)
    if done.code != 0:
        return FAULT, f"{behind}: {done}"
    if (audited := evolvent("audit", run)).code != 0:
        return FAULT, f"{behind}: it goes on, but the audit: {audited}"
    return HOLDS, f"{behind}: the run goes on and its audit is clean"


if __name__ == "__main__":
    run_case(case)
