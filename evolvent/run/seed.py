"""Version 0 alone: the trainer of a run, stopped as soon as the seed model is published."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bus.events import Weights
from evolvent.ask import find_weights
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened
from trainer.trainer import GROUP, TOPICS


async def make_version_0(folder: RunFolder, recipe: Recipe, show: Callable[[str], None]) -> Weights:
    """Make and publish the seed model unless the run has one; the event of version 0."""
    from evolvent.learning import build_trainer

    stop = asyncio.Event()
    stop.set()
    async with opened(folder, recipe) as bus:
        subscription = bus.subscribe(list(TOPICS), GROUP, GROUP, exclusive=True)
        with ThreadPoolExecutor(1) as executor:
            async with subscription:
                trainer = build_trainer(
                    folder,
                    recipe,
                    bus,
                    subscription,
                    executor,
                    lambda phase, done, total: show(f"{phase} {done}/{total}"),
                )
                await trainer.run(stop)
        return find_weights(bus, 0)
