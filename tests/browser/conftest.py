"""One Chromium for all tests of the dashboard, which run in the thread that drives it, and the real
server on runs of every kind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser

from evolvent.opened.example import unpack
from tests.browser.chromium import browser
from tests.browser.hostile import hostile
from tests.browser.living import Living
from tests.browser.served import Served
from tests.browser.visitor import Visitor
from tests.conftest import FORMER


@pytest.fixture(scope="session")
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "chromium") as executor:
        yield executor


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that visits pages runs in the thread of the browser."""
    executor = pyfuncitem.funcargs.get("thread")
    if not isinstance(executor, ThreadPoolExecutor):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    executor.submit(pyfuncitem.obj, **arguments).result()
    return True


@pytest.fixture(scope="session")
def chromium(thread: ThreadPoolExecutor) -> Iterator[Browser]:
    with browser(thread) as started:
        yield started


@pytest.fixture
def visit(chromium: Browser, thread: ThreadPoolExecutor) -> Iterator[Visitor]:
    """Opens pages; no page may have asked another host, failed, or been refused by its policy."""
    visitor = Visitor(chromium)
    yield visitor
    thread.submit(visitor.leave).result()
    assert not visitor.faults


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run with known numbers, which is called `example`, and one called `hostile`."""
    folder = tmp_path_factory.mktemp("runs")
    unpack(FORMER, folder / "example")
    said = list(hostile())
    Living(folder / "hostile", said).tell(len(said))
    runs = [str(folder / name) for name in ("example", "hostile")]
    served = Served(folder / "printed.txt", *runs)
    served.read()
    yield served
    served.stop()


@pytest.fixture
def living(tmp_path_factory: pytest.TempPathFactory) -> Living:
    """A run called `living` that a test tells on."""
    return Living(tmp_path_factory.mktemp("runs") / "living")


@pytest.fixture
def live(living: Living) -> Iterator[Served]:
    """The dashboard of it."""
    served = Served(living.folder.with_suffix(".txt"), str(living.folder))
    yield served
    served.stop()
