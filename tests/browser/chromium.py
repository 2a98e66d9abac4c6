"""The distribution's Chromium, driven from a thread of its own: Playwright's loop is not to be that
of other tests. Downloads nothing."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TypeVar

from playwright.sync_api import Browser, expect, sync_playwright

VARIABLE = "EVOLVENT_CHROMIUM"
NAMES = ("chromium-headless-shell", "chromium")
PATIENCE_SECONDS = 20
"""How long a page may take on a machine that does much else."""

Result = TypeVar("Result")
InThread = Callable[[Callable[[], Result]], Result]


def executable() -> str:
    """Where Chromium is; raises `FileNotFoundError` with what to do."""
    named = os.environ.get(VARIABLE)
    found = named or next(filter(None, map(which, NAMES)), None)
    if found is None or not Path(found).exists():
        raise FileNotFoundError(
            f"{named or 'Chromium'} is not there: `apt-get install chromium-headless-shell`, or "
            f"name one in {VARIABLE}"
        )
    return found


@contextmanager
def browser(thread: ThreadPoolExecutor) -> Iterator[Browser]:
    """Whoever uses it does so in the same thread."""
    path = executable()
    arguments = [
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    playwright = thread.submit(lambda: sync_playwright().start()).result()
    try:
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)
        launch = playwright.chromium.launch
        started = thread.submit(lambda: launch(executable_path=path, args=arguments)).result()
        try:
            yield started
        finally:
            thread.submit(started.close).result()
    finally:
        thread.submit(playwright.stop).result()
