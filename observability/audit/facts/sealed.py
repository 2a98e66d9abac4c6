"""A text in a file with its sha256: whole or not at all, and nobody reads a damaged one."""

import hashlib
import json
import os
from pathlib import Path


def write(body: str, file: Path) -> None:
    """Raises `OSError`."""
    text = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "snapshot": body})
    aside = file.with_name(f"{file.name}.{os.getpid()}.aside")
    try:
        with aside.open("w", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def read(file: Path) -> str:
    """Raises `OSError`, and `ValueError` for any other file."""
    try:
        found = json.loads(file.read_bytes())
        body, digest = str(found["snapshot"]), found["sha256"]
    except (LookupError, TypeError, RecursionError):
        raise ValueError("another file") from None
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        raise ValueError("another sha256")
    return body
