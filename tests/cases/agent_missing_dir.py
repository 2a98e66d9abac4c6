"""`evolvent agent solver --dir MISSING` (a slip of the pen) with no recipe: makes a new run of the
default recipe there and waits for a trainer for ever."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, evolvent, run_case


def case(folder: Path) -> tuple[int, str]:
    missing = folder / "missing"
    done = evolvent("agent", "solver", "--dir", missing, seconds=25)
    made = sorted(path.name for path in missing.iterdir()) if missing.exists() else []
    said = f"{done}; in the folder now: {made}"
    return (HOLDS if done.one_sentence and not missing.exists() else FAULT), said


if __name__ == "__main__":
    run_case(case)
