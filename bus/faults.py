"""Places where a test may kill the process. Off unless EVOLVENT_FAULTS names a folder."""

import os
import signal
from pathlib import Path


def fault_point(name: str) -> None:
    """Kill this process here, at once, if a test has armed `name`; each arming kills once."""
    folder = os.environ.get("EVOLVENT_FAULTS")
    if not folder:
        return
    try:
        (Path(folder) / name).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
