"""Tries the cases one after another: a line for each, and their number by verdict.

    python tests/cases/run.py [NAME ...]

The exit code is 0 when each came to a verdict, whichever it was.
"""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

CASES = Path(__file__).parent
LIMIT_SECONDS = 240
HOLDS, FAULT, NOT_TRIED, CRASHED = "holds", "FAULT", "not tried", "crashed"
_CODES = {0: HOLDS, 1: FAULT, 2: NOT_TRIED}
_NO_CASES = ("run", "test_cases")


def names() -> list[str]:
    """Every case, by its script's name."""
    found = sorted(path.stem for path in CASES.glob("[a-z]*.py"))
    return [name for name in found if name not in _NO_CASES]


def tried(name: str) -> tuple[str, str]:
    """A case's verdict and the line that it said last."""
    words = [sys.executable, str(CASES / f"{name}.py")]
    try:
        done = subprocess.run(
            words,
            cwd=CASES.parents[1],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return CRASHED, f"{CRASHED}: it did not end within {LIMIT_SECONDS} s"
    said = (done.stdout.strip().splitlines() or [""])[-1]
    verdict = _CODES.get(done.returncode, CRASHED)
    if said.startswith(f"{verdict}: "):
        return verdict, said
    error = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return CRASHED, f"{CRASHED}: exit code {done.returncode}, {error}"


def main(wanted: list[str]) -> int:
    if unknown := sorted(set(wanted) - set(names())):
        print(f"there is no case {', '.join(unknown)}; there are {', '.join(names())}")
        return 2
    counts: Counter[str] = Counter()
    for name in wanted or names():
        started = time.monotonic()
        verdict, said = tried(name)
        counts[verdict] += 1
        print(f"{name:28} {time.monotonic() - started:4.0f} s  {said}", flush=True)
    untried = counts[NOT_TRIED] + counts[CRASHED]
    print(f"{counts[HOLDS]} hold, {counts[FAULT]} fault, {untried} not tried")
    return 1 if untried else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
