"""A recipe that allows answers longer than the model reads: the agents die of every task. The run
shows restarts, ends with exit code 0, and tells nobody why nothing was learned."""

import json
import sys
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, command, evolvent, run_case

# The command line, which waits less for an evaluation that never comes (twice a minute otherwise).
PROGRAM = """
from evolvent.cli import main
from evolvent.run import start
start._LAST_EVALUATION_SECONDS = 3.0
raise SystemExit(main())
"""
RECIPE = """
description = "numbers of one base in another"
[domain]
type = "reasoning_gym"
dataset = "base_conversion"
prompt = "{source_base}:{source_repr}:{target_base}>"
levels = [1, 2, 3]
warmup_levels = [1, 2]
difficulty.1 = { max_value = 9 }
difficulty.2 = { max_value = 99 }
difficulty.3 = { max_value = 999 }
held_out_from = 3
max_answer_tokens = 512
[model]
max_positions = 128
[warmup]
steps = 20
"""


def case(folder: Path) -> tuple[int, str]:
    # As PROGRAM names it: were it called otherwise, the run would wait longer than the case.
    from evolvent.run.start import _LAST_EVALUATION_SECONDS

    assert _LAST_EVALUATION_SECONDS > 3
    recipe, run = folder / "bases.toml", folder / "run"
    recipe.write_text(RECIPE)
    words = ["run", "--recipe", recipe, "--dir", run, "--budget", "10s"]
    done = command(sys.executable, "-c", PROGRAM, *words, seconds=150)
    if done.one_sentence:
        return HOLDS, f"refused: {done}"
    logs = "".join(path.read_text(errors="replace") for path in (run / "logs").glob("*.log"))
    reasons = [line.strip(" |") for line in logs.splitlines() if "Error: " in line]
    told = reasons and any(reason.partition(": ")[2] in done.out + done.err for reason in reasons)
    if done.code not in (0, None) and told:
        return HOLDS, f"ends with its reason: {done}"
    if not reasons and done.code == 0:
        if not json.loads(evolvent("status", run, "--json").out)["counts"]["attempts"]:
            raise NotTried("nothing died, but no task was attempted either: a busy machine?")
        return HOLDS, "nothing died"
    return FAULT, f"{done}; {len(reasons)} deaths, in the logs alone: {reasons[-1:]}"


if __name__ == "__main__":
    run_case(case, seconds=178)
