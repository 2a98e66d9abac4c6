"""What a user can mend: one sentence that says what is wrong and what to do, exit code 2."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

_OF_A_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)

_CERTAIN = (ImportError, SyntaxError, LookupError, TypeError, ValueError, AttributeError)
"""What the same call would meet again: not memory, files or the network."""

_MAX_CHARACTERS = 500


class UsageError(Exception):
    """The user's input, files or machine are at fault, and no record that was handled."""

    # Nothing is imported for it: whether `bus` is ours is not known yet when this is read.
    is_outage = True


@contextmanager
def certain(what: str) -> Iterator[None]:
    """For what is done before any work is taken, and alike at every start: an error that would come
    again says so. Raises `UsageError`."""
    try:
        yield
    except _CERTAIN as error:
        raise UsageError(f"{what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What was wrong, in one line: the kind of error and its own words."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_MAX_CHARACTERS]


def disk_sentence(error: BaseException) -> str | None:
    """What a full or unwritable disk asks of the user; None for any other error."""
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        what = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
    elif "No space left on device" in str(error):
        # Libraries in other languages raise errors of their own.
        what = "No space left on device"
    else:
        return None
    return f"{what}: free some space or make it writable, then start again; nothing was lost"


def name_sentence(error: BaseException) -> str | None:
    """What a path that no disk can have asks of the user; None for any other error."""
    if isinstance(error, OSError) and error.errno in _OF_A_NAME:
        return f"{error.strerror} ({str(error.filename)[:60]}): name another file or folder"
    return None


def needs_archive(error: ModuleNotFoundError) -> UsageError:
    """What whoever lacks a library of archives is to do."""
    return UsageError(
        f"an archive needs the extra `archive` ({error}): install it with uv sync --extra archive"
    )
