"""CPU-seconds that commands and roles cost before they do anything, against those of the imports
that they cannot do without, measured in the same run.

    python benchmarks/startup.py [--quick]

A role is started as `evolvent agent` and told to stop once it serves. What needs torch may cost at
most 1.5 times the imports, all else 2 CPU-seconds; each figure is the least of `--repeat` tries.
The last line is one JSON object; the exit code is 1 where a bar is missed. `--quick` tries once.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer

MOST_OF_IMPORTS, MOST_SECONDS = 1.5, 2.0
LIMIT_SECONDS = 300.0
EVOLVENT = str(Path(sys.executable).with_name("evolvent"))
NEEDED = (
    "import torch; from transformers import AutoModelForCausalLM; "
    "from transformers.models.smollm3.modeling_smollm3 import SmolLM3ForCausalLM"
)
LIGHT = {
    "help": ["--help"],
    "version": ["--version"],
    "recipes": ["recipes"],
    "topics": ["topics"],
    "status": ["status", "RUN"],
    "curve": ["curve", "RUN"],
    "audit": ["audit", "RUN"],
    "pause": ["pause", "RUN", "solver"],
    "resume": ["resume", "RUN", "solver"],
}
HEAVY = {"ask": ["ask", "RUN", "canroyer"]}
LIGHT_ROLES, HEAVY_ROLES = ("proposer", "critic"), ("solver", "evaluator", "trainer")
TINY = ("warmup.steps=2", "trainer.size=2", "solver.samples=2", "evaluator.count=4")


def main() -> int:
    parser = argparse.ArgumentParser(description="What it costs to start.")
    parser.add_argument("--quick", action="store_true", help="try each once")
    parser.add_argument("--repeat", type=int, default=3, help="tries of each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder) / "run", 1 if options.quick else options.repeat)
    missed = bars_missed(figures)
    for sentence in missed:
        print(sentence)
    print(json.dumps(figures | {"missed": len(missed)}))
    return 1 if missed else 0


def measure(run: Path, tries: int) -> dict[str, float]:
    """CPU-seconds by command and role, and of the imports."""
    settings = [word for setting in TINY for word in ("--set", setting)]
    of_command([EVOLVENT, "run", "--dir", str(run), "--budget", "1s", *settings])

    def least(cost: Callable[[Sequence[str]], float], command: Sequence[str]) -> float:
        found = min(cost(command) for _ in range(tries))
        print(f"{found:6.2f}  {' '.join(command[1:])[:80]}", flush=True)
        return round(found, 3)

    figures = {"imports": least(of_command, [sys.executable, "-c", NEEDED])}
    for name, words in (LIGHT | HEAVY).items():
        command = [EVOLVENT, *(str(run) if word == "RUN" else word for word in words)]
        figures[name] = least(of_command, command)
    for role in (*LIGHT_ROLES, *HEAVY_ROLES):
        figures[role] = least(of_role, [EVOLVENT, "agent", role, "--dir", str(run)])
    return figures


def of_command(command: Sequence[str]) -> float:
    """Raises `SystemExit` if it fails."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return _ended(process, command)


def of_role(command: Sequence[str]) -> float:
    """From its start until it serves and has ended in order."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    late = Timer(LIMIT_SECONDS, process.kill)
    late.start()
    said = []
    for line in process.stderr:
        said.append(line)
        if " serving " in f" {line}":
            break
    else:
        raise SystemExit(f"{' '.join(command)} never served:\n{''.join(said)[-2000:]}")
    late.cancel()
    process.send_signal(signal.SIGTERM)
    return _ended(process, command)


def _ended(process: "subprocess.Popen[str]", command: Sequence[str]) -> float:
    late = Timer(LIMIT_SECONDS, process.kill)
    late.start()
    said = process.stderr.read() if process.stderr is not None else ""
    _, status, used = os.wait4(process.pid, 0)
    late.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stderr is not None:
        process.stderr.close()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said[-2000:]}")
    return used.ru_utime + used.ru_stime


def bars_missed(figures: dict[str, float]) -> list[str]:
    """A sentence for every figure that is over its bar."""
    imports = figures["imports"]
    bars = dict.fromkeys((*LIGHT, *LIGHT_ROLES), MOST_SECONDS)
    bars |= dict.fromkeys((*HEAVY, *HEAVY_ROLES), MOST_OF_IMPORTS * imports)
    return [
        f"{name} takes {figures[name]:.2f} CPU-seconds, the bar is {bar:.2f}"
        for name, bar in bars.items()
        if figures[name] > bar
    ]


if __name__ == "__main__":
    sys.exit(main())
