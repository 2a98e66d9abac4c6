"""Where an archive lies: a folder of this machine, or whatever fsspec reaches. A file is there
whole and for good, or not at all. Knows no log and no Parquet.
"""

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trainer.checkpoint.files import make_folder, sync

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ASIDE = ".aside"


class ArchiveError(Exception):
    """An archive cannot be used: one sentence that says what is wrong and what to do. No record
    that was handled is at fault."""

    is_outage = True


class Place(Protocol):
    """Files by names like `tasks/0/x.parquet`. Raises `ArchiveError` where it cannot be reached."""

    def read(self, name: str) -> memoryview:
        """Raises `FileNotFoundError`."""
        ...

    def sizes(self) -> dict[str, int]:
        """How many bytes every file has, by name."""
        ...

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """A file to be filled; at the end it is there, in the place of one of that name."""
        ...

    def remove(self, name: str) -> None:
        """A file that is not there is removed already."""
        ...

    def tidy(self) -> None:
        """Remove what a writer that was killed has left unfinished; nobody else is writing."""
        ...


def place_of(location: str | Path) -> Place:
    """A path, or a URL as fsspec has them (`s3://bucket/folder`). Raises `ArchiveError`."""
    if "://" not in str(location):
        return Folder(Path(location))
    try:
        from fsspec.core import url_to_fs

        files, root = url_to_fs(str(location))
    except (ImportError, ValueError, OSError) as error:
        raise ArchiveError(
            f"{location} cannot be opened ({_said(error)}): name a folder, or s3://BUCKET/FOLDER "
            "with the extra `s3` installed"
        ) from error
    return Remote(str(location), files, root)


class Folder:
    """On a disk of this machine: written aside, flushed, renamed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def read(self, name: str) -> memoryview:
        with (self._path / name).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self._path):
            for name in names:
                path = Path(folder, name)
                # A longer file may have taken its place by now.
                with suppress(FileNotFoundError):
                    if path.parent.name != _ASIDE:
                        found[path.relative_to(self._path).as_posix()] = path.stat().st_size
        return found

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        target, aside = self._path / name, self._path / _ASIDE / name.replace("/", "-")
        make_folder(target.parent)
        make_folder(aside.parent)
        yield aside
        sync(aside)
        aside.replace(target)
        sync(target.parent)

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        shutil.rmtree(self._path / _ASIDE, ignore_errors=True)


class Remote:
    """In an object store: a file is sent whole, and there once the store has it."""

    def __init__(self, location: str, files: "AbstractFileSystem", root: str) -> None:
        self._location, self._files, self._root = location.rstrip("/"), files, root.rstrip("/")

    def __str__(self) -> str:
        return self._location

    def read(self, name: str) -> memoryview:
        with self._reaching():
            return memoryview(self._files.cat_file(f"{self._root}/{name}"))

    def sizes(self) -> dict[str, int]:
        with self._reaching(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            found = self._files.find(self._root, detail=True)
            start = len(self._root) + 1
            return {path[start:]: int(about["size"]) for path, about in found.items()}
        return {}

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="evolvent-archive-") as folder:
            path = Path(folder, "file")
            yield path
            with self._reaching():
                self._files.put_file(str(path), f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        with self._reaching(), suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}")

    def tidy(self) -> None:
        pass

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        # Every store has errors of its own, of its library's make.
        except Exception as error:
            raise ArchiveError(
                f"{self._location} cannot be reached ({_said(error)}): check its name, the network "
                "and the credentials in the environment"
            ) from error


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
