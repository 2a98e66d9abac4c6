"""What is asked of an archive has the answers that the log has, and reads no event for them."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.log import Cut, Log
from bus.memory.bus import MemoryBus
from bus.records import Record
from evolvent.opened.example import write_example
from evolvent.run.folder import RunFolder
from harness.answers import PAGES
from observability.archive import manifest
from observability.archive.archive import Archive, opened
from observability.archive.archivist import Archivist
from observability.archive.log import ArchiveLog
from observability.archive.place import ArchiveError, place_of
from observability.query.answers import as_json
from observability.query.archived import ArchivedTables
from observability.query.query import Query
from observability.query.tables import TABLES
from observability.query.views import VIEWS
from tests.bus.examples import EXAMPLES
from tests.observability.archive.archiving import archived, contents, read
from tests.observability.story import Story

QUESTIONS = re.findall(
    r"^```sql\n(.*?)^```$", PAGES[0].read_text("utf-8"), re.DOTALL | re.MULTILINE
)
GOLDEN = Path(__file__).parents[1] / "archive" / "golden"


class Counted:
    """A log that says how many records were read of it."""

    def __init__(self, log: Log) -> None:
        self._log, self.records = log, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def read(self, *place: Any) -> Iterator[Record]:
        for record in self._log.read(*place):
            self.records += 1
            yield record


class Both:
    """A log, and the archive of what it said a while ago."""

    def __init__(self, log: Log, archive: Archive) -> None:
        self.log = Query(log)
        self.counted = Counted(log)
        tables = ArchivedTables(archive, ArchiveLog(archive).heads())
        self.archive = Query(self.counted, tables)

    def same(self, sql: str) -> list[dict[str, Any]]:
        ours, theirs = self.archive.ask(sql), self.log.ask(sql)
        assert ours.schema == theirs.schema
        rows = as_json(ours)
        assert len(rows) == ours.num_rows == theirs.num_rows
        for row, expected in zip(rows, as_json(theirs), strict=True):
            assert row == {
                name: pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
                for name, value in expected.items()
            }
        return rows


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The recorded run, of which three fourths are archived."""
    folder = tmp_path_factory.mktemp("both")
    write_example(folder / "run")
    run = RunFolder(folder / "run")
    bus = run.build_log(run.bus(), writable=False)
    head = {at: end * 3 // 4 for at, end in bus.log.heads().items()}
    archive = folder / "archive"
    assert Archivist(Younger(bus.log, head), place_of(archive), run.run_id, block=512).catch_up()
    yield Both(bus.log, opened(place_of(archive)))
    asyncio.run(bus.close())


class Younger:
    """A log as it was."""

    def __init__(self, log: Log, heads: dict[tuple[str, int], int]) -> None:
        self._log, self._heads = log, heads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def heads(self) -> dict[tuple[str, int], int]:
        return self._heads

    def cut(self) -> Any:
        return Cut(heads=self._heads, groups={})


@pytest.mark.parametrize("number", range(20))
def test_the_twenty_questions_have_the_same_answers(example: Both, number: int) -> None:
    example.same(QUESTIONS[number])


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Of every event one, and what cannot be read, or is of another kind than its topic's."""
    bus = MemoryBus()
    asyncio.run(bus.publish([*Story(versions=6).events(), *EXAMPLES.values()]))
    strange = next(bus.log.read("weights"))
    headers = {**strange.headers, "ce_id": "ab" * 16}
    for topic, value, head in (("weights", b"{}", headers), ("judgments", strange.value, {})):
        record = Record(
            topic=topic,
            partition=0,
            offset=-1,
            key="k",
            headers={**strange.headers, **head},
            value=value,
        )
        asyncio.run(bus.append([record]))
    folder = tmp_path_factory.mktemp("odd")
    archived(bus.log, folder)
    return Both(bus.log, opened(place_of(folder)))


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_a_whole_table_is_the_same(odd: Both, name: str) -> None:
    assert odd.same(f"SELECT * FROM {name}") or name in ("learned", "staleness")
    assert odd.archive.num_unreadable == odd.log.num_unreadable


def test_no_event_is_read_for_columns_that_are_stored(odd: Both) -> None:
    tables = odd.archive._archived
    for sql in (
        "SELECT family, level, success FROM success",
        "SELECT reason, count(*) FROM verdicts WHERE NOT correct GROUP BY ALL ORDER BY ALL",
        "SELECT text, seat, len(spans) FROM turns WHERE temperature > 0 AND NOT trainable",
        "SELECT count(*) FROM turns",
        "SELECT prompt, metadata FROM tasks WHERE created_at > '2026-01-01' AND level IN (4, 5)",
        "SELECT parts FROM verdicts WHERE judge = 'exact' OR reward < 1 OR known IS NULL",
        "FROM versions",
        "FROM staleness",
    ):
        query = Query(odd.counted, tables)
        before = odd.counted.records
        answer = query.ask(sql)
        assert odd.counted.records == before and answer.equals(odd.log.ask(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT tokens FROM turns",
        "SELECT TRY(list_sum(logprobs)) AS sum FROM turns",
        "SELECT t.text, len(u.prompt_tokens) AS n FROM turns t JOIN turns u USING (attempt, turn)",
        "SELECT text FROM turns WHERE list_contains(tokens, 70000)",
        "SELECT COLUMNS('.*tokens') FROM turns ORDER BY ALL",
        "SUMMARIZE turns",
    ],
)
def test_a_column_that_is_in_the_event_alone_is_read_there(odd: Both, sql: str) -> None:
    query = Query(odd.counted, odd.archive._archived)
    before = odd.counted.records
    assert query.ask(sql).equals(odd.log.ask(sql))
    assert odd.counted.records > before
    assert query.num_unreadable == 0


def test_an_archive_of_the_first_format_is_read_and_gone_on_with(tmp_path: Path) -> None:
    golden, archive = GOLDEN / "format-1", shutil.copytree(GOLDEN / "format-1", tmp_path / "a")
    run = "words-7"
    log = read(golden, run)
    assert sum(log.heads().values()) == 48
    asked = Query(log, ArchivedTables(log.archive, log.heads())).ask("FROM success")
    assert asked.num_rows > 4
    assert Archivist(log, place_of(archive), run).catch_up()
    assert contents(golden).items() - contents(archive).items() == {
        ("manifest.json", contents(golden)["manifest.json"])
    }
    both = Both(log, opened(place_of(archive)))
    for name in TABLES:
        both.same(f"SELECT * FROM {name}")
    query = Query(both.counted, both.archive._archived)
    before = both.counted.records
    assert query.ask("FROM success").equals(asked) and both.counted.records == before


def test_tables_of_another_evolvent_are_made_anew(tmp_path: Path) -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish(Story(versions=2).events()))
    archived(bus.log, tmp_path)
    made = contents(tmp_path)
    place = place_of(tmp_path)
    found = manifest.read(place)
    assert found is not None
    other = found.of_form("another")
    assert other.tables == () and found.of_form(found.form) is found
    manifest.write(place, found.model_copy(update={"form": "another"}))
    log = read(tmp_path)
    assert ArchivedTables(log.archive, log.heads()).ends == {}
    archived(bus.log, tmp_path)
    assert contents(tmp_path) == made


def test_damage_of_a_table_is_found(tmp_path: Path) -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish(Story(versions=2).events()))
    archived(bus.log, tmp_path)
    log = read(tmp_path)
    [victim, *_] = sorted((tmp_path / "tables" / "verdicts").rglob("*.parquet"))
    body = bytearray(victim.read_bytes())
    body[20] ^= 1
    victim.write_bytes(body)
    query = Query(log, ArchivedTables(log.archive, log.heads()))
    assert query.ask("SELECT count(*) AS n FROM judgments").num_rows == 1
    with pytest.raises(ArchiveError, match="is damaged: the sha256 of tables/verdicts/judgments/"):
        query.ask("FROM verdicts")
    victim.unlink()
    with pytest.raises(ArchiveError, match="parquet is missing"):
        read(tmp_path)
