"""Tokens of a run as text, by the tokenizer of its newest checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from trainer.checkpoint.manifest import checkpoint_folders

_FILE = "tokenizer.json"
_REMEMBERED = 1 << 16


class Pieces:
    """Of the run in a folder. Without its tokenizer, or the library for it, nothing is known."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lock = Lock()
        self._tokenizer: Any = None
        self._known: dict[int, str] = {}

    def of(self, tokens: Sequence[int]) -> list[str] | None:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(self._run)
            if self._tokenizer is None:
                return None
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            return [self._known.get(one) or self._decoded(one) for one in tokens]

    def _decoded(self, token: int) -> str:
        text = str(self._tokenizer.decode([token], skip_special_tokens=False))
        self._known[token] = text
        return text


def _tokenizer(run: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        return None
    for folder in reversed(list(checkpoint_folders(run))):
        if (folder / _FILE).exists():
            try:
                return Tokenizer.from_file(str(folder / _FILE))
            except Exception:
                return None
    return None
