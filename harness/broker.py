"""Real brokers for measurements and tests, at ports that nobody else uses. Knows no run."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import SystemRandom

from evolvent.broker.broker import Broker

_PORTS = range(12_000, 32_000)
"""Below those that a system gives to whoever connects, which are taken again within seconds."""


def free_port(count: int = 2) -> int:
    """A port that is free together with those after it, `count` in all."""
    while True:
        port = SystemRandom().choice(_PORTS)
        with ExitStack() as probes, suppress(OSError):
            for more in range(count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port + more))
            return port


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The address of a broker whose data lie in `folder`; both end with the block."""
    started = Broker(folder / "broker", free_port())
    try:
        started.start()
        yield started.address
    finally:
        started.kill()
        started.wipe()
