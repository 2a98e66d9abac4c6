"""Real brokers for measurements and tests, at ports that nobody else uses. Knows no run."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from evolvent.broker.broker import Broker


def free_port(count: int = 2) -> int:
    """A port that is free together with those after it, `count` in all."""
    while True:
        with ExitStack() as probes:
            first = probes.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for more in range(1, count):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port + more))
            except (OSError, OverflowError):
                continue
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
