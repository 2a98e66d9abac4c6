"""What is learned: held-out accuracy at version 0 and at the end of whole runs, seed by seed, and
what the same compute reaches without the loop, without its verdicts, without its curriculum.

    python benchmarks/learning.py [--seeds 5] [--recipes words,strings,…] [--no-controls]
                                  [--early] [--kafka] [--engine vllm|server] [--quick]
                                  [--keep DIR] [--set section.field=value]

The means are over all families and the levels that `_proofs.py` names, none of which was in the
warm-up. Runs follow one another: each uses two cores. The last line is the first recipe's row, and
all rows under `table`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._proofs import PROOFS, Proof
from bus.events import Evaluation
from harness.broker import broker, free_port
from harness.runs import (
    ROOT,
    command,
    launch,
    mean_of,
    read_scores,
    read_versions,
    run,
    say,
)
from harness.shown import exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """One run: the means of version 0 and of the last, its versions, and what it cost."""

    seed: int
    start: float
    end: float
    versions: int
    seconds: float
    trainer_cpu_seconds: float


@dataclass(slots=True, kw_only=True)
class Row:
    """One recipe's figures over its seeds."""

    recipe: str
    start: float
    end: float
    seeds_passed: int
    seeds: int
    needed: int | None
    runs: list[Whole]
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)


