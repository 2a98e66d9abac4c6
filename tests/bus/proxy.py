"""The network between one client and a broker, in a thread of its own: it can be cut, so that
nothing passes and nobody is told, its connections can be reset, and it heals. Knows no Kafka.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Self

CHUNK = 1 << 16


class Proxy:
    """Listens at `port` of this machine and connects to `target`. Use it as a context."""

    def __init__(self, port: int, target: int) -> None:
        self._port, self._target = port, target
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy")

    def cut(self) -> None:
        """What is sent from now on is held back, on new connections too."""
        self._within(self._whole.clear)

    def heal(self) -> None:
        """What was held back arrives."""
        self._within(self._whole.set)

    def reset(self) -> None:
        """Every connection is broken, and what was held back is lost."""
        self._within(self._break)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._within(self._done.set)
        self._thread.join(10)

    def _within(self, act: Callable[[], None]) -> None:
        async def acting() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()
        server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._ready.set_result(None)
        await self._done.wait()
        server.close()
        self._break()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
