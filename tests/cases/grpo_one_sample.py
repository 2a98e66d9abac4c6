"""GRPO with one sample per task: a group of one has no spread, nothing is ever learned. The run
goes through, publishes version after version with the same weights, and says nothing."""

import hashlib
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, tiny_recipe, versions


def case(folder: Path) -> tuple[int, str]:
    run = folder / "run"
    done = evolvent(
        "run", "--recipe", tiny_recipe(folder), "--dir", run, "--budget", "4s",
        "--set", "loss.type=grpo", "--set", "judge.type=chance", "--set", "solver.samples=1",
        seconds=90,
    )  # fmt: skip
    if done.one_sentence:
        return HOLDS, f"refused: {done}"
    if done.code != 0 or len(versions(run)) < 3:
        raise NotTried(f"the run did not come so far: {done}")
    weights = [path / "model.safetensors" for path in versions(run)]
    different = {hashlib.sha256(path.read_bytes()).hexdigest() for path in weights}
    said = f"exit code 0, {len(weights)} versions, {len(different)} different weights"
    return (FAULT if len(different) == 1 else HOLDS), said


if __name__ == "__main__":
    run_case(case)
