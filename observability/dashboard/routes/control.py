"""What an operator may say to the roles of a run, as events on its log."""

from typing import Any

from observability.dashboard.asked import Wrong
from observability.dashboard.routing import Ask, Route

COMMANDS = ("pause", "resume", "stop", "objective")


async def control(ask: Ask) -> dict[str, Any]:
    command, role = ask.body.get("command"), ask.body.get("role")
    settings = ask.body.get("settings") or []
    if command not in COMMANDS:
        raise Wrong(400, f"command: there is {', '.join(COMMANDS)}")
    if role is not None and not isinstance(role, str):
        raise Wrong(400, "role: send the name of a role, or null for all")
    if not isinstance(settings, list) or not all(type(one) is str for one in settings):
        raise Wrong(400, "settings: send a list of texts such as advance_at=0.5")
    if (command == "objective") != bool(settings):
        raise Wrong(400, "settings go with the command objective, and it needs some")
    return dict(await ask.run.source.tell(command, role, settings))


ROUTES = (
    Route(
        path="/runs/{run}/control",
        about="Pause, resume or stop roles, or let the source ask by other settings.",
        send=control,
        method="POST",
        body={"command": ", ".join(COMMANDS), "role": "a role, null for all", "settings": "list"},
    ),
)
