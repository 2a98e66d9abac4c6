"""The file of an index: several processes share it, and it is only a cache."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
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


def test_dashboards_that_begin_at_once_share_one_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: Store(tmp_path, "run"), range(8)))
    assert {store.path for store in stores} == {tmp_path / "dashboard.sqlite"}
    assert len({store.generation for store in stores}) == 1
    stores[0].clear()
    assert len({store.generation for store in stores}) == 1


def test_an_index_of_another_run_is_made_anew_in_place(tmp_path: Path) -> None:
    log, before = a_log(tmp_path / "log.sqlite", told(4)), Store(tmp_path, "one")
    index = Index(before)
    index.begin(log)
    fill(index, log)
    file = before.path.stat().st_ino
    after = Store(tmp_path, "two")
    assert after.path.stat().st_ino == file
    assert num_tasks(after) == num_tasks(before) == 0
    with pytest.raises(BusError, match="begins anew"):
        index.write()


def test_an_index_that_is_held_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observability.dashboard.index.store._BUSY_SECONDS", 0.1)
    holder = Store(tmp_path, "run")
    with holder.writing():
        aside = Store(tmp_path, "run")
    assert aside.path != holder.path
    aside.close()
    assert Store(tmp_path, "run").generation == holder.generation


def test_a_file_that_is_no_index_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "dashboard.sqlite").write_bytes(b"no database" * 1000)
    store = Store(tmp_path, "run")
    assert store.path.parent == tmp_path
    assert num_tasks(store) == 0
