"""Which servers of a run say that they are there: a note for each in RUN/servers, while it lives.
Who reads one asks the server itself before believing it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_FOLDER = "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    url: str
    policy: str


@contextmanager
def noted(run: Path, url: str, policy: str) -> Iterator[None]:
    """Say so while the context lasts. A folder that cannot be written holds up no server."""
    folder = run / _FOLDER
    note = folder / f"{os.getpid()}.json"
    aside = note.with_suffix(".aside")
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        aside.write_text(json.dumps({"url": url, "policy": policy}), encoding="utf-8")
        aside.rename(note)
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
            folder.rmdir()


def notes(run: Path) -> list[Note]:
    """What stands there, also of servers that were killed."""
    found = []
    for path in sorted((run / _FOLDER).glob("*.json")):
        try:
            said = json.loads(path.read_bytes())
            found.append(Note(url=str(said["url"]), policy=str(said["policy"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
