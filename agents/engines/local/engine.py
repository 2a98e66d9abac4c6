"""Serves transformers models in this process: many callers, one compute
thread, static batches. Knows no task and no bus.

    generate -> queue --a moment to gather--> batches by length --compute thread--> completions
    swap     -> check and load beside (another thread) -> the served version is replaced
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from agents.engines.engine import (
    Completion,
    Heard,
    Prompt,
    Request,
    Swap,
    Unservable,
    fitted,
)
from agents.engines.local.batch import Batch
from agents.engines.local.cutting import Room, cut
from agents.engines.local.device import free_memory, is_out_of_memory
from agents.engines.local.exact import load
from agents.engines.local.likelihood import logprobs
from agents.engines.local.served import Served

_BYTES_TO_CHOOSE = 24
"""Memory that drawing a token takes for each one of the vocabulary, about."""


@dataclass(slots=True, kw_only=True)
class _Waiting:
    request: Request
    future: asyncio.Future[list[Completion]]
    heard: Heard | None = None


class LocalEngine:
    """`Engine` over a model of this process.

    `executor` is the one compute thread; several engines may share it, their batches take
    turns. `inflight` says what a swap does to rows in flight: under "wait" they finish under
    the old weights while everything later uses the new ones, so every completion has one
    version; under "keep" they go on under the new weights, their keys and values recomputed.
    A batch has at most `max_rows` rows and takes half of the memory that is free (`num_bytes`, or
    what the device has), unless one request alone asks for more.
    """

    def __init__(
        self,
        executor: ThreadPoolExecutor,
        *,
        inflight: Literal["keep", "wait"] = "wait",
        max_rows: int = 1024,
        gather_seconds: float = 0.0015,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: str | None = None,
        num_bytes: int | None = None,
    ) -> None:
        torch.set_num_threads(1)
        self._executor = executor
        self._inflight = inflight
        self._max_rows = max_rows
        self._dtype = dtype
        self._num_bytes = num_bytes
        self._gather_seconds = gather_seconds
        self._device = torch.device(device)
        self._generator = torch.Generator().manual_seed(seed)
        self._served: Served | None = None
        self._queue: list[_Waiting] = []
        self._batches: list[list[_Waiting]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Future[None] | None = None
        self._batch: Batch | None = None
        self._handover: Future[tuple[float, int]] | None = None
        self._swapping = asyncio.Lock()
        self._closed = False

    @property
    def version(self) -> int:
        return -1 if self._served is None else self._served.version

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._ready().prompting.encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._ready().prompting.decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        """See `Engine`. Raises `Unservable` for a request that no model could serve."""
        return await self.generate_telling(request, None)

    async def generate_telling(self, request: Request, heard: Heard | None) -> list[Completion]:
        """See `Tells`."""
        served = self._ready()
        request = fitted(request, served.vocab, served.max_length)
        future: asyncio.Future[list[Completion]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request=request, future=future, heard=heard))
        self._wake()
        return await future

    async def log_likelihoods(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        """See `Likelihoods`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, logprobs, self._ready(), prompt, answers
        )

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """See `Engine`. The files are read, checked and loaded while generation goes on."""
        async with self._swapping:
            before = self.version
            if self._closed or version <= before:
                return Swap(from_version=before, to_version=before)
            started = time.perf_counter()
            # transformers builds one model at a time in a process: the first one in the compute
            # thread, where a trainer builds its own.
            thread = self._executor if self._served is None else None
            served = await asyncio.get_running_loop().run_in_executor(
                thread, load, version, folder, files, self._served, self._device, self._dtype
            )
            load_ms = 1e3 * (time.perf_counter() - started)
            pause_ms, in_flight = await self._replace(served)
            return Swap(
                from_version=before,
                to_version=version,
                load_ms=load_ms,
                pause_ms=pause_ms,
                in_flight=in_flight,
            )

    async def close(self) -> None:
        """Stops after the current decode step; whoever still waits gets a `RuntimeError`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None:
            await asyncio.wait([self._running])
        left = [waiting for batch in (self._queue, *self._batches) for waiting in batch]
        self._queue, self._batches = [], []
        _fail(left, RuntimeError("the engine was closed"))

    def _ready(self) -> Served:
        if self._closed:
            raise RuntimeError("the engine was closed")
        if self._served is None:
            raise RuntimeError("the engine serves no weights yet: call swap first")
        return self._served

    async def _replace(self, served: Served) -> tuple[float, int]:
        """Serve other weights; how long generation stood still, and the rows in flight."""
        started = time.perf_counter()
        if self._inflight == "keep" and self._running is not None:
            self._handover = Future()
            self._served = served
            return await asyncio.wrap_future(self._handover)
        self._served = served
        pause_ms = 1e3 * (time.perf_counter() - started)
        return pause_ms, self._batch.num_live if self._batch is not None else 0

    def _wake(self) -> None:
        if self._running is not None or self._timer is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        if self._batches:
            self._start()
        elif self._queue:
            self._timer = loop.call_later(self._gather_seconds, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        waiting, self._queue = self._queue, []
        try:
            parts = cut([each.request for each in waiting], self._room())
        except RuntimeError as error:  # closed, or a GPU that answers no more
            _fail(waiting, error)
            return
        self._batches = [[waiting[index] for index in part] for part in parts]
        self._start()

    def _room(self) -> Room:
        """What the next batches may take: half of the memory that is free."""
        served = self._ready()
        free = self._num_bytes or free_memory(str(self._device))
        return Room(
            max_rows=self._max_rows,
            num_bytes=None if free is None else free // 2,
            per_token=served.model.num_bytes_per_token,
            per_row=_BYTES_TO_CHOOSE * served.vocab,
        )

    def _start(self) -> None:
        # One batch per turn of the compute thread: other engines on it get theirs in between.
        batch = [waiting for waiting in self._batches.pop(0) if not waiting.future.done()]
        loop = asyncio.get_running_loop()
        try:
            self._running = loop.run_in_executor(self._executor, self._decode, loop, batch)
        except RuntimeError as error:  # the executor was shut down
            _fail(batch, error)
            self._wake()
            return
        self._running.add_done_callback(lambda done: self._ended(done, batch))

    def _ended(self, done: asyncio.Future[None], waiting: list[_Waiting]) -> None:
        self._running = None
        error = done.exception() if not done.cancelled() else None
        _fail(waiting, error or RuntimeError("the engine was closed"))
        if self._handover is not None:
            # The batch ended before it saw the new weights: nothing stood still.
            if not self._handover.done():
                self._handover.set_result((0.0, 0))
            self._handover = None
        self._wake()

    def _decode(self, loop: asyncio.AbstractEventLoop, waiting: list[_Waiting]) -> None:
        """Runs in the compute thread: one batch from prompts to completions."""
        served = self._served
        if served is None or not waiting:
            return
        try:
            self._batch = Batch(served, [each.request for each in waiting], self._generator)
            self._run(self._batch, served, loop, waiting)
        except RuntimeError as error:
            # Among others the next try may find more room.
            if len(waiting) > 1 or not is_out_of_memory(error):
                raise
            raise Unservable(
                f"{waiting[0].request.n} answers of {waiting[0].request.max_tokens} tokens need "
                "more memory than there is"
            ) from error
        except ValueError as error:
            # What is wrong with a request was found before: its neighbours are not at fault.
            raise RuntimeError(f"a batch failed: {error}") from error
        finally:
            self._batch = None

    def _run(
        self,
        batch: Batch,
        served: Served,
        loop: asyncio.AbstractEventLoop,
        waiting: list[_Waiting],
    ) -> None:
        dropped: set[int] = set()
        while not self._closed:
            worth_collecting = batch.sample()
            self._tell(batch, served, loop, waiting)
            for index, each in enumerate(waiting):
                if index not in dropped and each.future.cancelled():
                    dropped.add(index)
                    batch.drop(index)
            # Nobody may wait for the last rows: then others still wait for what ended before.
            if worth_collecting or not batch.num_live:
                ended = [(waiting[index], made) for index, made in batch.collect()]
                loop.call_soon_threadsafe(_deliver, ended)
            if not batch.num_live:
                return
            current = self._served
            if self._inflight == "keep" and current is not None and current is not served:
                served = current
                self._recompute(batch, served)
            else:
                batch.forward()

    def _tell(
        self,
        batch: Batch,
        served: Served,
        loop: asyncio.AbstractEventLoop,
        waiting: list[_Waiting],
    ) -> None:
        listening = [index for index, each in enumerate(waiting) if each.heard is not None]
        if listening and batch.num_live:
            loop.call_soon_threadsafe(_hear, waiting, batch.just_drawn(listening), served.version)

    def _recompute(self, batch: Batch, served: Served) -> None:
        started = time.perf_counter()
        batch.recompute(served)
        pause_ms = 1e3 * (time.perf_counter() - started)
        if self._handover is not None and not self._handover.done():
            self._handover.set_result((pause_ms, batch.num_live))


def _hear(waiting: list[_Waiting], drawn: list[tuple[int, int, int, float]], version: int) -> None:
    for index, sample, token, logprob in drawn:
        if (heard := waiting[index].heard) is not None:
            heard(sample, (token,), (logprob,), version)


def _deliver(ended: list[tuple[_Waiting, list[Completion]]]) -> None:
    for waiting, completions in ended:
        if not waiting.future.done():
            waiting.future.set_result(completions)


def _fail(waiting: list[_Waiting], error: BaseException) -> None:
    for each in waiting:
        if not each.future.done():
            each.future.set_exception(error)
