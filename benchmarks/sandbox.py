"""What the sandbox costs and holds: programs run in it beside a plain `python -I -S` a program, in
one run; how often both disagree; how many attacks get out.

    python benchmarks/sandbox.py [--runs 2000] [--programs 300] [--quick]

The programs are those that the domain `python_programs` makes, one a run, and one that counts
primes. The last line is one JSON object; the exit code is 1 where an attack gets out, a trick
passes for right, the sandbox and CPython disagree, or fewer runs were made than are counted.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.domains.python_programs.drawing import draw_program
from agents.domains.python_programs.python_programs import PythonProgramsConfig
from agents.sandbox import inside
from agents.sandbox.sandbox import Sandbox, level
from benchmarks._tricks import HELD, TRICKS, UNSUPPORTED
from harness.runs import say, show
from harness.shown import exit_code

Program = tuple[str, Any]
Runs = Callable[[Program], str | None]

PRIMES = (
    "def f(x):\n    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, x))"
)
_PLAIN = (
    Path(inside.__file__).read_text(encoding="utf-8")
    + "\nimport sys\nsource, value = json.load(sys.stdin)\nprint(ran(source, 'f', [value]))\n"
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=2_000, help="runs in the sandbox")
    options.add_argument("--programs", type=int, default=300, help="of these in a plain process")
    options.add_argument("--quick", action="store_true", help="a tenth of both")
    chosen = options.parse_args()
    runs, plain = chosen.runs, chosen.programs
    if chosen.quick:
        runs, plain = max(runs // 10, 1), max(plain // 10, 1)
    programs = [_drawn(index) for index in range(runs)]
    sandbox = Sandbox()
    inside_runs: Runs = lambda one: sandbox.run(one[0], (one[1],)).line  # noqa: E731
    twice: Runs = lambda one: sandbox.run_twice(one[0], (one[1],)).line  # noqa: E731
    assert twice(programs[0])
    say(f"{level()}: {runs:,} programs, {plain} of them by a plain process each")
    figures: dict[str, Any] = {"level": level()}
    lines, figures["sandbox"] = _timed(inside_runs, programs)
    _, figures["sandbox_twice"] = _timed(twice, programs[: max(runs // 4, 1)])
    others, figures["plain"] = _timed(_plainly, programs[:plain])
    _, figures["primes"] = _timed(inside_runs, [(PRIMES, 2_000)] * max(plain // 10, 3))
    _, figures["primes_plain"] = _timed(_plainly, [(PRIMES, 2_000)] * max(plain // 10, 3))
    figures["times_plain"] = round(
        figures["sandbox"]["runs_per_second"] / figures["plain"]["runs_per_second"], 1
    )
    pairs = zip(lines, others, strict=False)
    figures["compared"] = len(others)
    figures["disagreements"] = sum(one != other for one, other in pairs)
    figures["runs"] = sum(line is not None for line in lines)
    figures["attacks"], figures["escapes"] = _attacks(sandbox)
    figures["tricks"], figures["false_passes"] = _tricks()
    figures["unsupported"] = sum(
        sandbox.run(source, (3,)).reason.startswith("unsupported") for source in UNSUPPORTED
    )
    figures["unsupported_asked"] = len(UNSUPPORTED)
    show(figures)
    none = ("disagreements", "escapes", "false_passes")
    wanted = {"runs": runs, "compared": plain, "unsupported": len(UNSUPPORTED)}
    return exit_code(figures, wanted, none)


def _drawn(index: int) -> Program:
    drawn = draw_program(1 + index % 5, Random(f"sandbox {index}"))
    return drawn.program, drawn.argument


def _plainly(program: Program) -> str | None:
    """The same by a CPython of its own: nobody holds it, so it gets what is made here alone."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PLAIN],
        input=json.dumps(program), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None


def _timed(runs: Runs, programs: list[Program]) -> tuple[list[str | None], dict[str, float]]:
    """What they gave, and how long it took in milliseconds."""
    lines, took = [], []
    for program in programs:
        started = time.perf_counter()
        lines.append(runs(program))
        took.append(1_000 * (time.perf_counter() - started))
    high = quantiles(took, n=100)[-1] if len(took) > 1 else took[0]
    return lines, {
        "runs_per_second": round(1_000 * len(took) / sum(took), 1),
        "p50_ms": round(median(took), 2),
        "p99_ms": round(high, 2),
    }


def _attacks(sandbox: Sandbox) -> tuple[int, int]:
    """How many were tried, and how many came back with anything."""
    return len(HELD), sum(sandbox.run(source, (3,)).line is not None for source in HELD)


def _tricks() -> tuple[int, int]:
    """How many answers that only look right were judged, and how many passed."""
    domain = PythonProgramsConfig().build()
    problem = domain.pose("induction\ndef f(x):\n    return x * 2\nf(3)")
    right = domain.score(problem, problem.answer, ended=True).right
    passed = sum(domain.score(problem, trick, ended=True).right for trick in TRICKS)
    return len(TRICKS), passed if right else len(TRICKS)


if __name__ == "__main__":
    sys.exit(main())
