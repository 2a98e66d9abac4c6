"""Files that a reader never sees half-written: each is written aside and renamed."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> Path:
    """Returns `path`; raises `OSError`, and then what was there is as it was."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path
