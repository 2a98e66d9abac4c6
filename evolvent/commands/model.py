"""`evolvent model`: a pre-trained model to begin with, without a hub."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from evolvent.commands.options import terminal
from evolvent.errors import UsageError


def model(
    name: Annotated[str, typer.Argument(help="smollm2: SmolLM2-135M-Instruct (Apache-2.0).")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")],
) -> None:
    """Write a pre-trained model as an ordinary Hugging Face folder, to be named as model.path."""
    from evolvent.given.smollm2 import NAME, write_smollm2

    if name != NAME:
        raise UsageError(f"there is no model {name}: there is {NAME}; any other is a model.path")
    with terminal().status(f"making {out}") as status:
        write_smollm2(out, lambda doing: status.update(f"making {out}: {doing}"))
    print(f"{out} holds SmolLM2-135M-Instruct. Evolve it:")
    print(f"  evolvent run --set model.path={shlex.quote(str(out))} --set lora.rank=16")
