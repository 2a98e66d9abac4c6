"""What a method of self-evolution reaches: its seed model, its end and its controls, seed by seed.

    python benchmarks/methods.py --recipe NAME [--seeds 3] [--controls NAME...] [--quick]

A run and its controls end at the same version, so that they have as many solver tokens and
optimiser steps, as far as what they learn allows; both are printed. pass@1 and pass@64 are of
answers drawn at temperature 1 to held-out problems that no evaluation of the run asked, the mean
over the levels above the warm-up. Runs follow one another: each uses two cores. The last line has
all rows under `table`.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._methods import BY_CHANCE, METHODS, SEEDS_ALONE, Method
from bus.events import Control, Evaluation, Weights
from evolvent.ask.ask import evaluate
from evolvent.ask.tries import tried
from evolvent.recipe.load import load_recipe, shipped
from evolvent.run.folder import RunFolder
from harness.runs import ROOT, audit, command, read_topic, read_versions, run_to_version, say
from harness.shown import exit_code

ASKED, COUNT, SAMPLES = 32, 64, 64
"""Held-out problems of a level: those that evaluations ask, all of them; answers to each."""

MINUTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """One run to its end. `by_level` is pass@1 of every level, those of the warm-up too;
    `quantities` are what its domain measures of the last version and the mean of what its trainer
    said of the last fifth of the versions; `ended_by` is the guard that stopped it, and why."""

    seed: int
    pass_1: float | None
    pass_64: float | None
    by_level: dict[int, float] = field(default_factory=dict)
    quantities: dict[str, float] = field(default_factory=dict)
    versions: int = 0
    tokens: int = 0
    steps: int = 0
    cpu_seconds: float = 0.0
    violations: int = 0
    ended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A method, or one of its controls, over the seeds."""

    name: str
    runs: list[Whole]

    @property
    def pass_1(self) -> float | None:
        return _mean(run.pass_1 for run in self.runs)

    @property
    def spread(self) -> float:
        """The standard deviation of pass@1 over the seeds."""
        known = [run.pass_1 for run in self.runs if run.pass_1 is not None]
        return stdev(known) if len(known) > 1 else 0.0


