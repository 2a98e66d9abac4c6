"""Serves what vLLM serves, and swaps its weights while requests are in flight. Knows no task and
no bus, and not in which process vLLM runs.

    swap: verify -> (gate shut) -> wait | abort | keep -> load -> probe -> (gate open)
                                                            `-- failed: the old version again
    generate: gate -> vLLM -> probed? -> completions
                `------------------------ no: once more, under the version that serves
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agents.engines.checkpoint.fitting import (
    CONFIG,
    GENERATION,
    never_drawn,
    read_config,
    stop_ids,
)
from agents.engines.checkpoint.probe import Probe, failure, read_probes
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    Prompting,
    prompting_texts,
    read_prompting,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import Completion, Prompt, Request, Swap, SwapRefused, fitted
from agents.engines.stopping import stopped
from agents.engines.vllm.runtime import VllmRuntime
from agents.engines.vllm.setup import check_temperature, params, scoring
from agents.together import together
from bus.events import Span

Start = Callable[[Path], Awaitable[VllmRuntime]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What all versions share, from the first checkpoint."""

    prompting: Prompting
    stop_ids: tuple[int, ...]
    never: dict[int, float]
    vocab: int
    dtype: str


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """`n` samples on their way. `again`: their tokens are of weights that nobody may see."""

    n: int
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    again: bool = False


class VllmEngine:
    """`Engine` over a vLLM that `start` brings up with the first checkpoint.

    `inflight` says what a swap does to requests in flight: they go on under the new weights
    ("keep"), are finished first while new ones wait ("wait"), or end at once with the reason
    "abort" ("abort"). A version whose probe fails is never seen: the one before is loaded again
    and what was made meanwhile is made anew.
    """

    def __init__(self, start: Start, inflight: Literal["keep", "wait", "abort"] = "keep") -> None:
        self._start = start
        self._inflight = inflight
        self._runtime: VllmRuntime | None = None
        self._model: _Model | None = None
        self._version = -1
        self._good: tuple[Path, dict[str, str]] | None = None
        self._flights: set[_Flight] = set()
        self._landed = asyncio.Condition()
        self._gate = asyncio.Event()
        self._probed = asyncio.Event()
        self._swapping = asyncio.Lock()
        self._closed = False

    @property
    def version(self) -> int:
        return self._version

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._ready()[1].prompting.encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._ready()[1].prompting.decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        """See `Engine`. Raises `Unservable` for a request that the model could not serve."""
        runtime, model = self._ready()
        request = fitted(request, model.vocab, runtime.max_length)
        check_temperature(request)
        trace: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(trace)
        while True:
            while not self._gate.is_set():
                await self._gate.wait()
            self._ready()
            flight = _Flight(n=request.n)
            self._flights.add(flight)
            try:
                output = await runtime.generate(
                    flight.name,
                    request.prompt_tokens,
                    params(request, model.stop_ids, model.never),
                    trace,
                )
                await self._probed.wait()
            finally:
                await self._land(flight)
            if not flight.again:
                made = _completions(output, request.n)
                return [stopped(each, request.stop, self.decode) for each in made]

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """See `Engine`. The files are read and checked while generation goes on."""
        async with self._swapping:
            before = self._version
            if self._closed or version <= before:
                return Swap(from_version=before, to_version=before)
            started = time.perf_counter()
            probes = await asyncio.to_thread(read_probes, folder, files)
            if self._runtime is None:
                await self._begin(folder, files)
            runtime, _ = self._ready(serving=False)
            if refused := await runtime.verify(folder, files):
                await self._forget_a_false_start()
                raise SwapRefused(refused)
            load_ms = 1e3 * (time.perf_counter() - started)
            in_flight = sum(flight.n for flight in self._flights)
            pause_ms = await self._replace(runtime, version, folder, files, probes)
            return Swap(
                from_version=before,
                to_version=version,
                load_ms=load_ms,
                pause_ms=pause_ms,
                in_flight=in_flight,
            )

    async def close(self) -> None:
        """Whoever still waits gets a `RuntimeError`."""
        self._closed = True
        if self._runtime is not None:
            await self._runtime.close()
        self._probed.set()
        self._gate.set()

    def _ready(self, *, serving: bool = True) -> tuple[VllmRuntime, _Model]:
        if self._closed:
            raise RuntimeError("the engine was closed")
        if self._runtime is None or self._model is None or (serving and self._version < 0):
            raise RuntimeError("the engine serves no weights yet: call swap first")
        return self._runtime, self._model

    async def _begin(self, folder: Path, files: dict[str, str]) -> None:
        """Check the first checkpoint, then let vLLM read it."""
        self._model = await asyncio.to_thread(_read_model, folder, files)
        self._runtime = await self._start(folder)

    async def _forget_a_false_start(self) -> None:
        """The first checkpoint was refused: the next one decides anew what is served."""
        if self._version < 0 and self._runtime is not None:
            await self._runtime.close()
            self._runtime = self._model = None

    async def _replace(
        self,
        runtime: VllmRuntime,
        version: int,
        folder: Path,
        files: dict[str, str],
        probes: Sequence[Probe],
    ) -> float:
        """Load what was verified; how many milliseconds nothing was generated."""
        started = time.perf_counter()
        self._gate.clear()
        try:
            await self._clear_the_way(runtime)
            self._probed.clear()
            pause_ms = await runtime.swap(folder, files, str(version))
            if why := await self._failed(runtime, probes):
                await self._go_back(runtime)
                raise SwapRefused(why)
            self._version, self._good = version, (folder, dict(files))
        except BaseException as error:
            if not isinstance(error, SwapRefused) and not self._probed.is_set():
                # Which weights are loaded is unknown: nothing may be served any more.
                self._disown_flights()
                await self.close()
            raise
        finally:
            if self._version >= 0:
                self._probed.set()
                self._gate.set()
        return 1e3 * (time.perf_counter() - started) if self._inflight == "wait" else pause_ms

    async def _clear_the_way(self, runtime: VllmRuntime) -> None:
        if self._inflight == "abort":
            await runtime.abort([flight.name for flight in self._flights])
        if self._inflight != "keep":
            async with self._landed:
                await self._landed.wait_for(lambda: not self._flights)

    async def _land(self, flight: _Flight) -> None:
        self._flights.discard(flight)
        async with self._landed:
            self._landed.notify_all()

    async def _failed(self, runtime: VllmRuntime, probes: Sequence[Probe]) -> str | None:
        """Why what was loaded is not what was published; None if it is."""
        assert self._model is not None
        asked = [
            runtime.generate(f"probe-{uuid.uuid4().hex}", probe.tokens, scoring())
            for probe in probes
        ]
        for probe, output in zip(probes, await together(asked), strict=True):
            pairs = zip(output.prompt_logprobs[1:], probe.tokens[1:], strict=True)
            said = [float(entry[token].logprob) for entry, token in pairs]
            if why := failure(probe, said, self._model.dtype):
                return why
        return None

    async def _go_back(self, runtime: VllmRuntime) -> None:
        """Load the version before again; whatever is in flight is made anew."""
        if self._good is None:
            await self._forget_a_false_start()
            return
        folder, files = self._good
        if refused := await runtime.verify(folder, files):
            raise RuntimeError(f"version {self._version} cannot be loaded again: {refused}")
        self._disown_flights()
        await runtime.abort([flight.name for flight in self._flights])
        await runtime.swap(folder, files, str(self._version))

    def _disown_flights(self) -> None:
        for flight in self._flights:
            flight.again = True


