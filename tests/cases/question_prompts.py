"""A reasoning_gym recipe without `prompt` (the whole question is asked) and the default model,
whose alphabet lacks capitals and spaces: a traceback instead of a sentence."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, evolvent, run_case

RECIPE = """
description = "whole questions"
[domain]
type = "reasoning_gym"
dataset = "basic_arithmetic"
levels = [2, 3]
warmup_levels = [2]
level_parameters = ["min_terms", "max_terms"]
[warmup]
steps = 5
"""


def case(folder: Path) -> tuple[int, str]:
    recipe = folder / "questions.toml"
    recipe.write_text(RECIPE)
    done = evolvent("seed", "--recipe", recipe, "--dir", folder / "run", seconds=90)
    if done.code == 0 or done.one_sentence:
        return HOLDS, f"{done}"
    return FAULT, f"{done}, a traceback: {'Traceback' in done.err}"


if __name__ == "__main__":
    run_case(case)
