"""A run that goes on while somebody looks: what was made up is written to a real log, as much at a
time as a test asks for."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from bus.events import Event
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from tests.observability.replay.told import told
from tests.observability.story import RUN


class Living:
    """A run in `folder` of `events`, of which nothing is said yet."""

    def __init__(self, folder: Path, events: Sequence[Event] | None = None) -> None:
        self.folder = folder
        self._left = iter(told() if events is None else events)
        RunFolder(folder).create(load_recipe("words"), RUN)
        self.say([])

    def tell(self, count: int) -> list[Event]:
        """The next events, committed one by one."""
        said = list(islice(self._left, count))
        self.say(said)
        return said

    def say(self, events: Sequence[Event]) -> None:
        async def publish() -> None:
            async with RunFolder(self.folder).log(writable=True) as bus:
                for event in events:
                    await bus.publish([event])

        # Where a browser is driven from a loop runs already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(publish())).result()
