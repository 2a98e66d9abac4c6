"""Whether a checkpoint's files are the ones that were published. Knows no model: the bytes
that were hashed are the bytes handed on, so nothing can change in between.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from agents.engines.engine import SwapRefused


def read_verified(
    folder: Path, files: Mapping[str, str], wanted: Collection[str] = ()
) -> dict[str, bytes]:
    """Check every file of `files` (name to sha256) in `folder`; the contents of the `wanted`.

    Names are relative and stay in the folder; links are refused, also to folders within.
    Raises `SwapRefused`.
    """
    contents: dict[str, bytes] = {}
    for name, expected in files.items():
        keep = name in wanted
        digest, content = _read(_locate(folder, name), keep)
        if digest != expected.lower():
            raise SwapRefused(
                f"{name} in {folder} has sha256 {digest[:12]}…, not {expected[:12]}… as "
                "published: the file was changed or damaged, restore it"
            )
        if keep:
            contents[name] = content
    return contents


def read_json(name: str, content: bytes | str) -> dict[str, Any]:
    """The JSON object of a file `name`. Raises `SwapRefused`."""
    try:
        read = json.loads(content)
    except ValueError as error:
        raise SwapRefused(f"{name} is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise SwapRefused(f"{name} is not a JSON object")
    return read


def _locate(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if not relative.parts or relative.is_absolute() or "\\" in name or ".." in relative.parts:
        raise SwapRefused(f"{name!r} is not a name of a file inside {folder}")
    path = folder
    for part in relative.parts:
        path = path / part
        if path.is_symlink():
            raise SwapRefused(f"{name} in {folder} is a symbolic link: copy the file instead")
    return path


def _read(path: Path, keep: bool) -> tuple[str, bytes]:
    try:
        with path.open("rb") as file:
            content = file.read() if keep else b""
            digest = hashlib.sha256(content) if keep else hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise SwapRefused(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest(), content
