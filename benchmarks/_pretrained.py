"""A pre-trained model on this machine: `local`, with products of 32 and of 16 bits, against
transformers' `generate` and, where it is installed, vLLM on 64 different questions; then versions
that are adapters: what it takes to load one, to draw with it, and to merge it instead.
"""

import asyncio
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from agents.engines.checkpoint.adapter import ADAPTER, read_adapter, with_adapter
from agents.engines.config import VllmConfig
from agents.engines.engine import Engine, Request
from agents.engines.local.engine import LocalEngine
from trainer.config import LoraConfig
from trainer.lora import with_adapter as learned

ROWS, NEW, RANK, SWAPS = 64, 16, 16, 5
Checkpoint = tuple[Path, dict[str, str]]


def checkpoint_of(folder: Path, aside: Path) -> Checkpoint:
    """The model with an adapter beside it, as a learner publishes one."""
    model = learned(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(rank=RANK), 0)
    for name, value in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=1e-3)
    for path in folder.iterdir():
        os.link(path, aside / path.name)
    model.save_pretrained(str(aside / "adapter"))
    return aside, listed(folder) | {name: _sha256(aside / name) for name in ADAPTER}


def listed(folder: Path) -> dict[str, str]:
    """The sha256 of every file."""
    return {path.name: _sha256(path) for path in folder.iterdir()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def requests_of(engine: LocalEngine) -> list[Request]:
    prompts = [f"What is {number} plus {97 - number}?" for number in range(ROWS)]
    return [Request(prompt_tokens=engine.encode(each), max_tokens=NEW) for each in prompts]


class Generate:
    """transformers' own way, its batch padded on the left."""

    def __init__(self, folder: Path, requests: list[Request]) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(folder)
        self._pad = AutoTokenizer.from_pretrained(folder).pad_token_id or 0
        width = max(len(request.prompt_tokens) for request in requests)
        rows = [list(request.prompt_tokens) for request in requests]
        self._ids = torch.tensor([[self._pad] * (width - len(row)) + row for row in rows])
        lengths = torch.tensor([[len(row)] for row in rows])
        self._mask = (torch.arange(width) >= width - lengths).long()

    def run(self) -> int:
        settings: dict[str, Any] = {"max_new_tokens": NEW, "do_sample": True, "top_k": 0}
        with torch.inference_mode():
            made = self._model.generate(
                self._ids, attention_mask=self._mask, pad_token_id=self._pad, **settings
            )
        return int((made[:, self._ids.shape[1] :] != self._pad).sum())


async def _tokens(engine: Engine, requests: list[Request]) -> int:
    made = await asyncio.gather(*map(engine.generate, requests))
    return sum(len(one.tokens) for group in made for one in group)


async def measure_pretrained(folder: Path, root: Path, rounds: int) -> dict[str, Any]:
    files, adapted = listed(folder), checkpoint_of(folder, root)
    with ThreadPoolExecutor(max_workers=1) as executor:
        local = LocalEngine(executor)
        engines: dict[str, Engine] = {
            "local": local,
            "local_bfloat16": LocalEngine(executor, dtype="bfloat16"),
        }
        if find_spec("vllm") is not None:
            engines["vllm"] = VllmConfig(cache_megabytes=1024).build(executor, seed=0)
        for engine in engines.values():
            await engine.swap(0, folder, files)
        requests = requests_of(local)
        generate = Generate(folder, requests)
        speed: dict[str, list[float]] = {name: [] for name in (*engines, "generate")}
        for _ in range(rounds + 1):
            for name, engine in engines.items():
                started = time.perf_counter()
                made = await _tokens(engine, requests)
                speed[name].append(made / (time.perf_counter() - started))
            started = time.perf_counter()
            speed["generate"].append(generate.run() / (time.perf_counter() - started))
        del generate
        figures = await _swaps(local, requests, adapted)
        for engine in engines.values():
            await engine.close()

    def ratio(peer: str) -> float:
        by_round = zip(speed["local"][1:], speed[peer][1:], strict=True)
        return round(median(ours / theirs for ours, theirs in by_round), 2)

    return {
        "tokens_per_second": {name: round(median(each[1:]), 1) for name, each in speed.items()},
        **{f"ratio_to_{peer}": ratio(peer) for peer in ("generate", "vllm") if peer in speed},
        **figures,
        "merge_ms": round(_merging(adapted)),
    }


async def _swaps(
    engine: LocalEngine, requests: list[Request], adapted: Checkpoint
) -> dict[str, float]:
    """Versions that are adapters, swapped in while all requests are in flight."""
    plain = await _timed(engine, requests)
    await engine.swap(1, *adapted)
    before = psutil.Process().memory_info().rss
    loads, pauses, lost = [], [], 0
    for version in range(2, 2 + SWAPS):
        drawing = asyncio.gather(*map(engine.generate, requests))
        await asyncio.sleep(0.2)
        report = await engine.swap(version, *adapted)
        loads.append(report.load_ms)
        pauses.append(report.pause_ms)
        lost += sum(len(group) != 1 for group in await drawing)
    grown = psutil.Process().memory_info().rss - before
    with_one = await _timed(engine, requests)
    return {
        "swap_load_ms": round(median(loads), 1),
        "swap_pause_ms": round(max(pauses), 3),
        "megabytes_per_version": round(grown / SWAPS / 2**20, 1),
        "speed_with_adapter": round(with_one / plain, 2),
        "lost": lost,
    }


async def _timed(engine: LocalEngine, requests: list[Request]) -> float:
    started = time.perf_counter()
    return await _tokens(engine, requests) / (time.perf_counter() - started)


def _merging(adapted: Checkpoint) -> float:
    """Milliseconds to merge the adapter into the weights it stands on."""
    folder, _ = adapted
    tensors = load_file(folder / "model.safetensors")
    adapter = read_adapter({name: (folder / name).read_bytes() for name in ADAPTER})
    started = time.perf_counter()
    with_adapter(tensors, adapter)
    return 1e3 * (time.perf_counter() - started)
