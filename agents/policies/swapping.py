"""The span of a swap, a trace of its own that is linked to the publication of its version. Uses
OpenTelemetry's API alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Link

from agents.engines.engine import Swap
from bus.events import Weights
from bus.meter import seconds
from bus.tracing.attributes import (
    POLICY,
    SWAP_FROM,
    SWAP_IN_FLIGHT,
    SWAP_LOAD,
    SWAP_PAUSE,
    WEIGHTS_VERSION,
)
from bus.tracing.context import TRACER, sender

_PAUSE = seconds("evolvent.swap.pause")


@contextmanager
def swapping(weights: Weights, policy: str) -> Iterator[Callable[[Swap], None]]:
    """Around the swap of one engine to a version; what is yielded hears what it did."""
    link = Link(sender(weights.correlation, weights.id))
    attributes: dict[str, str | int] = {WEIGHTS_VERSION: weights.number, POLICY: policy}
    with TRACER.start_as_current_span(
        "swap weights", context=Context(), attributes=attributes, links=(link,)
    ) as span:

        def swapped(swap: Swap) -> None:
            _PAUSE.record(swap.pause_ms / 1e3, {"run": weights.run, "policy": policy})
            span.set_attributes(
                {
                    SWAP_FROM: swap.from_version,
                    SWAP_LOAD: swap.load_ms,
                    SWAP_PAUSE: swap.pause_ms,
                    SWAP_IN_FLIGHT: swap.in_flight,
                }
            )

        yield swapped
