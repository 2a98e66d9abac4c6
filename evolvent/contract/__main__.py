"""`python -m evolvent.contract KIND FILE.py`: hold the parts of a plug-in to the contract of their
kind. Exit 0 when all is kept, 1 when not, 2 when it cannot be tried."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from evolvent.contract.contract import tried
from evolvent.errors import UsageError
from evolvent.plugins import Part, installed, name_files
from evolvent.recipe.kinds import KINDS
from evolvent.recipe.load import set_fields

_SIGNS = {True: "kept", False: "BROKEN", None: "does not apply"}


def main(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.")],
    file: Annotated[Path, typer.Argument(help="The plug-in.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the part: field=value.")
    ] = None,
) -> None:
    """Hold the parts of a plug-in to the contract of their kind."""
    try:
        parts = _parts(kind, file)
        configs = [_configured(part, settings or []) for part in parts]
        kept = all([asyncio.run(_shown(kind, config)) for config in configs])
    except UsageError as error:
        print(f"evolvent: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if kept else 1)


def _parts(kind: str, file: Path) -> list[Part]:
    if kind not in KINDS:
        raise UsageError(f"there is no kind {kind}: there are {', '.join(KINDS)}")
    name_files([file])
    parts = [part for part in installed().parts(kind) if part.name == file.name]
    if not parts:
        raise UsageError(f"{file} has no {kind}: its table PARTS names none")
    return parts


def _configured(part: Part, settings: list[str]) -> Any:
    try:
        return part.config.model_validate(set_fields({}, settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(piece) for piece in first["loc"])
        raise UsageError(
            f"the {part.kind} {part.named} cannot be tried as it is ({place}: {first['msg']}): "
            "say it with --set field=value"
        ) from None


async def _shown(kind: str, config: Any) -> bool:
    """Whether all is kept, told line by line."""
    broken = 0
    async for outcome in tried(kind, config):
        broken += outcome.kept is False
        said = f": {outcome.why}" if outcome.why else ""
        print(f"{_SIGNS[outcome.kept]:>14}  {outcome.promise}{said}", flush=True)
    print(f"{kind} {config.type}: {f'{broken} broken' if broken else 'all kept'}")
    return not broken


if __name__ == "__main__":
    typer.run(main)
