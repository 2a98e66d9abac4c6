"""A reasoning_gym recipe without domain.warmup_levels, which the documentation calls optional: it
is accepted, then the trainer dies eight times, for minutes; its log ends with a frame of dashes."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, evolvent, run_case

RECIPE = """
description = "words, no warm-up"
[domain]
type = "reasoning_gym"
dataset = "spell_backward"
prompt = "r{word}>"
levels = [3, 4, 5]
level_parameters = ["min_word_len", "max_word_len"]
held_out_from = 5
[warmup]
steps = 0
"""


def case(folder: Path) -> tuple[int, str]:
    recipe, run = folder / "nowarm.toml", folder / "run"
    recipe.write_text(RECIPE)
    done = evolvent("run", "--recipe", recipe, "--dir", run, "--budget", "3s", seconds=45)
    if done.one_sentence or done.code == 0:
        return HOLDS, f"{done}"
    log = run / "logs" / "trainer.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    deaths = text.count("Traceback (most recent call last)")
    reasons = [line.strip(" |") for line in text.splitlines() if "Error: " in line]
    return FAULT, f"within 45 s: {done}; {deaths} deaths in trainer.log: {reasons[-1:]}"


if __name__ == "__main__":
    run_case(case)
