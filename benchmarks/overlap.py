"""What running agents and trainer at the same time is worth: wall time to a held-out mean with two
processes, against the same recipe with everything in one.

    python benchmarks/overlap.py [--seeds 3] [--target 0.8] [--recipe words] [--quick]

Time counts from the publication of version 0 to that of the first version whose evaluation
reaches the target. The two kinds take turns.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.bus import Bus
from bus.events import Weights
from harness.runs import Score, events, follow, opened, say, scores, started

ALONE = [["proposer", "solver", "critic", "evaluator", "trainer"]]
APART = [["proposer", "solver", "critic", "evaluator"], ["trainer"]]
LAYOUTS = {"two_processes": APART, "one_process": ALONE}
LIMIT_SECONDS = 900
METRICS = ("seconds_wait", "seconds_train", "seconds_checkpoint")


async def until(folder: Path, arguments: list[str], target: float) -> dict[str, float]:
    """Run until a version reaches the target: its seconds, and where the trainer's went."""
    with started(folder, "--budget", "24h", *arguments) as start:
        bus = await opened(folder, start)
        try:
            reached: Score | None = None
            evaluated = 0
            deadline = time.monotonic() + LIMIT_SECONDS
            while reached is None:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{folder.name} did not come to {target} in {LIMIT_SECONDS} s")
                if not await follow(bus, start, 0.5):
                    raise SystemExit(f"{folder} ended early:\n{start.last_words()}")
                if (found := bus.log.heads()["evaluations", 0]) > evaluated:
                    evaluated = found
                    reached = next((s for s in scores(bus) if s.mean >= target), None)
            return {
                "seconds": reached.seconds,
                "versions": float(reached.version),
                "held_out": reached.mean,
                **_spent(bus, reached.version),
            }
        finally:
            await bus.close()


def _spent(bus: Bus, version: int) -> dict[str, float]:
    """The trainer's seconds a version, by what it did."""
    versions = [event for event in events(bus, "weights") if isinstance(event, Weights)]
    return {
        name: fmean(event.metrics[name] for event in versions[1 : version + 1]) for name in METRICS
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=0.8)
    parser.add_argument("--recipe", default="words")
    parser.add_argument("--quick", action="store_true", help="one seed, a low target")
    arguments = parser.parse_args()
    settings = ["evaluator.every=10", "evaluator.count=24"]
    if arguments.quick:
        arguments.seeds, arguments.target = 1, 0.2
    seconds: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    print(f"{'seed':>4} {'layout':14}" + "".join(f"{name:>12}" for name in ("seconds", "versions")))
    with tempfile.TemporaryDirectory(prefix="evolvent-overlap-") as temporary:
        for seed in range(1, arguments.seeds + 1):
            for name, layout in LAYOUTS.items():
                chosen = [*settings, f"seed={seed}", f"run.processes={json.dumps(layout)}"]
                words = [word for setting in chosen for word in ("--set", setting)]
                found = asyncio.run(
                    until(
                        Path(temporary) / f"{name}-{seed}",
                        ["--recipe", arguments.recipe, *words],
                        arguments.target,
                    )
                )
                seconds[name].append(found["seconds"])
                print(f"{seed:4} {name:14}{found['seconds']:12.1f}{found['versions']:12.0f}")
                say(", ".join(f"{key} {value:.3f}" for key, value in found.items()))
    medians = {name: median(values) for name, values in seconds.items()}
    figures = {
        "ratio": round(medians["two_processes"] / medians["one_process"], 3),
        **{f"seconds_{name}": round(value, 1) for name, value in medians.items()},
        "seconds_by_seed": {n: [round(v, 1) for v in values] for n, values in seconds.items()},
        "seeds": arguments.seeds,
        "target": arguments.target,
        "recipe": arguments.recipe,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
