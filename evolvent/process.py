"""How a process of roles writes its log and how it ends, so that whoever watches it knows what to
do. Knows no role.
"""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from agents.engines.engine import EngineUnusable, SwapRefused
from bus.errors import BusError, Fenced, Unreachable
from evolvent.errors import UsageError, disk_sentence
from evolvent.voice import Voice
from trainer.checkpoint.manifest import DamagedCheckpoint

_FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"
_OURS = ("evolvent", "bus")

_log = logging.getLogger(__name__)


class Expired(Exception):
    """This process was silent for so long that others have its work: it must start again."""


def log_to_stderr(*others: logging.Handler) -> None:
    """What this process and its bus do, with the time; warnings of everything else."""
    logging.basicConfig(format=_FORMAT)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
        for handler in others:
            logging.getLogger(name).addHandler(handler)


def log_to_file(path: Path) -> None:
    """The same for a process whose terminal shows other things."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT))
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False


def exit_code(serving: Coroutine[Any, Any, None], voice: Voice) -> int:
    """0 when stopped, 2 with a sentence when a restart would not help, 1 when one does. Anything
    else is a crash: the traceback goes to the log, and whoever watches starts it again."""
    try:
        asyncio.run(serving)
    except BaseException as error:
        cause = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, Expired | Unreachable):
            _log.warning("%s Starting again.", cause)
            return 1
        sentence = _sentence(cause)
        if sentence is None:
            raise
        voice.failed(sentence)
        return 2
    return 0


def _sentence(error: BaseException) -> str | None:
    """What a person can do about it; None for a crash that a restart may mend."""
    if isinstance(error, Fenced):
        return "another process has taken over: a run has one trainer, and one process of each name"
    if isinstance(error, UsageError | BusError | DamagedCheckpoint | EngineUnusable | SwapRefused):
        return str(error)
    return disk_sentence(error)
