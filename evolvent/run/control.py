"""What an operator says to the roles of a run: a `Control` event on its log. Knows no role."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bus.control import ALL, objective_on
from bus.events import Control, derive_id
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe
from evolvent.roles import names_in
from evolvent.run.folder import RunFolder

AGENT = "operator"


async def tell(folder: RunFolder, command: str, role: str | None) -> Control:
    """Pause, resume or stop a role, None meaning all of them. Raises `UsageError`."""
    names = names_in(folder.settings)
    if role is not None and role not in names:
        raise UsageError(f"there is no role {role} in {folder.path}: there are {', '.join(names)}")
    return await _publish(folder, command, role or ALL, {})


async def new_objective(folder: RunFolder, settings: Sequence[str]) -> Control:
    """Change settings of the source, over those that were changed before. Raises `UsageError` for
    what it could not be built with."""
    recipe = folder.recipe()
    for setting in settings:
        field, equals, _ = setting.partition("=")
        if not field or not equals:
            raise UsageError(f"{setting}: write it as field=value, for example advance_at=0.5")
        if field == "type":
            raise UsageError("a run keeps its source: only the settings of it may be changed")
    async with folder.log() as bus:
        before = await asyncio.to_thread(objective_on, bus.log)
    source = type(recipe.source).model_validate({**recipe.source.model_dump(), **before})
    changed = changed_recipe(
        recipe.model_copy(update={"source": source}), [f"source.{one}" for one in settings]
    ).source.model_dump(mode="json")
    own = recipe.source.model_dump(mode="json")
    wanted = {name: value for name, value in changed.items() if value != own[name]}
    return await _publish(folder, "objective", "proposer", wanted)


async def _publish(folder: RunFolder, command: str, role: str, settings: dict[str, Any]) -> Control:
    async with folder.log(writable=True) as bus:
        place = (await asyncio.to_thread(bus.log.heads))[Control.topic, 0]
        told = Control.model_validate(
            {
                "id": derive_id(folder.run_id, AGENT, f"{command}/{role}", place),
                "run": folder.run_id,
                "agent": AGENT,
                "command": command,
                "role": role,
                "settings": settings,
            }
        )
        await bus.publish([told])
    return told
