"""Old checkpoints are deleted by hand to free space. The audit then finds more violations than
folders were deleted, most of them about versions that are whole, and names the cause nowhere."""

import json
import shutil
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, tiny_run, versions


def case(folder: Path) -> tuple[int, str]:
    run = tiny_run(folder)
    if (done := evolvent("audit", run)).code != 0:
        raise NotTried(f"the audit of an untouched run: {done}")
    gone = versions(run)[: len(versions(run)) * 2 // 3]
    if len(gone) < 4:
        raise NotTried(f"the run has {len(versions(run))} versions only")
    for path in gone:
        shutil.rmtree(path)
    done = evolvent("audit", run, "--json")
    try:
        found = json.loads(done.out)["violations"]
    except (ValueError, KeyError):
        return FAULT, f"the audit: {done}"
    said = f"{len(gone)} folders deleted, {len(found)} violations; the first: {found[:1]}"
    return (FAULT if len(found) > len(gone) else HOLDS), said


if __name__ == "__main__":
    run_case(case)
