"""What a GPU is worth, and whether all that runs on a CPU runs there: one script of at most eight
minutes for a machine without a network. Without a GPU it measures the CPU and says so.

    python benchmarks/gpu.py --carry DIR     here: what to bring along, in parts, and how
    python benchmarks/gpu.py --out DIR       there

    gradients and samples against the CPU -> step -> rollouts and swap -> words -> chat-sums
        -> sit-large -> tests with a GPU

Every figure is printed as soon as it is known, so that what was measured outlives a machine that is
taken away; with `--out` also written there. What the time does not allow is left out, and said. The
last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

# Run as a script, a neighbour would hide the package of its name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.engines.local.device import device_of
from benchmarks._carry import carry
from benchmarks._gpu import MODELS, QUICK, agreement, rollouts, steps
from evolvent.errors import UsageError
from evolvent.given.smollm2 import write_smollm2
from harness.runs import ROOT, read_scores, read_versions, run, say
from harness.shown import exit_code

TESTS = ("tests/trainer/test_devices.py", "tests/agents/engines/local")
SECONDS = 480

Part = tuple[str, float, Callable[[float], Any]]
"""A figure's name, the least seconds that it is worth beginning with, and what makes it of the
seconds that are left."""


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def tests_failed(left: float) -> int:
    """Tests of learner and engine that do not pass; those for a GPU are among them."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=left,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        say("tests: not done in time")
        return 1
    last = (done.stdout.strip().splitlines() or ["nothing was said"])[-1]
    say(f"tests: {last}")
    words = last.split()
    return (
        int(words[words.index("failed,") - 1]) if "failed," in words else int(bool(done.returncode))
    )


def whole_run(
    recipe: str, folder: Path, device: str, most: int, settings: tuple[str, ...], left: float
) -> dict[str, Any]:
    """A recipe with engine and learner on `device`, for at most `most` seconds of evolution and
    half of what is `left`."""
    seconds = max(2, min(most, round(left / 2)))
    places = (f"learner.device={device}", f"engine.device={device}", *settings)
    chosen = [word for place in places for word in ("--set", place)]
    run(
        folder / recipe, "--recipe", recipe, "--budget", f"{seconds}s", *chosen,
        timeout_seconds=seconds + 600,
    )  # fmt: skip
    versions, scores = read_versions(folder / recipe), read_scores(folder / recipe)
    return {
        "seconds": seconds,
        "warmup_seconds": round(versions[0].metrics["warmup_seconds"], 1),
        "versions_per_minute": round(60 * (len(versions) - 1) / seconds, 1),
        "tokens_per_second": round(
            sum(version.metrics.get("tokens", 0.0) for version in versions) / seconds
        ),
        "held_out": [round(score.mean, 3) for score in scores],
    }


def chat_sums(
    model: Path | None, folder: Path, device: str, quick: bool, left: float
) -> dict[str, Any]:
    """The recipe of a pre-trained model, in its GPU form where there is one; `model` is made unless
    it is given."""
    begun = time.monotonic()
    if model is None:
        model = folder / "smollm2"
        write_smollm2(model)
    said = [f"model.path={model}"]
    if quick:
        said += ["warmup.steps=1", "trainer.size=2", "evaluator.count=2", "domain.levels=[1,2]"]
    recipe = "chat-sums-gpu" if device.startswith("cuda") else "chat-sums"
    left -= time.monotonic() - begun
    return whole_run(recipe, folder, device, 2 if quick else 150, tuple(said), left)


def parts(device: torch.device, quick: bool, folder: Path, model: Path | None) -> Iterator[Part]:
    """In the order of what they are worth."""
    place = str(device)
    little = ("warmup.steps=5", "warmup.batch=8", "trainer.size=8", "loss.steps=2") if quick else ()
    fewer = ("warmup.steps=500", "trainer.size=2000", "loss.steps=50")
    if quick:
        rows = ("loss.fresh_rows=8", "loss.replay_rows=8", "loss.warmup_rows=8")
        fewer = (*little, *rows, "learner.replay_capacity=50", "evaluator.count=2")
    models = QUICK if quick else MODELS
    yield "agreement", 10, partial(_untimed, agreement, device)
    for name, config in models.items():
        yield f"step {name}", 20, partial(_untimed, steps, config, device, quick)
    for name, config in models.items():
        yield f"rollouts {name}", 20, partial(_untimed, rollouts, config, device, quick)
    most = 2 if quick else 45
    yield "run words", 60, partial(whole_run, "words", folder, place, most, little)
    yield "run chat-sums", 120, partial(chat_sums, model, folder, place, quick)
    most = 2 if quick else 60
    yield "run sit-large", 60, partial(whole_run, "sit-large", folder, place, most, fewer)
    yield "tests_failed", 45, tests_failed


def _untimed(make: Callable[..., Any], *asked: Any) -> Any:
    """What takes seconds looks at no time; the last of `asked` is what is left of it."""
    return make(*asked[:-1])


def measure(
    quick: bool, device: torch.device, out: Path | None, seconds: float, model: Path | None
) -> dict[str, Any]:
    figures: dict[str, Any] = {"device": name_of(device), "torch": torch.__version__}
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as root:
        for name, least, make in parts(device, quick, Path(root), model):
            if (left := deadline - time.monotonic()) < least:
                value = "left out: no time"
            else:
                try:
                    value = make(left)
                except (SystemExit, UsageError, RuntimeError) as error:
                    # What is next is worth as much as before.
                    value = f"failed: {error}"
            figures[name] = value
            say(f"{name}: {json.dumps(value)}")
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / "gpu.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models, runs of seconds")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--out", type=Path, help="a folder for the figures as they come")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long all may take")
    parser.add_argument("--model", type=Path, help="the folder of evolvent model smollm2")
    parser.add_argument("--carry", type=Path, metavar="DIR", help="write what to bring along")
    arguments = parser.parse_args()
    if arguments.carry is not None:
        return carry(arguments.carry)
    disable_progress_bar()
    torch.set_num_threads(1)
    figures = measure(
        arguments.quick,
        device_of(arguments.device),
        arguments.out,
        arguments.seconds,
        arguments.model,
    )
    apart = figures["agreement"]
    figures["exact"] = apart["gradient"] < 2e-2 and apart["engine"] < 1e-3
    figures["failed"] = sum(str(each).startswith("failed:") for each in figures.values())
    zeros = [name for name in ("tests_failed", "failed") if isinstance(figures[name], int)]
    code = exit_code(figures, {"exact": True}, zeros)
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    sys.exit(main())