def _read_model(folder: Path, files: dict[str, str]) -> _Model:
    if missing := [name for name in (CONFIG, TOKENIZER) if name not in files]:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    contents = read_verified(folder, files, (CONFIG, GENERATION, *PROMPTING))
    config = read_config(contents[CONFIG])
    prompting = read_prompting(prompting_texts(contents))
    if not isinstance(config.get("vocab_size"), int):
        raise SwapRefused(f"config.json in {folder} names no vocab_size")
    return _Model(
        prompting=prompting,
        stop_ids=stop_ids(contents, config, prompting.tokenizer),
        never=never_drawn(prompting, config["vocab_size"]),
        vocab=config["vocab_size"],
        dtype=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
    )


def _completions(output: Any, n: int) -> list[Completion]:
    """All samples of a request; a greedy one was drawn once."""
    made = [_completion(each) for each in output.outputs]
    return made if len(made) == n else made * n


def _completion(output: Any) -> Completion:
    tokens = tuple(output.token_ids)
    return Completion(
        tokens=tokens,
        # Rounding may lift the logarithm of a certainty above 0.
        logprobs=tuple(
            min(0.0, entry[token].logprob)
            for entry, token in zip(output.logprobs or (), tokens, strict=True)
        ),
        finish_reason=output.finish_reason,
        spans=tuple(
            Span(version=int(span.version), start=span.start, end=span.end)
            for span in output.weight_versions or ()
            if span.start < span.end
        ),
    )
