"""The trainer lists every checkpoint folder after every version: what a version costs grows with
the number of versions (a run of days has tens of thousands)."""

import time
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, run_case


def case(folder: Path) -> tuple[int, str]:
    from tests.cases._torch_names import Checkpoints

    root, made, cost = folder / "checkpoints", 0, {}
    root.mkdir()
    for size in (1_000, 10_000):
        while made < size:
            (root / f"v{made:06d}-e0001").mkdir()
            made += 1
        checkpoints = Checkpoints(folder)
        checkpoints.prune()
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            checkpoints.prune()
            seconds.append(time.perf_counter() - started)
        cost[size] = min(seconds) * 1e3
    said = ", ".join(f"{milliseconds:.1f} ms at {size:,}" for size, milliseconds in cost.items())
    grows = cost[10_000] > 3 * cost[1_000] + 5
    return (FAULT if grows else HOLDS), f"prune costs per version: {said} versions"


if __name__ == "__main__":
    run_case(case)
