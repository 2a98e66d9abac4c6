"""The file of an index: several processes share it, and it is only a cache."""

import asyncio
from pathlib import Path

import pytest

from bus.errors import BusError
from bus.events import Event
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from observability.dashboard.index.filling import Index, event_of
from observability.dashboard.index.store import Store
from observability.replay.observe import records
from tests.observability.replay.told import told


def a_log(path: Path, events: list[Event]) -> SqliteBus:
    bus = SqliteBus(path)
    asyncio.run(bus.publish(events))
    return bus


def fill(index: Index, log: Log) -> None:
    for record in records(log, index.ends, log.heads()):
        index.take(record, event_of(record))
    index.write()


def num_tasks(store: Store) -> int:
    [(number,)] = store.rows("SELECT count(*) FROM task")
    return int(number)


def test_an_index_that_another_has_cleared_begins_anew(tmp_path: Path) -> None:
    log, store = a_log(tmp_path / "log.sqlite", told(4)), Store(tmp_path, "run")
    index = Index(store)
    index.begin(log)
    fill(index, log)
    tasks = num_tasks(store)
    Store(tmp_path, "run").clear()
    with pytest.raises(BusError, match="begins anew"):
        index.write()
    assert not store.rows("SELECT * FROM place")
    index.begin(log)
    fill(index, log)
    assert num_tasks(store) == tasks > 0


def test_a_log_that_cannot_be_read_is_no_other_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, store = a_log(tmp_path / "log.sqlite", told(4)), Store(tmp_path, "run")
    index = Index(store)
    index.begin(log)
    fill(index, log)
    tasks = num_tasks(store)

    def away(*_: object) -> None:
        raise BusError("no broker answers")

    with monkeypatch.context() as patched, pytest.raises(BusError, match="no broker"):
        patched.setattr(log, "read", away)
        index.begin(log)
    assert num_tasks(store) == tasks > 0
    index.begin(a_log(tmp_path / "other.sqlite", told(1)))
    assert num_tasks(store) == 0