class Bench:
    """Does the runs, each in a folder of its own below `folder`."""

    def __init__(self, folder: Path, arguments: argparse.Namespace, kafka: str | None) -> None:
        self._folder = folder
        self._bus = [] if kafka is None else ["--bus", f"kafka://{kafka}"]
        self._engine = arguments.engine
        self._early = arguments.early
        self._quick = quick = arguments.quick
        self._budget = "2s" if quick else None
        self._settings = arguments.set + ["warmup.steps=20", "evaluator.count=4"] * quick

    def row(self, name: str, seeds: Iterable[int]) -> Row:
        proof = PROOFS[name]
        # vLLM makes fewer tokens a second of a model this small.
        budget = proof.budget if self._engine == "local" else "5m"
        runs = [self.whole(name, proof, seed, self._budget or budget) for seed in seeds]
        passed = [run.start <= proof.at_most and run.end >= proof.at_least for run in runs]
        return Row(
            recipe=name,
            start=round(fmean(run.start for run in runs), 4),
            end=round(fmean(run.end for run in runs), 4),
            seeds_passed=sum(passed),
            seeds=len(runs),
            needed=proof.needed,
            runs=runs,
        )

    def whole(
        self, name: str, proof: Proof, seed: int, budget: str | None, settings: Iterable[str] = ()
    ) -> Whole:
        folder = self._folder / f"{name}-{seed}"
        start = ["--recipe", proof.recipe, *self._bus]
        start += _settings([f"seed={seed}", *self._settings, *settings])
        limits = [] if budget is None else ["--budget", budget]
        if self._early and proof.until is not None:
            limits += ["--until", str(proof.until)]
        with _engine(self._engine, folder, start) as chosen:
            cpu_seconds = run(folder, *start, *chosen, *limits, timeout_seconds=3600)
        scores = read_scores(folder, proof.levels)
        whole = Whole(
            seed=seed,
            start=round(scores[0].mean, 4),
            end=round(scores[-1].mean, 4),
            versions=scores[-1].version,
            seconds=round(scores[-1].seconds, 1),
            trainer_cpu_seconds=round(cpu_seconds, 1),
        )
        say(f"{name:24} {whole}")
        return whole

    def controls(self, row: Row, seeds: Iterable[int]) -> None:
        """The same recipe: more of the seed data, rewards by chance, levels by chance."""
        proof, seeds = PROOFS[row.recipe], list(seeds)
        compared = {run.seed: run for run in row.runs}
        versions = read_versions(self._folder / f"{row.recipe}-{row.runs[0].seed}")
        rewards = [event.metrics["reward"] for event in versions if "reward" in event.metrics]
        chance = ("judge.type=chance", f"judge.rate={fmean(rewards):.3f}")
        # Whole runs take both cores and follow one another; quick ones measure nothing.
        with ThreadPoolExecutor(3 if self._quick else 1) as runs:
            random_rewards = runs.map(
                lambda seed: self._control("chance", row, compared[seed], *chance), seeds
            )
            uniform = runs.map(
                lambda seed: self._control("uniform", row, compared[seed], "source.type=uniform"),
                # Among one level there is nothing to choose.
                seeds if len(proof.levels) > 1 else [],
            )
            warmed = list(runs.map(lambda seed: self.warmed(proof, compared[seed]), seeds))
        row.controls = {
            "seed_data": {
                "end": [end for end, _ in warmed],
                "mean": round(fmean(end for end, _ in warmed), 4),
                "trainer_cpu_seconds": [cpu for _, cpu in warmed],
                "trainer_cpu_seconds_of_runs": [
                    compared[seed].trainer_cpu_seconds for seed in seeds
                ],
            },
            "random_rewards": {**_ends(list(random_rewards)), "rate": round(fmean(rewards), 3)},
        }
        if ends := list(uniform):
            row.controls["uniform_proposer"] = _ends(ends)

    def _control(self, name: str, row: Row, compared: Whole, *settings: str) -> Whole:
        """For as long as a run that was ended early; else for as long as the recipe says."""
        proof = PROOFS[row.recipe]
        budget = f"{compared.seconds:.0f}s" if self._early else proof.budget
        budget = self._budget or budget
        return self.whole(f"{row.recipe}-{name}", proof, compared.seed, budget, settings)

    def warmed(self, proof: Proof, compared: Whole) -> tuple[float, float]:
        """A seed model warmed up for as long as the whole run's trainer computed: its mean, and
        the CPU seconds of its making."""
        name = f"{proof.recipe}-warmed-{compared.seed}"
        first = read_versions(self._folder / f"{proof.recipe}-{compared.seed}")[0]
        steps, spent = first.metrics["warmup_steps"], first.metrics["warmup_cpu_seconds"]
        steps *= compared.trainer_cpu_seconds / min(spent, compared.trainer_cpu_seconds)
        chosen = [f"seed={compared.seed}", *self._settings, f"warmup.steps={round(steps)}"]
        arguments = _settings(chosen)
        folder = str(self._folder / name)
        cpu_seconds = _spend("seed", "--recipe", proof.recipe, "--dir", folder, *arguments)
        scored = subprocess.run(
            command("evaluate", folder, "--version", "0", "--json"),
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        end = mean_of(Evaluation.model_validate_json(scored.stdout), proof.levels)
        say(f"{name:24} {end:.4f} after {cpu_seconds:.1f} CPU-seconds")
        return round(end, 4), round(cpu_seconds, 1)


@contextmanager
def _engine(kind: str, folder: Path, start: list[str]) -> Iterator[list[str]]:
    """The settings of the engine of a run that starts so; a server runs meanwhile."""
    chosen = [f"engine.type={kind}"]
    if kind != "server":
        yield _settings(chosen if kind != "local" else [])
        return
    port = free_port()
    chosen = _settings([*chosen, f'engine.urls=["http://127.0.0.1:{port}"]'])
    _spend("seed", "--dir", str(folder), *start, *chosen)
    server = launch(
        folder.with_suffix(".server"), command("serve", str(folder), "--port", str(port)), None
    )
    try:
        yield chosen
    finally:
        server.terminate()
        server.wait()


def _settings(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _ends(runs: list[Whole]) -> dict[str, Any]:
    return {"end": [run.end for run in runs], "mean": round(fmean(run.end for run in runs), 4)}


def _spend(*arguments: str) -> float:
    """Run a command to its end; the CPU seconds it took."""
    process = subprocess.Popen(command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"evolvent {' '.join(arguments)} ended with code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def show(rows: list[Row]) -> None:
    print(f"{'recipe':16}{'seed':>6}{'start':>9}{'end':>9}{'versions':>10}{'seconds':>9}{'cpu':>8}")
    for row in rows:
        for one in row.runs:
            print(
                f"{row.recipe:16}{one.seed:6}{one.start:9.3f}{one.end:9.3f}"
                f"{one.versions:10}{one.seconds:9.0f}{one.trainer_cpu_seconds:8.0f}"
            )
        needed = "" if row.needed is None else f", {row.needed} of 5 are needed"
        print(f"{row.recipe:16}{row.seeds_passed} of {row.seeds} seeds passed{needed}")
        for name, control in row.controls.items():
            ends = ", ".join(f"{end:.3f}" for end in control["end"])
            print(f"{row.recipe:16}control {name}: {control['mean']:.3f} ({ends})")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    promised = ",".join(
        name for name, proof in PROOFS.items() if proof.needed is not None and not proof.given
    )
    parser.add_argument("--recipes", default=promised, help=f"of {', '.join(PROOFS)}")
    parser.add_argument(
        "--controls",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the controls of the first recipe, 3 seeds",
    )
    parser.add_argument("--keep", type=Path, help="leave the runs in this folder")
    parser.add_argument("--early", action="store_true", help="end a run once it is sure to pass")
    parser.add_argument(
        "--kafka", action="store_true", help="on a broker of its own, every role a process"
    )
    parser.add_argument(
        "--engine", choices=("local", "vllm", "server"), default="local", help="who generates"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, seconds of evolution")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="as evolvent run has it"
    )
    arguments = parser.parse_args()
    names = arguments.recipes.split(",")
    if unknown := set(names) - set(PROOFS):
        parser.error(f"unknown recipes: {', '.join(sorted(unknown))}")
    if arguments.quick:
        # Its tasks load no library, which would take most of the minute.
        names, arguments.seeds = ["strings"], 1
    seeds = range(1, arguments.seeds + 1)
    with ExitStack() as ended:
        aside = ended.enter_context(tempfile.TemporaryDirectory(prefix="evolvent-learning-"))
        folder = arguments.keep or Path(aside)
        kafka = ended.enter_context(broker(folder)) if arguments.kafka else None
        bench = Bench(folder, arguments, kafka)
        rows = [bench.row(name, seeds) for name in names]
        if arguments.controls and not arguments.kafka and arguments.engine == "local":
            bench.controls(rows[0], seeds[:3])
    show(rows)
    table = [asdict(row) for row in rows]
    code = max(map(_quickly_shown if arguments.quick else shown, rows))
    print(json.dumps({**table[0], "table": table}))
    return code


def shown(row: Row) -> int:
    """As many of the seeds passed as the recipe promises, in the share that was tried."""
    wanted = 0 if row.needed is None else row.needed * row.seeds / 5
    return exit_code({row.recipe: row.seeds_passed}, {row.recipe: int(wanted)})


def _quickly_shown(row: Row) -> int:
    """Seconds are enough to publish versions, and for nothing else."""
    versions = min(run.versions for run in row.runs)
    return exit_code({"versions": versions}, {"versions": 1})


if __name__ == "__main__":
    sys.exit(main())
