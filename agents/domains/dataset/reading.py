"""The user's own files as rows, and what their bytes are. Knows no column and no problem.

`mine.jsonl` has one JSON object a line; `mine.parquet`, or a folder that `datasets.save_to_disk`
wrote, needs pyarrow; a folder of `.jsonl` and `.parquet` files is read in the order of their names.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 256 * 1024**2
"""Of all files of a data set together."""
MAX_ROWS = 500_000

_LINES = (".jsonl", ".ndjson", ".json")
_SAVED, _SPLITS = "state.json", "dataset_dict.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`place` says where it stands, as people count."""

    place: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What lies at a path: the bytes of each file, read once."""

    files: tuple[tuple[str, bytes], ...]

    @classmethod
    def at(cls, path: Path) -> "Data":
        """Raises `ValueError` with a sentence where there is nothing to read, or too much."""
        try:
            found = _files(path)
            if (size := sum(file.stat().st_size for file in found)) > MAX_BYTES:
                raise ValueError(
                    f"{path} has {size:,} bytes, {MAX_BYTES:,} can be read: choose a part of it"
                )
            return cls(files=tuple((file.name, file.read_bytes()) for file in found))
        except FileNotFoundError as missing:
            raise ValueError(f"{missing.filename} does not exist: name a file or folder") from None
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None

    @property
    def sha256(self) -> str:
        """Of a single file its own, as `sha256sum` says; of several that of their list."""
        sums = [(hashlib.sha256(content).hexdigest(), name) for name, content in self.files]
        if len(sums) == 1:
            return sums[0][0]
        listed = "".join(f"{own}  {name}\n" for own, name in sums)
        return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()

    def rows(self) -> Iterator[Row]:
        """Raises `ValueError` with a sentence for the first that cannot be read."""
        count = 0
        for name, content in self.files:
            for row in _rows(name, content):
                count += 1
                if count > MAX_ROWS:
                    raise ValueError(f"{name} goes beyond {MAX_ROWS:,} rows: choose a part of it")
                yield row


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / _SPLITS).exists():
        raise ValueError(
            f"{path} holds several splits: name one of its folders, such as {path / 'train'}"
        )
    if (path / _SAVED).exists():
        try:
            saved = json.loads((path / _SAVED).read_bytes())
            return [path / Path(each["filename"]).name for each in saved["_data_files"]]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path / _SAVED} does not name the files of a data set") from None
    found = sorted(file for file in path.iterdir() if file.suffix in (*_LINES, ".parquet"))
    if not found:
        raise ValueError(f"{path} has no .jsonl and no .parquet file: name another folder")
    return found


def _rows(name: str, content: bytes) -> Iterator[Row]:
    ending = Path(name).suffix
    if ending in _LINES:
        return _lines(name, content)
    if ending in (".parquet", ".arrow"):
        return _table(name, content)
    raise ValueError(f"{name} ends neither in .jsonl nor in .parquet: name a file that does")


def _lines(name: str, content: bytes) -> Iterator[Row]:
    for number, line in enumerate(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"line {number} of {name} is no JSON: mend it") from None
        if not isinstance(fields, dict):
            raise ValueError(
                f"line {number} of {name} is no JSON object: write one as "
                '{"prompt": "...", "answer": "..."} on each line'
            )
        yield Row(place=f"line {number} of {name}", fields=fields)


def _table(name: str, content: bytes) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(
            f"{name} needs pyarrow, which is not installed: run `uv pip install pyarrow`, or save "
            "the data as JSONL"
        ) from None
    source = pyarrow.BufferReader(content)
    try:
        if name.endswith(".parquet"):
            batches = pyarrow.parquet.ParquetFile(source).iter_batches()
        else:
            batches = pyarrow.ipc.open_stream(source)
        number = 0
        for batch in batches:
            for fields in batch.to_pylist():
                number += 1
                yield Row(place=f"row {number} of {name}", fields=fields)
    except pyarrow.ArrowException as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} is no whole table: {said}") from None
