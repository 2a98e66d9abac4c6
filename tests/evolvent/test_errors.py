"""Which errors of the disk become a sentence for the user."""

import errno

import pytest
from safetensors import SafetensorError

from evolvent.errors import disk_sentence


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_is_full_or_closed_is_the_users_to_mend(number: int) -> None:
    said = disk_sentence(OSError(number, "it is so", "/runs/words/checkpoints"))
    assert said is not None and "it is so (/runs/words/checkpoints): free some space" in said


def test_a_full_disk_is_recognised_behind_a_librarys_own_error() -> None:
    error = SafetensorError("Error while serializing: I/O error: No space left on device (28)")
    said = disk_sentence(error)
    assert said is not None and said.startswith("No space left on device: free some space")


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), ValueError("no space"), FileNotFoundError("gone")]
)
def test_any_other_error_is_not(error: Exception) -> None:
    assert disk_sentence(error) is None
