"""Weights & Biases, as its own variables say: WANDB_MODE=offline writes files in the folder `wandb`
of the curves alone, which `wandb sync` sends later.
"""

import json
from pathlib import Path

import wandb

from observability.exporters.scalars import Kind, Step

_FILE = "wandb.json"
"""What was written last, by kind: files that wait to be sent cannot be asked."""


class Wandb:
    def __init__(self, folder: Path, project: str, name: str) -> None:
        self._file = folder / _FILE
        self._newest = self._read()
        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True, disable_git=True)
        self._run = wandb.init(
            project=project, id=name, name=name, dir=folder, resume="allow", settings=quiet
        )
        self._run.define_metric("version", hidden=True)
        self._run.define_metric("*", step_metric="version")

    def newest(self) -> dict[Kind, int]:
        return dict(self._newest)

    def write(self, step: Step) -> None:
        self._run.log({**step.values, "version": step.version})
        self._newest[step.kind] = step.version
        aside = self._file.with_suffix(".aside")
        aside.write_text(json.dumps(self._newest), encoding="utf-8")
        aside.replace(self._file)

    def close(self) -> None:
        self._run.finish()

    def _read(self) -> dict[Kind, int]:
        try:
            return dict(json.loads(self._file.read_bytes()))
        except (OSError, ValueError):
            return {}
