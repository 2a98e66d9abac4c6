"""vLLM inside this process: its loop takes turns on the process's one compute thread. Knows no
version; a swap happens between two steps, so nothing is paused.

    generate -> commands --compute thread--> add_request, step, step, … -> futures
"""

import asyncio
import gc
import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents.engines.vllm.runtime import Prompt

_STEPS_PER_TURN = 8
"""Then other engines of the compute thread get their turn."""


class VllmThread:
    """`VllmRuntime` over vLLM's `LLMEngine`."""

    def __init__(self, executor: ThreadPoolExecutor, arguments: dict[str, Any]) -> None:
        self._executor = executor
        self._engine = _start(arguments)
        self._commands: deque[Callable[[], None]] = deque()
        self._futures: dict[str, asyncio.Future[Any]] = {}
        self._turn: asyncio.Future[None] | None = None
        self._closed = False
        self.max_length = int(self._engine.model_config.max_model_len)

    async def generate(
        self, name: str, prompt: Prompt, params: Any, trace: Mapping[str, str] | None = None
    ) -> Any:
        """vLLM's `RequestOutput` of one request, all samples."""
        loop = asyncio.get_running_loop()
        future = self._futures[name] = loop.create_future()

        def add() -> None:
            try:
                self._engine.add_request(
                    name, {"prompt_token_ids": list(prompt)}, params, trace_headers=trace
                )
            except Exception as error:  # whatever vLLM finds wrong with it is its caller's
                loop.call_soon_threadsafe(_settle, future, None, error)

        self._command(add)
        try:
            return await future
        except asyncio.CancelledError:
            self._command(lambda: self._engine.abort_request([name]))
            raise
        finally:
            self._futures.pop(name, None)

    async def abort(self, names: list[str]) -> None:
        """End requests now: their `generate` returns what has been made of them."""
        loop = asyncio.get_running_loop()
        made: list[Any] = []

        def abort() -> None:
            # vLLM makes the last output of an aborted request only where a queue waits for it.
            for state in self._engine.output_processor.request_states.values():
                if state.external_req_id in names:
                    state.queue = _Made(made)
            self._engine.abort_request(names)
            loop.call_soon_threadsafe(self._deliver, made)

        await self._call(abort)

    async def verify(self, folder: Path, files: Mapping[str, str]) -> str:
        digests = json.dumps(dict(files))
        said = await self._call(lambda: self._rpc("evolvent_verify", str(folder), digests))
        return str(said)

    async def swap(self, folder: Path, files: Mapping[str, str], label: str) -> float:
        def swap() -> float:
            started = time.perf_counter()
            update = {"path": str(folder), "sha256": dict(files)}
            self._rpc("start_weight_update")
            self._rpc("update_weights", update)
            self._rpc("finish_weight_update")
            self._engine.reset_prefix_cache(reset_running_requests=True)
            self._engine.set_weight_version(label)
            return 1e3 * (time.perf_counter() - started)

        return float(await self._call(swap))

    async def close(self) -> None:
        """Stops after the current step; whoever still waits gets a `RuntimeError`."""
        self._closed = True
        if self._turn is not None:
            await asyncio.wait([self._turn])
        self._fail(RuntimeError("the engine was closed"))
        # Its own shutdown would tear down what other engines of this process stand on.
        self._engine.engine_core._finalizer.detach()
        gc.unfreeze()

    def _rpc(self, method: str, *args: Any) -> Any:
        return self._engine.collective_rpc(method, args=args)[0]

    async def _call(self, work: Callable[[], Any]) -> Any:
        """Run `work` between two steps; its result."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        name = f"call-{id(future)}"
        self._futures[name] = future

        def call() -> None:
            try:
                result, error = work(), None
            except Exception as raised:  # handed to whoever called
                result, error = None, raised
            loop.call_soon_threadsafe(_settle, future, result, error)

        self._command(call)
        try:
            return await future
        finally:
            self._futures.pop(name, None)

    def _command(self, command: Callable[[], None]) -> None:
        if self._closed:
            self._fail(RuntimeError("the engine was closed"))
            return
        self._commands.append(command)
        if self._turn is None:
            self._take_turn()

    def _take_turn(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._turn = loop.run_in_executor(self._executor, self._work, loop)
        except RuntimeError as error:  # the executor was shut down
            self._fail(error)
            return
        self._turn.add_done_callback(self._turned)

    def _turned(self, done: asyncio.Future[None]) -> None:
        self._turn = None
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._closed = True
            self._fail(RuntimeError(f"vLLM failed: {error}"))
        elif not self._closed and (self._commands or self._engine.has_unfinished_requests()):
            self._take_turn()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the compute thread: commands and some steps."""
        for _ in range(_STEPS_PER_TURN):
            while self._commands:
                self._commands.popleft()()
            if self._closed or not self._engine.has_unfinished_requests():
                return
            if outputs := self._engine.step():
                loop.call_soon_threadsafe(self._deliver, outputs)

    def _deliver(self, outputs: list[Any]) -> None:
        for output in outputs:
            if (future := self._futures.get(output.request_id)) is not None:
                _settle(future, output, None)

    def _fail(self, error: BaseException) -> None:
        for future in self._futures.values():
            _settle(future, None, error)


class _Made:
    """Takes the last outputs of aborted requests."""

    def __init__(self, outputs: list[Any]) -> None:
        self._outputs = outputs

    def put(self, output: Any) -> None:
        self._outputs.append(output)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _start(arguments: dict[str, Any]) -> Any:
    import numpy
    import torch
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
    # vLLM seeds every generator of the process with a constant: ids drawn from them would be
    # the same in every run.
    random.seed()
    numpy.random.seed()
    torch.manual_seed(arguments["seed"])
    return engine
