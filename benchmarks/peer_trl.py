"""The same loss, who is faster: recipe `grpo` against a synchronous `GRPOTrainer` of TRL; and
`words`, which imitates its right answers, against the same.

    python benchmarks/peer_trl.py [--recipe words] [--bar 0.8] [--minutes 6] [--seeds 1] [--quick]

Both begin with the same seed model and learn the same words by the same rewards, each on two cores,
until greedy answers to the same held-out words are right so often. TRL gets an environment of its
own (some GB), which is kept, and is tried with each of `SETTINGS`; what it spends on measuring is
left out of its time and of its CPU-seconds. evolvent's count from the publication of version 0 to
that of the version that is so good, measuring and all of its processes included. The last line has
the ratios of evolvent's time, and of its CPU-seconds, to those of TRL's best.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any
from venv import create

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.domains.domain import Domain
from evolvent.recipe.load import load_recipe
from harness.runs import ROOT, Start, command, read_scores, read_versions, say, show, started
from harness.shown import exit_code

RECIPE, SAMPLES, WORDS, EVERY = "grpo", 8, 40_000, 25
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

_LOOK_SECONDS = 0.25


def environments() -> Path:
    """Where TRL is installed unless said: once for this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "evolvent" / PINNED[0].replace("==", "-")


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
    suites = [domain.held_out(family, level, 64) for level in measured(domain)]
    work = {
        "words": [_plain(problem) for problem in made],
        "held_out": [[_plain(problem) for problem in suite] for suite in suites],
    }
    path.write_text(json.dumps(work))


def measured(domain: Domain) -> list[int]:
    """The levels of which both sides are measured: those that the warm-up has not shown."""
    return [level for level in domain.levels if level > max(domain.warmup_levels)]


def _plain(problem: Any) -> dict[str, str | int]:
    return {"prompt": problem.prompt, "answer": problem.answer, "level": problem.level}


def evolvent(folder: Path, name: str, seed: int, bar: float, minutes: float) -> dict[str, Any]:
    """How far the recipe came, and when."""
    known = load_recipe(RECIPE)
    domain = known.domain.build()
    # Imitation is there in few versions.
    every = EVERY if name == RECIPE else 5
    settings = [f"seed={seed}", f"evaluator.every={every}", f"evaluator.levels={measured(domain)}"]
    settings += [f"domain.warmup_levels={list(domain.warmup_levels)}"]
    settings += [f"warmup.steps={known.warmup.steps}"]
    words = [word for setting in settings for word in ("--set", setting)]
    budget = ["--until", str(bar), "--budget", f"{minutes}m"]
    with started(folder, "--recipe", name, *words, *budget) as start:
        spent = _watched(start, minutes * 60 + 300)
    scores, [seeded, *_] = read_scores(folder), read_versions(folder)
    first = next((score for score in scores if score.mean >= bar), None)
    last = first or scores[-1]
    since = seeded.created_at.timestamp()
    return {
        "seconds": round(last.seconds, 1),
        "cpu_seconds": round(spent.at(since + last.seconds) - spent.at(since), 1),
        "held_out": round(last.mean, 4),
        "updates": last.version,
        "reached": first is not None,
    }


class Spent:
    """CPU-seconds of all processes of a run over time."""

    def __init__(self) -> None:
        self._known: list[tuple[float, float]] = []
        self._of: dict[int, float] = {}

    def look(self, start: Start) -> None:
        for process in (start.process, *start.workers().values()):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            self._of[process.pid] = times.user + times.system
        self._known.append((datetime.now(UTC).timestamp(), sum(self._of.values())))

    def at(self, moment: float) -> float:
        """What was spent by then."""
        return max((spent for when, spent in self._known if when <= moment), default=0.0)


def _watched(start: Start, timeout_seconds: float) -> Spent:
    """Waits for the end of a run. What it spends is known from then on."""
    spent, deadline = Spent(), time.monotonic() + timeout_seconds
    while start.code is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"{start.folder} did not end in time:\n{start.last_words()}")
        spent.look(start)
        time.sleep(_LOOK_SECONDS)
    if start.code:
        raise SystemExit(f"{start.folder} ended with code {start.code}:\n{start.last_words()}")
    return spent


