"""What a user can mend: one sentence that says what is wrong and what to do, exit code 2."""

import errno

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

_OF_A_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)


class UsageError(Exception):
    """The user's input, files or machine are at fault."""


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
