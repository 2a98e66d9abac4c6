"""What is known of a run once its events were said."""

import asyncio
from collections.abc import Sequence

from bus.events import Event
from bus.memory.bus import MemoryBus
from observability.progress.progress import Progress


def progress_of(events: Sequence[Event], groups: Sequence[str] | None = None) -> Progress:
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    progress = Progress(bus.log, groups)
    progress.refresh()
    return progress
