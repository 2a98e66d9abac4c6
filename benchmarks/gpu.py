"""What a GPU is worth, and whether all that runs on a CPU runs there: one script for a machine that
is at hand for ten minutes. Without a GPU it measures the CPU and says so.

    tests with a GPU -> gradients and samples against the CPU -> step -> rollouts and swap -> a run

Every figure is printed as soon as it is known, so that what was measured outlives a machine that is
taken away; with `--out` also written there. The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

# Run as a script, a neighbour would hide the package of its name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.engines.local.device import device_of
from benchmarks._gpu import MODELS, QUICK, agreement, rollouts, steps
from harness.runs import ROOT, read_scores, read_versions, run, say
from harness.shown import exit_code

TESTS = ("tests/trainer/test_devices.py", "tests/agents/engines/local")


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def tests_failed() -> int:
    """Tests of learner and engine that do not pass; those for a GPU are among them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = (done.stdout.strip().splitlines() or ["nothing was said"])[-1]
    say(f"tests: {last}")
    words = last.split()
    return (
        int(words[words.index("failed,") - 1]) if "failed," in words else int(bool(done.returncode))
    )


def whole_run(folder: Path, device: str, seconds: int) -> dict[str, Any]:
    """The recipe `strings` with engine and learner on `device`."""
    places = [f"learner.device={device}", f"engine.device={device}", "evaluator.every=10"]
    settings = [word for place in places for word in ("--set", place)]
    run(
        folder, "--recipe", "strings", "--budget", f"{seconds}s", *settings,
        timeout_seconds=seconds + 600,
    )  # fmt: skip
    versions, scores = read_versions(folder), read_scores(folder)
    return {
        "versions_per_minute": round(60 * (len(versions) - 1) / seconds, 1),
        "tokens_per_second": round(
            sum(version.metrics.get("tokens", 0.0) for version in versions) / seconds
        ),
        "held_out": round(scores[-1].mean, 3) if scores else None,
    }


def measure(quick: bool, device: torch.device, out: Path | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"device": name_of(device), "torch": torch.__version__}

    def known(name: str, value: Any) -> None:
        figures[name] = value
        say(f"{name}: {json.dumps(value)}")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "gpu.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")

    known("tests_failed", tests_failed())
    models = QUICK if quick else MODELS
    known("agreement", agreement(device))
    for name, config in models.items():
        known(f"step {name}", steps(config, device, quick))
    for name, config in models.items():
        known(f"rollouts {name}", rollouts(config, device, quick))
    with tempfile.TemporaryDirectory() as root:
        seconds = 10 if quick else 60
        for place in dict.fromkeys(("cpu", device.type)):
            said = whole_run(Path(root) / place, place, seconds)
            known(f"run {'device' if place == device.type else 'cpu'}", said)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small models, a run of 10 s")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--out", type=Path, help="a folder for the figures as they come")
    arguments = parser.parse_args()
    disable_progress_bar()
    torch.set_num_threads(1)
    figures = measure(arguments.quick, device_of(arguments.device), arguments.out)
    figures.setdefault("run cpu", figures["run device"])
    apart = figures["agreement"]
    figures["exact"] = apart["gradient"] < 2e-2 and apart["engine"] < 1e-3
    code = exit_code(figures, {"exact": True}, ("tests_failed",))
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    sys.exit(main())
