"""Version 0 alone: the trainer of a run, stopped as soon as the seed model is published."""

import asyncio
from collections.abc import Callable

from bus.control import Switch
from bus.events import Weights
from evolvent.ask.ask import find_weights
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.roles import Row, services
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from trainer.checkpoint.recovery import highest_epoch


class _Shown(LogVoice):
    """Progress goes to who watches."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def progress(self, phase: str, done: int, total: int) -> None:
        self._show(f"{phase} {done}/{total}")


async def make_version_0(folder: RunFolder, recipe: Recipe, show: Callable[[str], None]) -> Weights:
    """Make and publish the seed model unless the run has one; the event of version 0."""
    row = maker(recipe)
    stop = asyncio.Event()
    stop.set()
    async with opened(folder, recipe, show) as bus:
        place = Workplace(folder.path, folder.run_id, recipe, bus, _Shown(show))
        start = await asyncio.to_thread(row.open, place)
        above = highest_epoch(folder.path)
        async with await asyncio.to_thread(
            bus.subscribe, row.topics, row.name, row.name, exclusive=True, above=above
        ) as subscription:
            await start(subscription, Switch()).run(stop)
        await place.close()
        return await asyncio.to_thread(find_weights, bus.log, 0)


def maker(recipe: Recipe) -> Row:
    """The service that makes version 0; raises `UsageError` where the recipe leaves it out."""
    row = next((row for row in services(recipe).values() if row.leads), None)
    if row is None:
        raise UsageError("this recipe leaves out the trainer, which makes version 0")
    return row
