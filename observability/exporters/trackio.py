"""trackio's data base, where trackio itself has it (TRACKIO_DIR), or the server that its own
variables name."""

from datetime import UTC, datetime

import trackio
from trackio.sqlite_storage import SQLiteStorage

from observability.exporters.scalars import Kind, Step

_KINDS: tuple[Kind, ...] = ("train", "eval")


class Trackio:
    def __init__(self, project: str, name: str) -> None:
        self._project, self._name = project, name
        self._newest = self._read()
        self._run = trackio.init(
            project, name, resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )

    def newest(self) -> dict[Kind, int]:
        return self._newest

    def write(self, step: Step) -> None:
        said = datetime.fromtimestamp(step.at, UTC).isoformat()
        self._run.log({**step.values, "said_at": said}, step=step.version)

    def close(self) -> None:
        self._run.finish()  # type: ignore[no-untyped-call]

    def _read(self) -> dict[Kind, int]:
        """Of what is on this machine."""
        found: dict[Kind, int] = {}
        for row in SQLiteStorage.get_logs(self._project, self._name):
            for kind in _KINDS:
                if any(name.startswith(f"{kind}/") for name in row):
                    found[kind] = max(row["step"], found.get(kind, -1))
        return found
