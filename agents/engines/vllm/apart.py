"""vLLM in a process of its own, spoken to by its `AsyncLLM`: for GPUs, where this process's work
must not hold up the next step. Knows no version; a swap pauses and resumes.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.engines.vllm.runtime import Prompt

_LOOK_SECONDS = 1.0


class VllmApart:
    """`VllmRuntime` over vLLM's `AsyncLLM`."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        self.max_length = int(self._engine.model_config.max_model_len)

    async def generate(
        self, name: str, prompt: Prompt, params: Any, trace: Mapping[str, str] | None = None
    ) -> Any:
        """vLLM's `RequestOutput` of one request, all samples."""
        last = None
        outputs = self._engine.generate(
            {"prompt_token_ids": list(prompt)}, params, name, trace_headers=trace
        )
        with _in_plain_errors():
            async for output in outputs:
                last = output
        return last

    async def abort(self, names: list[str]) -> None:
        """End requests now: their `generate` returns what has been made of them."""
        await self._engine.abort(names)

    async def verify(self, folder: Path, files: Mapping[str, str]) -> str:
        said = await self._alive(
            self._engine.collective_rpc(
                "evolvent_verify", args=(str(folder), json.dumps(dict(files)))
            )
        )
        return next((str(refused) for refused in said if refused), "")

    async def swap(self, folder: Path, files: Mapping[str, str], label: str) -> float:
        from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

        started = time.perf_counter()
        update = {"path": str(folder), "sha256": dict(files)}
        engine, alive = self._engine, self._alive
        await alive(engine.pause_generation(mode="keep", clear_cache=True))
        # If this raises the weights may be half replaced: it stays paused and the process ends.
        await alive(engine.start_weight_update())
        await alive(engine.update_weights(WeightTransferUpdateRequest(update_info=update)))
        await alive(engine.finish_weight_update(label))
        await alive(engine.resume_generation())
        return 1e3 * (time.perf_counter() - started)

    async def _alive(self, call: Coroutine[Any, Any, Any]) -> Any:
        """What a call to vLLM's process says. vLLM itself waits for ever if that has died; then
        raises RuntimeError."""
        asked = asyncio.ensure_future(call)
        try:
            while not (await asyncio.wait([asked], timeout=_LOOK_SECONDS))[0]:
                if self._engine.errored:
                    raise RuntimeError("vLLM's process ended")
            with _in_plain_errors():
                return asked.result()
        finally:
            asked.cancel()

    async def close(self) -> None:
        self._engine.shutdown()


@contextmanager
def _in_plain_errors() -> Iterator[None]:
    """vLLM's own errors, which derive from none of these: ValueError where the request is at fault,
    RuntimeError where the engine is."""
    from vllm.exceptions import VLLMClientError, VLLMServerError

    try:
        yield
    except VLLMClientError as error:
        raise ValueError(str(error)) from error
    except VLLMServerError as error:
        raise RuntimeError(str(error)) from error
