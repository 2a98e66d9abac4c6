"""An own model that reads 16 tokens, levels whose prompt and answer need 28: the agents die again
and again while the run looks alive, and `evolvent run` ends with exit code 0."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, evolvent, own_model, run_case, tiny_recipe


def case(folder: Path) -> tuple[int, str]:
    own, run = own_model(folder / "own", max_position_embeddings=16), folder / "run"
    levels = ", ".join(str(level) for level in range(1, 13))
    done = evolvent(
        "run", "--recipe", tiny_recipe(folder), "--dir", run, "--budget", "8s",
        "--set", "warmup.steps=0", "--set", f"model={{path='{own}'}}",
        "--set", f"domain.levels=[{levels}]", seconds=60,
    )  # fmt: skip
    if done.one_sentence:
        return HOLDS, f"refused: {done}"
    logs = "".join(path.read_text(errors="replace") for path in (run / "logs").glob("*.log"))
    deaths = [line.strip(" |") for line in logs.splitlines() if "ValueError: " in line]
    said = f"{done}; {len(deaths)} deaths in the logs: {deaths[:1]}"
    return (FAULT if deaths or done.code != 0 else HOLDS), said


if __name__ == "__main__":
    run_case(case)
