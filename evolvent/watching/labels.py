"""Tags and a note of a run, kept in a file of its folder: RUN/labels.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from observability.dashboard.source import Refused

_FILE = "labels.json"
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 20, 60, 4000


def read(run: Path) -> dict[str, Any]:
    """Without any where there are none, or nobody can read them."""
    try:
        said = json.loads((run / _FILE).read_bytes())
        return {"tags": [_text(tag) for tag in said["tags"]], "note": _text(said["note"])}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {"tags": [], "note": ""}


def write(run: Path, tags: Sequence[str] | None, note: str | None) -> None:
    """Change one or both; None leaves it as it is. Raises `Refused`."""
    said = read(run)
    if tags is not None:
        said["tags"] = list(dict.fromkeys(_text(tag).strip() for tag in tags if tag.strip()))
    if note is not None:
        said["note"] = _text(note).strip()
    if len(said["tags"]) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in said["tags"]):
        raise Refused(f"a run has at most {MOST_TAGS} tags of {LONGEST_TAG} characters")
    if len(said["note"]) > LONGEST_NOTE:
        raise Refused(f"a note has at most {LONGEST_NOTE:,} characters")
    aside = run / f".labels.{uuid4().hex}.json"
    try:
        aside.write_text(json.dumps(said), encoding="utf-8")
        aside.rename(run / _FILE)
    except OSError as error:
        raise Refused(f"{run} cannot be written: {error.strerror}") from None


def _text(said: object) -> str:
    """Without halves of characters, which JSON can hold and no answer can."""
    return str(said).encode("utf-8", "replace").decode()
