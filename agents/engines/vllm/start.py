"""Brings vLLM up with a first checkpoint and has it say one word, so that whatever it cannot serve
shows before anyone asks. Knows no version.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agents.engines.engine import Request, SwapRefused
from agents.engines.vllm.apart import VllmApart
from agents.engines.vllm.engine import Start
from agents.engines.vllm.options import VllmOptions
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


def starter(options: VllmOptions, executor: ThreadPoolExecutor, seed: int) -> Start:
    """What starts vLLM as `options` say. It raises `EngineUnusable` with what to do."""

    async def start(folder: Path) -> VllmRuntime:
        await asyncio.to_thread(check_device)
        await asyncio.to_thread(check_traces)
        apart = options.apart if options.apart is not None else not on_cpu()
        try:
            runtime: VllmRuntime
            settings = await asyncio.to_thread(arguments, folder, options, seed)
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