def peer(
    python: Path, checkpoint: Path, work: Path, setting: dict[str, Any], bar: float
) -> dict[str, Any]:
    """How far TRL came, and when."""
    file = work.with_name("setting.json")
    file.write_text(json.dumps(setting))
    words = [str(path) for path in (PEER, checkpoint, work, file)]
    said: dict[str, Any] = {"seconds": 0.0, "cpu_seconds": 0.0, "held_out": 0.0, "updates": 0}
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
    python = made_environment(arguments.environment)
    work = folder / f"work-{seed}.json"
    write_work(work, seed)
    seeded = folder / f"seed-{seed}"
    words = ("seed", "--recipe", RECIPE, "--set", f"seed={seed}", "--dir", str(seeded))
    made = subprocess.run(command(*words), cwd=ROOT, check=True, capture_output=True, text=True)
    checkpoint = Path(made.stdout.strip().splitlines()[-1])
    for name in arguments.settings.split(","):
        for threads in arguments.threads:
            say(f"TRL, {name}, {threads} threads")
            common = {"seed": seed, "tasks": 32, "samples": SAMPLES, "max_tokens": 12}
            bounds = {"bar": arguments.bar, "seconds": arguments.minutes * 60, "threads": threads}
            setting = {**SETTINGS[name], **common, **bounds, "every": EVERY}
            yield (
                f"{name}, {threads} threads",
                peer(python, checkpoint, work, setting, arguments.bar),
            )


def compared(own: list[dict[str, Any]], best: dict[str, list[float]]) -> dict[str, Any]:
    """Time and CPU-seconds of both, and their ratios; None where a side did not come to the bar."""
    figures: dict[str, Any] = {}
    for kind, named in (("seconds", "ratio"), ("cpu_seconds", "cpu_ratio")):
        mine = fmean(one[kind] for one in own) if all(one["reached"] for one in own) else None
        theirs = fmean(best[kind]) if len(best[kind]) == len(own) else None
        figures[f"evolvent_{kind}"] = None if mine is None else round(mine, 1)
        figures[f"trl_{kind}"] = None if theirs is None else round(theirs, 1)
        figures[named] = None if mine is None or theirs is None else round(mine / theirs, 3)
    return figures


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--recipe", default=RECIPE, choices=(RECIPE, "words"), help="from the same seed models"
    )
    parser.add_argument("--bar", type=float, default=0.8)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument(
        "--environment",
        type=Path,
        default=environments(),
        help="where TRL is, or is to be, installed",
    )
    parser.add_argument("--quick", action="store_true", help="half a minute each, no bar")
    arguments = parser.parse_args()
    if unknown := set(arguments.settings.split(",")) - set(SETTINGS):
        parser.error(f"unknown settings: {', '.join(sorted(unknown))}")
    if arguments.quick:
        arguments.minutes, arguments.seeds, arguments.threads = 0.5, 1, THREADS[:1]
        arguments.settings = "muon-sorted"
    return arguments


def main() -> int:
    arguments = parsed()
    own: list[dict[str, Any]] = []
    best: dict[str, list[float]] = {"seconds": [], "cpu_seconds": []}
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="evolvent-trl-") as aside:
        folder = Path(aside)
        for seed in range(1, arguments.seeds + 1):
            run = folder / f"run-{seed}"
            own.append(evolvent(run, arguments.recipe, seed, arguments.bar, arguments.minutes))
            table[f"evolvent, seed {seed}"] = own[-1]
            say(f"evolvent: {own[-1]}")
            found = dict(peers(arguments, folder, seed))
            table |= {f"TRL {name}, seed {seed}": one for name, one in found.items()}
            for kind, least in best.items():
                least.extend(sorted(one[kind] for one in found.values() if one["reached"])[:1])
    figures = {**compared(own, best), "reached": sum(one["reached"] for one in own)}
    show({**table, **figures})
    wanted = {} if arguments.quick else {"reached": arguments.seeds}
    return exit_code({**figures, "rows": len(table)}, {"rows": 2, **wanted})


if __name__ == "__main__":
    sys.exit(main())
