"""What is measured of a device: a step of the learner, rollouts of the engine, and how far both are
from the CPU. Knows no run.
"""

import asyncio
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch

from agents.engines.engine import Request
from agents.engines.local.engine import LocalEngine
from trainer.alphabet import FULL
from trainer.config import LearnerConfig, ModelConfig, OptimizerConfig
from trainer.forward import score
from trainer.gradient import Gradient
from trainer.optimizer import Optimizer, trainable
from trainer.rows import Row
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.updates.grpo import Grpo, GrpoConfig

PEAK_FLOPS = {"H100": 494e12, "H200": 494e12, "A100": 156e12}
"""Products of 32 bits by tensor cores (TF32), without sparsity, as the makers say."""

MODELS = {
    "small": ModelConfig(max_positions=128),
    "middle": ModelConfig(
        hidden=576, intermediate=1536, layers=30, heads=9, head_dim=64, max_positions=1024
    ),
    "large": ModelConfig(
        hidden=1024, intermediate=4096, layers=32, heads=16, head_dim=64, max_positions=1024
    ),
}
QUICK = {
    name: ModelConfig(
        hidden=16 * size, intermediate=24 * size, layers=size, heads=size, head_dim=16,
        max_positions=128,
    )
    for size, name in enumerate(MODELS, 1)
}  # fmt: skip
_ROUNDS = 5


def rows_of(count: int, length: int) -> list[Row]:
    """Rows of random tokens, half of each a prompt, with the advantages of a group."""
    random, half = Random(0), length // 2
    return [
        Row(
            prompt=tuple(random.choices(range(2, FULL), k=half)),
            completion=tuple(random.choices(range(2, FULL), k=length - half)),
            logprobs=(-5.0,) * (length - half),
            weight=1.0 if index % 2 else -1.0,
        )
        for index in range(count)
    ]


def agreement(device: torch.device) -> dict[str, float]:
    """How far the device is from the CPU: of a gradient, against its norm; and of the
    log-probabilities that an engine there says, against the learner's on the CPU."""
    config, rows, update = MODELS["small"], rows_of(32, 48), Grpo(GrpoConfig())
    found = []
    for place in (torch.device("cpu"), device):
        model = make_model(config, 1).to(place)
        Gradient(model, LearnerConfig(micro_batch_tokens=256)).add(rows, update)
        found.append(
            [
                parameter.grad.cpu()
                for parameter in trainable(model).values()
                if parameter.grad is not None
            ]
        )
    norm = sum(float(each.norm()) ** 2 for each in found[0]) ** 0.5
    apart = sum(float((a - b).norm()) ** 2 for a, b in zip(*found, strict=True)) ** 0.5
    return {"gradient": apart / norm, "engine": asyncio.run(_engine_apart(config, device))}


async def _engine_apart(config: ModelConfig, device: torch.device) -> float:
    model = make_model(config, 1)
    async with Serving(model, device) as engine:
        prompt = tuple(range(5, 16))
        asked = Request(prompt_tokens=prompt, n=64, max_tokens=40, temperature=0.8, seed=1)
        made = await engine.generate(asked)
    rows = [
        Row(prompt=prompt, completion=each.tokens, logprobs=each.logprobs, temperature=0.8)
        for each in made
    ]
    with torch.no_grad():
        scored = score(model, rows)
    return float(((scored.logprobs_BT - scored.behaviour_BT) * scored.mask_BT).abs().max())


def steps(config: ModelConfig, device: torch.device, quick: bool) -> dict[str, Any]:
    """A whole optimiser step of GRPO: tokens a second, memory, and the share of what the device
    could compute that was of use (6 operations per parameter and token)."""
    rows = rows_of(32 if quick else 256, 64 if quick else 512)
    model, update = make_model(config, 1).to(device), Grpo(GrpoConfig())
    optimizer, gradient = Optimizer(model, OptimizerConfig()), Gradient(model)
    taken = []
    for _ in range(2 if quick else _ROUNDS):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        taken.append(_seconds(device, lambda: (gradient.add(rows, update), optimizer.step())))
    num_tokens = sum(len(row.prompt) + len(row.completion) for row in rows)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = median(taken[1:])
    return {
        "parameters": num_parameters,
        "tokens_per_second": round(num_tokens / seconds),
        "micro_batch_tokens": gradient.tokens,
        "peak_gib": _peak_gib(device),
        "flop_share": _share(6 * num_parameters * num_tokens / seconds, device),
    }


def rollouts(config: ModelConfig, device: torch.device, quick: bool) -> dict[str, Any]:
    """Tokens a second by rows side by side, and what a swap takes."""
    return asyncio.run(_rollouts(config, device, quick))


async def _rollouts(config: ModelConfig, device: torch.device, quick: bool) -> dict[str, Any]:
    model, figures = make_model(config, 1), dict[str, Any]()
    # It never ends an answer: every row makes as many tokens.
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    async with Serving(model, device, versions=2) as engine:
        for num_rows in (512, 4096, 16_384):
            asked = [
                Request(prompt_tokens=(index % 200 + 3,) * 11, n=8, max_tokens=2 if quick else 32)
                for index in range((64 if quick else num_rows) // 8)
            ]
            started = time.perf_counter()
            made = await asyncio.gather(*map(engine.generate, asked))
            seconds = time.perf_counter() - started
            tokens = sum(len(each.tokens) for group in made for each in group)
            figures[f"tokens_per_second_{num_rows}"] = round(tokens / seconds)
        figures["swap_load_ms"] = round(engine.swap_load_ms, 1)
    return figures


class Serving:
    """An engine that serves a model on a device, after `versions` swaps."""

    def __init__(self, model: Any, device: torch.device, versions: int = 1) -> None:
        self._model, self._device, self._versions = model, device, versions
        self._root = tempfile.TemporaryDirectory()
        self._executor = ThreadPoolExecutor(1)
        self.swap_load_ms = 0.0

    async def __aenter__(self) -> "Serving":
        folder = Path(self._root.name) / "model"
        files = save_model(self._model, make_tokenizer(FULL), folder)
        self._engine = LocalEngine(self._executor, device=self._device, max_rows=16_384)
        for version in range(self._versions):
            swap = await self._engine.swap(version, folder, files)
            self.swap_load_ms = swap.load_ms
        return self

    async def generate(self, request: Request) -> Any:
        return await self._engine.generate(request)

    async def __aexit__(self, *_: object) -> None:
        await self._engine.close()
        self._executor.shutdown()
        self._root.cleanup()


def _seconds(device: torch.device, work: Any) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _peak_gib(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2)


def _share(flops: float, device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    peak = next((peak for card, peak in PEAK_FLOPS.items() if card in name), None)
    return None if peak is None else round(flops / peak, 4)
