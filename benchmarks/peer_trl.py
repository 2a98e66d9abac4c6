"""The same loss, who is faster: recipe `grpo` against a synchronous `GRPOTrainer` of TRL.

    python benchmarks/peer_trl.py [--bar 0.8] [--minutes 6] [--seeds 1] [--quick]

Both begin with the same seed model and learn the same words by the same rewards, each on two cores,
until greedy answers to the same held-out words are right so often. TRL gets an environment of its
own, made in a folder aside (some GB), and is tried with each of `SETTINGS`; what it spends on
measuring is left out of its time. The last line has the ratio of evolvent's time to TRL's best.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any
from venv import create

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from evolvent.recipe.load import load_recipe
from harness.runs import ROOT, command, read_scores, run, say, show
from harness.shown import exit_code

RECIPE, SAMPLES, WORDS = "grpo", 8, 40_000
PEER = ROOT / "benchmarks" / "_trl_grpo.py"
PINNED = ("trl==1.16.0", "torch==2.13.0", "transformers==5.23.0", "datasets==5.2.0")

ADAMW = {"optimizer": "adamw", "adamw_lr": 1e-3}
MUON = {"optimizer": "muon", "muon_lr": 2e-3, "adamw_lr": 3e-4}
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw-uniform": {**ADAMW, "sorted": False},
    "adamw-sorted": {**ADAMW, "sorted": True},
    "muon-uniform": {**MUON, "sorted": False},
    "muon-sorted": {**MUON, "sorted": True},
}
THREADS = (1, 2)
"""Of TRL's process; the best counts. evolvent's two processes have one each."""


def made_environment(folder: Path) -> Path:
    """The interpreter of an environment with TRL in it."""
    python = folder / "bin" / "python"
    if not python.exists():
        say("making an environment for TRL")
        create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import trl"], capture_output=True, check=False).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
    return python


def write_work(path: Path, seed: int) -> None:
    """Words to learn and the held-out suites, as the recipe's domain makes them."""
    domain = load_recipe(RECIPE).domain.build()
    random, [family] = Random(f"trl/{seed}"), domain.families
    made = [domain.make(family, random.choice(domain.levels), random) for _ in range(WORDS)]
    above = max(domain.warmup_levels)
    suites = [domain.held_out(family, level, 64) for level in domain.levels if level > above]
    work = {
        "words": [_plain(problem) for problem in made],
        "held_out": [[_plain(problem) for problem in suite] for suite in suites],
    }
    path.write_text(json.dumps(work))


def _plain(problem: Any) -> dict[str, str | int]:
    return {"prompt": problem.prompt, "answer": problem.answer, "level": problem.level}


def evolvent(folder: Path, seed: int, bar: float, minutes: float) -> dict[str, Any]:
    before = _cpu_seconds()
    words = ["--recipe", RECIPE, "--set", f"seed={seed}", "--set", "evaluator.every=10"]
    budget = ["--until", str(bar), "--budget", f"{minutes}m"]
    run(folder, *words, *budget, timeout_seconds=minutes * 60 + 300)
    scores = read_scores(folder)
    first = next((score for score in scores if score.mean >= bar), None)
    last = first or scores[-1]
    return {
        "seconds": round(last.seconds, 1),
        "held_out": round(last.mean, 4),
        "updates": last.version,
        "cpu_seconds": round(_cpu_seconds() - before, 1),
        "reached": first is not None,
    }


def peer(
    python: Path, checkpoint: Path, work: Path, setting: dict[str, Any], bar: float
) -> dict[str, Any]:
    """How far TRL came, and when."""
    file = work.with_name("setting.json")
    file.write_text(json.dumps(setting))
    words = [str(path) for path in (PEER, checkpoint, work, file)]
    said: dict[str, Any] = {"seconds": 0.0, "held_out": 0.0, "updates": 0, "cpu_seconds": 0.0}
    with subprocess.Popen([python, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{"seconds"'):
                said = json.loads(line)
                say(f"  {line.strip()}")
    if process.returncode:
        raise SystemExit(f"TRL ended with code {process.returncode}")
    rounded = {name: round(value, 4) for name, value in said.items()}
    return {**rounded, "reached": said["held_out"] >= bar}


def peers(arguments: argparse.Namespace, folder: Path, seed: int) -> Iterator[tuple[str, Any]]:
    python = made_environment(arguments.environment or folder / "environment")
    work = folder / f"work-{seed}.json"
    write_work(work, seed)
    seeded = folder / f"seed-{seed}"
    words = ("seed", "--recipe", RECIPE, "--set", f"seed={seed}", "--dir", str(seeded))
    made = subprocess.run(command(*words), cwd=ROOT, check=True, capture_output=True, text=True)
    checkpoint = Path(made.stdout.strip().splitlines()[-1])
    for name in arguments.settings.split(","):
        for threads in THREADS[:1] if arguments.quick else THREADS:
            say(f"TRL, {name}, {threads} threads")
            common = {"seed": seed, "tasks": 32, "samples": SAMPLES, "max_tokens": 12, "every": 25}
            bounds = {"bar": arguments.bar, "seconds": arguments.minutes * 60, "threads": threads}
            setting = {**SETTINGS[name], **common, **bounds}
            yield (
                f"{name}, {threads} threads",
                peer(python, checkpoint, work, setting, arguments.bar),
            )


def _cpu_seconds() -> float:
    """Of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bar", type=float, default=0.8)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--environment", type=Path, help="where TRL is, or is to be, installed")
    parser.add_argument("--quick", action="store_true", help="half a minute each, no bar")
    arguments = parser.parse_args()
    if unknown := set(arguments.settings.split(",")) - set(SETTINGS):
        parser.error(f"unknown settings: {', '.join(sorted(unknown))}")
    if arguments.quick:
        arguments.minutes, arguments.seeds = 0.5, 1
        arguments.settings = "muon-sorted"
    own: list[dict[str, Any]] = []
    best: list[float] = []
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="evolvent-trl-") as aside:
        folder = Path(aside)
        for seed in range(1, arguments.seeds + 1):
            own.append(evolvent(folder / f"run-{seed}", seed, arguments.bar, arguments.minutes))
            table[f"evolvent, seed {seed}"] = own[-1]
            say(f"evolvent: {own[-1]}")
            found = dict(peers(arguments, folder, seed))
            table |= {f"TRL {name}, seed {seed}": one for name, one in found.items()}
            reached = [one["seconds"] for one in found.values() if one["reached"]]
            if reached:
                best.append(min(reached))
    ratio = fmean(one["seconds"] for one in own) / fmean(best) if best else None
    reached = sum(one["reached"] for one in own)
    figures = {"ratio": None if ratio is None else round(ratio, 3), "reached": reached}
    show({**table, **figures})
    wanted = {} if arguments.quick else {"reached": arguments.seeds}
    return exit_code({**figures, "rows": len(table)}, {"rows": 2, **wanted})


if __name__ == "__main__":
    sys.exit(main())