class Bench:
    """Does the runs of one recipe, each in a folder of its own below `folder`."""

    def __init__(self, folder: Path, recipe: str, method: Method, quick: bool) -> None:
        self._folder = folder
        self._recipe = recipe
        self._method = method
        self.versions = 2 if quick else method.versions
        self._samples = 4 if quick else SAMPLES
        self._settings = [f"evaluator.count={ASKED}"]
        if quick:
            self._settings += ["warmup.steps=20", "evaluator.count=2", "evaluator.every=2"]

    def rows(self, seeds: Sequence[int], controls: Collection[str]) -> Iterator[Row]:
        """The seed model, the method, then those of its controls that are named."""
        whole = [self.whole("method", seed) for seed in seeds]
        starts = [self.start(seed) for seed in seeds]
        yield Row(name="seed model", runs=starts)
        yield Row(name=self._recipe, runs=whole)
        if SEEDS_ALONE in controls:
            yield Row(name=SEEDS_ALONE, runs=[self.seed_alone(run) for run in whole])
        if BY_CHANCE in controls:
            rates = {run.seed: run.quantities.get("reward", 0.5) for run in whole}
            yield Row(
                name=BY_CHANCE,
                runs=[
                    self.whole("chance", seed, "judge.type=chance", f"judge.rate={rates[seed]:.3f}")
                    for seed in seeds
                ],
            )
        for name, settings in self._method.controls.items():
            if name in controls:
                yield Row(name=name, runs=[self.whole(name, seed, *settings) for seed in seeds])

    def whole(self, name: str, seed: int, *settings: str) -> Whole:
        folder = self._of(name, seed)
        before = _cpu_seconds()
        run_to_version(
            folder,
            *self._start(seed, *settings),
            "--budget",
            f"{MINUTES}m",
            version=self.versions,
            timeout_seconds=MINUTES * 60 + 300,
        )
        spent = _cpu_seconds() - before
        versions = read_versions(folder)
        last = min(self.versions, len(versions) - 1)
        learned = versions[1 : last + 1]
        found = self._measured(folder, seed, last)
        return _said(
            name,
            Whole(
                seed=seed,
                pass_1=found.pass_1,
                pass_64=found.pass_64,
                by_level=found.by_level,
                quantities=_quantities(folder, learned),
                versions=last,
                tokens=round(sum(one.metrics.get("tokens", 0.0) for one in learned)),
                steps=versions[last].step,
                cpu_seconds=round(spent, 1),
                violations=len(audit(folder)["violations"]),
                ended_by=_ended_by(folder),
            ),
        )

    def start(self, seed: int) -> Whole:
        """Version 0 of the method's own run."""
        folder = self._of("method", seed)
        return replace(self._measured(folder, seed, 0), quantities=_measured_at(folder, 0))

    def seed_alone(self, compared: Whole) -> Whole:
        """The seed model after as many more steps on its own data."""
        folder = self._of("seed-alone", compared.seed)
        warmup = load_recipe(self._recipe, self._settings).warmup.steps
        steps = warmup + compared.steps
        before = _cpu_seconds()
        words = self._start(compared.seed, f"warmup.steps={steps}")
        subprocess.run(
            command("seed", "--dir", str(folder), *words),
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        spent = _cpu_seconds() - before
        found = self._measured(folder, compared.seed, 0)
        return _said(
            "seed-alone",
            Whole(
                seed=compared.seed,
                pass_1=found.pass_1,
                pass_64=found.pass_64,
                by_level=found.by_level,
                quantities=_shown_by(asyncio.run(evaluate(RunFolder(folder), 0, ASKED))),
                steps=compared.steps,
                cpu_seconds=round(spent, 1),
            ),
        )

    def _of(self, name: str, seed: int) -> Path:
        return self._folder / f"{self._recipe}-{name.replace(' ', '-')}-{seed}"

    def _start(self, seed: int, *settings: str) -> list[str]:
        chosen = [f"seed={seed}", *self._settings, *settings]
        words = [word for setting in chosen for word in ("--set", setting)]
        return ["--recipe", self._recipe, *words]

    def _measured(self, folder: Path, seed: int, version: int) -> Whole:
        recipe = RunFolder(folder).recipe()
        found = asyncio.run(
            tried(RunFolder(folder), version, samples=self._samples, count=COUNT, beyond=ASKED)
        )
        above = max(recipe.domain.build().warmup_levels, default=0)
        held_out = [each for each in found if each.level > above]
        return Whole(
            seed=seed,
            pass_1=_mean(each.pass_1 for each in held_out),
            pass_64=_mean(each.pass_n for each in held_out),
            by_level={
                level: round(fmean(each.pass_1 for each in found if each.level == level), 3)
                for level in sorted({each.level for each in found})
            },
        )


def _quantities(folder: Path, learned: list[Weights]) -> dict[str, float]:
    late = learned[-max(1, len(learned) // 5) :]
    names = {name for one in late for name in one.metrics}
    found = {
        name: fmean(one.metrics[name] for one in late if name in one.metrics)
        for name in sorted(names)
        if not name.startswith(("seconds", "staleness", "tokens", "samples", "steps"))
    }
    found = {name: round(value, 4) for name, value in found.items()}
    return found | _measured_at(folder, -1)


def _measured_at(folder: Path, place: int) -> dict[str, float]:
    """What an evaluation says, the first (0) or the last (-1)."""
    found = [one for one in read_topic(folder, "evaluations") if isinstance(one, Evaluation)]
    if not found:
        return {}
    return _shown_by(sorted(found, key=lambda each: each.weights_version)[place])


def _ended_by(folder: Path) -> str:
    said = [one.finding for one in read_topic(folder, "control") if isinstance(one, Control)]
    return "; ".join(f"{guard}: {reason}" for guard, reason in said if guard)


def _shown_by(evaluation: Evaluation) -> dict[str, float]:
    said = dict(evaluation.quantities)
    if any(score.level > (evaluation.warmup_end or 0) for score in evaluation.scores):
        said["held_out"] = evaluation.held_out
    return {name: round(value, 4) for name, value in said.items()}


def _said(name: str, whole: Whole) -> Whole:
    say(f"{name:12} {whole}")
    return whole


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None


def _cpu_seconds() -> float:
    """Of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(rows: list[Row]) -> None:
    print(f"{'':20}{'pass@1':>8}{'spread':>8}  each seed: pass@1 pass@64 tokens steps CPU-seconds")
    for row in rows:
        mean = "–" if row.pass_1 is None else f"{row.pass_1:.3f}"
        each = "; ".join(
            f"{_shown(run.pass_1)} {_shown(run.pass_64)} {run.tokens:,} {run.steps} "
            f"{run.cpu_seconds:.0f}"
            for run in row.runs
        )
        print(f"{row.name:20}{mean:>8}{row.spread:8.3f}  {each}")
    for row in rows:
        for run in row.runs:
            told = ", ".join(f"{name} {value:g}" for name, value in run.quantities.items())
            print(f"{row.name:20}seed {run.seed}: {told or '–'}")
            if run.ended_by:
                end = f"ended at version {run.versions} by {run.ended_by}"
                print(f"{row.name:20}seed {run.seed}: {end}")


def _shown(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", required=True, help=f"of {', '.join(shipped())}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--controls", nargs="*", metavar="NAME", help="[default: all]")
    parser.add_argument("--keep", type=Path, help="leave the runs in this folder")
    parser.add_argument("--quick", action="store_true", help="one seed, two versions")
    arguments = parser.parse_args()
    if arguments.recipe not in shipped():
        parser.error(f"there is no recipe {arguments.recipe}: there are {', '.join(shipped())}")
    method = METHODS.get(arguments.recipe, Method())
    controls = method.all_controls if arguments.controls is None else arguments.controls
    if unknown := [name for name in controls if name not in method.all_controls]:
        parser.error(f"no control {unknown[0]}: there are {', '.join(method.all_controls)}")
    seeds = range(1, 2 if arguments.quick else arguments.seeds + 1)
    with tempfile.TemporaryDirectory(prefix="evolvent-methods-") as aside:
        folder = arguments.keep or Path(aside)
        bench = Bench(folder, arguments.recipe, method, arguments.quick)
        rows = list(bench.rows(seeds, controls))
    show(rows)
    figures: dict[str, Any] = {
        "recipe": arguments.recipe,
        "pass_1": rows[1].pass_1,
        "versions": min(run.versions for run in rows[1].runs),
        "violations": sum(run.violations for row in rows for run in row.runs),
    }
    code = exit_code(figures, {"versions": bench.versions}, ("violations",))
    print(json.dumps({**figures, "table": [asdict(row) for row in rows]}))
    return code


if __name__ == "__main__":
    sys.exit(main())
