"""Brings vLLM up with a first checkpoint and has it say one word, so that whatever it cannot serve
shows before anyone asks. Knows no version.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from agents.engines.engine import Request, SwapRefused
from agents.engines.vllm.apart import VllmApart
from agents.engines.vllm.engine import Start
from agents.engines.vllm.runtime import VllmRuntime
from agents.engines.vllm.setup import (
    arguments,
    check_device,
    check_traces,
    on_cpu,
    params,
    unusable,
)
from agents.engines.vllm.thread import VllmThread

if TYPE_CHECKING:
    from agents.engines.config import VllmConfig


def starter(config: "VllmConfig", executor: ThreadPoolExecutor, seed: int) -> Start:
    """What starts vLLM as `config` says. It raises `EngineUnusable` with what to do."""

    async def start(folder: Path) -> VllmRuntime:
        await asyncio.to_thread(check_device)
        await asyncio.to_thread(check_traces)
        apart = config.apart if config.apart is not None else not on_cpu()
        try:
            runtime: VllmRuntime
            settings = await asyncio.to_thread(arguments, folder, config, seed)
            if apart:
                runtime = await asyncio.to_thread(VllmApart, settings)
            else:
                loop = asyncio.get_running_loop()
                runtime = await loop.run_in_executor(executor, VllmThread, executor, settings)
            word = Request(prompt_tokens=(0,), max_tokens=1)
            await runtime.generate("first-word", word.prompt_tokens, params(word, ()))
        except SwapRefused:
            raise
        except Exception as error:  # vLLM raises whatever its parts raise
            raise unusable(error, folder) from error
        return runtime

    return start
