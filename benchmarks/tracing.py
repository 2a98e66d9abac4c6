"""What tracing costs: CPU-seconds per judgment with its calls, against the same run in the same
process with the calls taken out, in alternating pairs of blocks of versions.

    python benchmarks/tracing.py [--pairs 5] [--versions 10] [--recipe words] [--run DIR]
                                 [--ways off,default,all] [--quick]

`off`: nobody asks for traces. `default`: a collector takes them, of the share of tasks that is
traced unless another is named. `all`: of every task. A run has all roles but the evaluator in one
process, and its collector in another; with `--run` it goes on as a copy of a run that is there. The
last line is one JSON object; the exit code is 1 where `off` or `default` costs more than its bar.
`--quick` takes two short pairs of a model that has hardly been warmed up, and holds them to no bar.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.collector import Collector
from harness.runs import command, say, show

BARS = {"off": 1.02, "default": 1.05}
WATCHED: dict[str, dict[str, str] | None] = {
    "off": None,
    "default": {},
    "all": {"OTEL_TRACES_SAMPLER": "always_on"},
}
CHILD = Path(__file__).with_name("_traced.py")


def main() -> int:
    parser = argparse.ArgumentParser(description="What tracing costs.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--versions", type=int, default=10, help="of one block")
    parser.add_argument("--recipe", default="words")
    parser.add_argument("--run", type=Path, help="a run to go on with, instead of a new one")
    parser.add_argument("--ways", default=",".join(WATCHED), help="to be watched")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    settings = ["--set", "warmup.steps=20"] if options.quick else []
    pairs, versions = (2, 2) if options.quick else (options.pairs, options.versions)
    with tempfile.TemporaryDirectory(prefix="evolvent-tracing-") as made:
        seed = options.run or Path(made) / "seed"
        if options.run is None:
            words = command("seed", "--recipe", options.recipe, "--dir", str(seed), *settings)
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        figures = {
            name: costs(seed, Path(made) / name, WATCHED[name], pairs, versions)
            for name in options.ways.split(",")
        }
    show(figures)
    held = {name: bar for name, bar in BARS.items() if name in figures}
    over = {name: bar for name, bar in held.items() if figures[name]["ratio"] > bar}
    for name, bar in over.items():
        say(f"not shown: {name} costs {figures[name]['ratio']}, {bar} are allowed")
    return 1 if over and not options.quick else 0


def costs(
    seed: Path, folder: Path, variables: Mapping[str, str] | None, pairs: int, versions: int
) -> dict[str, Any]:
    """Of one way to be watched: the median of its pairs, and each of them."""
    shutil.copytree(seed, folder)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with Collector().collecting() as collector:
        # As often as by default: a request costs more than what it carries.
        watched = {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": "", **(variables or {})}
        done = subprocess.run(
            [sys.executable, str(CHILD), str(folder), str(pairs), str(versions)],
            env={**clean, "OMP_NUM_THREADS": "1", **({} if variables is None else watched)},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        spans = len(collector.spans)
    found = json.loads(done.stdout.splitlines()[-1])
    ratios = [round(pair["with"] / pair["without"], 4) for pair in found["pairs"]]
    say(f"{folder.name}: {median(ratios):.4f} of {ratios}, {spans:,} spans")
    return {
        "ratio": round(median(ratios), 4),
        "pairs": ratios,
        "cpu_ms": round(1e3 * median(pair["without"] for pair in found["pairs"]), 3),
        "judgments": found["judgments"],
        "spans": spans,
        "lost": found["lost"],
    }


if __name__ == "__main__":
    sys.exit(main())
