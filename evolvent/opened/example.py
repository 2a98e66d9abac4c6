"""`evolvent example`: a run that was recorded with the default recipe, made small, to try on
everything that looks at one. `harness/example.py` records it."""

import tarfile
from pathlib import Path

from evolvent.errors import UsageError
from evolvent.run.folder import check_name

RECORDED = Path(__file__).with_name("example.tar.xz")


def write_example(directory: Path) -> None:
    """Write the run to a new folder; raises `UsageError`."""
    check_name(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is there already: name a new folder")
    try:
        unpack(RECORDED, directory)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror}") from None


def unpack(archive: Path, directory: Path) -> None:
    """The files of a recorded run."""
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member)
            if content is not None:
                file = directory / member.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
