"""A recipe's seed of 65 bits is accepted; then one process dies of it eight times, for minutes."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, evolvent, run_case, tiny_recipe


def case(folder: Path) -> tuple[int, str]:
    done = evolvent(
        "run", "--recipe", tiny_recipe(folder), "--dir", folder / "run", "--budget", "3s",
        "--set", f"seed={2**64}", seconds=45,
    )  # fmt: skip
    if done.code == 0 or done.one_sentence:
        return HOLDS, f"{done}"
    logs = [path.read_text(errors="replace") for path in (folder / "run" / "logs").glob("*.log")]
    lines = [line.strip(" |") for log in logs for line in log.splitlines()]
    reasons = {line for line in lines if "Overflow" in line}
    return FAULT, f"within 45 s: {done}; in the logs: {sorted(reasons)[:1]}"


if __name__ == "__main__":
    run_case(case)
