"""The network between the processes of a run and its broker: a TCP proxy in a thread of its own,
which can be cut for one process or for all. Knows no Kafka.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

_CHUNK = 1 << 16
_CLOSING_SECONDS = 0.05


@dataclass(slots=True, kw_only=True, eq=False)
class Wire:
    """One connection, from the local port `port`; nothing passes while it is not `whole`."""

    port: int
    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def sever(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.whole.set()


class Link:
    """Listens at `port` of this machine, connects to `target`. Use it as a context."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._wires: set[Wire] = set()
        self._is_cut: Callable[[int], bool] = lambda _: False
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def __enter__(self) -> "Link":
        self._thread.start()
        self._ready.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def cut(self, process: psutil.Process | None = None) -> int:
        """Between this process, or everybody, and the broker nothing passes any more, and nobody
        is told; how many connections there were."""
        return self._within(lambda: self._set_cut(process))

    def heal(self, *, late: bool = True) -> None:
        """What was held back arrives now, or its connections are broken."""
        self._within(lambda: self._heal(late))

    def _within(self, act: Callable[[], int]) -> int:
        async def acting() -> int:
            return act()

        return asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    def _set_cut(self, process: psutil.Process | None) -> int:
        self._is_cut = lambda port: process is None or port in _ports(process)
        ports = None if process is None else _ports(process)
        wires = [wire for wire in self._wires if ports is None or wire.port in ports]
        for wire in wires:
            wire.whole.clear()
        return len(wires)

    def _heal(self, late: bool) -> int:
        self._is_cut = lambda _: False
        held = [wire for wire in self._wires if not wire.whole.is_set()]
        for wire in held:
            if late:
                wire.whole.set()
            else:
                wire.sever()
        return len(held)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._carry, "127.0.0.1", self.port) as server:
            self.port = int(server.sockets[0].getsockname()[1])
            self._ready.set_result(None)
            await self._done.wait()
            while self._wires:
                for wire in self._wires:
                    wire.sever()
                await asyncio.sleep(_CLOSING_SECONDS)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        wire = Wire(port=writer.get_extra_info("peername")[1], writers=(writer, there[1]))
        if not self._is_cut(wire.port):
            wire.whole.set()
        self._wires.add(wire)
        pumps = [
            asyncio.ensure_future(_pump(reader, there[1], wire.whole)),
            asyncio.ensure_future(_pump(there[0], writer, wire.whole)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            # A process that ends behind a cut is not heard of either.
            await wire.whole.wait()
        finally:
            self._wires.discard(wire)
            for pump in pumps:
                pump.cancel()
            for one in wire.writers:
                one.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            await whole.wait()
            writer.write(data)
            await writer.drain()


def _ports(process: psutil.Process) -> set[int]:
    """The local ports of a process's connections."""
    try:
        return {one.laddr.port for one in process.net_connections("tcp") if one.laddr}
    except psutil.Error:
        return set()
