"""Kills random processes of a live run at random moments, then has the run audited: nothing may
be lost or learned from twice, and it must go on learning.

    python benchmarks/kills.py [--kills 200] [--seconds 3600] [--seed 3] [--quick]

Every role is a process of its own. Some die by `kill -9` (a few at once, sometimes the supervisor,
while they serve or while they start), some at a fault point between two steps of a commit. Only
processes that this program started are killed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.patient import COUNTS, DAMAGE, SETTINGS, Harm, Patient
from harness.runs import audit, read_scores, say, show
from harness.shown import exit_code
from harness.tormentor import Tormentor


def measure(folder: Path, kills: int, seconds: float, seed: int) -> dict[str, Any]:
    """Torment a run in `folder`, audit it; the figures."""
    started = time.monotonic()

    async def whole() -> Harm:
        words = [word for setting in SETTINGS for word in ("--set", setting)]
        patient = Patient(folder, ["--recipe", "strings", *words])
        try:
            await Tormentor(patient, Random(seed)).torment(kills, seconds)
        finally:
            patient.end()
        return patient.harm

    harm = asyncio.run(whole())
    audited = audit(folder)
    for violation in audited["violations"][:20]:
        say(f"{violation['code']} {violation['sentence']}")
    counts = audited["counts"]
    held_out = read_scores(folder)
    return {
        "kills": harm.total,
        **{name: counts[name] for name in COUNTS},
        "held_out_start": round(held_out[0].mean, 4),
        "held_out_end": round(held_out[-1].mean, 4),
        "recovery_seconds": harm.recovery_seconds(),
        "start_seconds": harm.start_seconds(),
        "beyond_start_seconds": harm.beyond_start_seconds(),
        "seconds": round(time.monotonic() - started, 1),
        "killed_by": dict(sorted(harm.kills.items())),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of killing, at most")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="5 kills")
    parser.add_argument("--dir", type=Path, help="keep the run here [default: a temporary folder]")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.kills = min(arguments.kills, 5)
    with tempfile.TemporaryDirectory(prefix="evolvent-kills-") as temporary:
        folder = arguments.dir or Path(temporary) / "run"
        figures = measure(folder, arguments.kills, arguments.seconds, arguments.seed)
    show(figures)
    figures["learned"] = figures["held_out_end"] > figures["held_out_start"]
    return exit_code(figures, {"kills": arguments.kills, "learned": True}, DAMAGE)


if __name__ == "__main__":
    sys.exit(main())
