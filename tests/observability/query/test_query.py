"""Questions in SQL: what is read for them, what is refused, that nothing else can be reached."""

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from bus.events import EVENTS, Event
from bus.memory.bus import MemoryBus
from bus.records import Record
from observability.query.answers import as_json, as_text, write, write_csv
from observability.query.query import Query, QueryRefused
from observability.query.tables import TABLES
from observability.query.views import VIEWS
from tests.bus.examples import EXAMPLES, SECOND
from tests.observability.story import Story

LEFT_OUT = {
    "weights": {"number", "files", "positions", "batch", "run"},
    "control": {"parent", "plugins", "run"},
    "lesson": {"turn", "run"},
    "deadletter": {"value", "headers", "origin_offset", "group", "origin_topic", "run"},
    "curriculum": {"top", "run"},
    "evaluation": {"scores", "run"},
    "judgment": {"verdicts", "run"},
}
"""Fields that have other names, tables of their own, or no place in any."""


def log_of(events: list[Event]) -> MemoryBus:
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    return bus


@pytest.fixture(scope="module")
def examples() -> Query:
    return Query(log_of(list(EXAMPLES.values())).log)


@pytest.fixture(scope="module")
def story() -> Query:
    return Query(log_of(Story(versions=6).events()).log)


def ask(query: Query, sql: str) -> list[dict[str, Any]]:
    return as_json(query.ask(sql))


def test_every_field_of_an_event_is_asked_by_its_name_or_left_out_on_purpose() -> None:
    for name, event in EVENTS.items():
        topic = event.topic or "tasks.dead"
        tables = [table for table in TABLES.values() if topic in table.topics]
        columns = {column.name for table in tables for column in table.columns}
        assert set(event.model_fields) - columns == LEFT_OUT.get(name, {"run"}), name


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_rows_of_its_events(examples: Query, table: str) -> None:
    rows = ask(examples, f"SELECT * FROM {table}")
    assert len(rows) == {"samples": 2, "turns": 3, "verdicts": 2}.get(table, 1)
    for row in rows:
        assert set(row) == {column.name for column in TABLES[table].columns}


def test_values_are_those_of_the_events(examples: Query) -> None:
    [weights] = ask(examples, "SELECT * FROM weights")
    assert weights["id"] == SECOND and weights["version"] == 2 and weights["format"] == "lora"
    assert weights["metrics"] == {"loss": 0.125, "kl": 0.03125}
    assert weights["places"] == [
        {"topic": "judgments", "partition": 0, "first": 0, "until": 31},
        {"topic": "judgments", "partition": 0, "first": 33, "until": 40},
    ]
    assert weights["created_at"] == "2026-03-01T12:30:15.250"
    turns = ask(examples, "SELECT * FROM turns ORDER BY sample, turn")
    assert [(turn["sample"], turn["turn"], turn["seat"]) for turn in turns] == [
        (0, 0, "second"),
        (1, 0, "first"),
        (1, 1, "second"),
    ]
    assert turns[0]["tokens"] == [4, 70_000, 2] and turns[0]["logprobs"] == [
        -0.25,
        -1.5,
        -0.0078125,
    ]
    assert turns[0]["spans"][1] == {"version": 2, "start": 2, "end": 3}
    assert turns[0]["temperature"] == 0.5
    [task] = ask(examples, "SELECT * FROM tasks")
    assert task["proposal"] == "olleh" and task["proposed_by"] == 1
    assert json.loads(task["metadata"]) == {"word": "hello", "length": 5}
    [first, _] = ask(examples, "SELECT * FROM verdicts ORDER BY sample")
    assert first["parts"] == [
        {"judge": "model", "reward": 0.0, "known": False},
        {"judge": "exact", "reward": 1.0, "known": True},
    ]
    assert first["seats"] == {"first": -1.0, "second": 1.0}


def test_the_judges_of_a_combined_verdict_are_asked_one_by_one(examples: Query) -> None:
    rows = ask(examples, "SELECT judge, verdicts, reward, unknown FROM reward_by_judge")
    assert rows == [
        {"judge": "exact", "verdicts": 2, "reward": 0.5, "unknown": 0},
        {"judge": "first(model,exact)", "verdicts": 2, "reward": 0.5, "unknown": 0},
        {"judge": "model", "verdicts": 2, "reward": None, "unknown": 2},
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_asked(story: Query, view: str) -> None:
    story.ask(f"SELECT * FROM {view}")


def test_views_say_what_the_events_say(story: Query) -> None:
    versions = ask(story, "SELECT version, held_out FROM versions WHERE held_out IS NOT NULL")
    assert [row["version"] for row in versions] == [0, 3, 6]
    gained = ask(story, "SELECT sum(gained) AS gained FROM changes WHERE earlier = 0 AND later = 6")
    assert gained[0]["gained"] > 0
    [success] = ask(story, "SELECT sum(tasks) AS tasks, sum(samples) AS samples FROM success")
    assert success["tasks"] == 14
    [unique] = ask(story, "SELECT sum(tasks) AS tasks FROM unique_tasks")
    assert unique["tasks"] == 14


def test_only_the_topics_of_a_question_are_read() -> None:
    bus = log_of(Story(versions=2).events())
    read = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(bus.log, name)

        def read(self, topic: str, *place: int) -> Any:
            read.append(topic)
            return bus.log.read(topic, *place)

    query = Query(Watched())  # type: ignore[arg-type]
    query.ask("SELECT * FROM weights a JOIN weights b USING (version)")
    assert set(read) == {"weights"}
    query.ask("WITH tasks AS (SELECT 1) SELECT * FROM tasks")
    assert set(read) == {"weights"}
    query.ask("SELECT * FROM main.Staleness")
    assert set(read) == {"weights", "judgments"}
    before = list(read)
    query.ask("SELECT * FROM judgments")
    assert read == before, "what was read is not read again"


def test_what_cannot_be_read_is_counted_and_left_out() -> None:
    bus = log_of(list(EXAMPLES.values()))
    record = next(bus.log.read("weights"))
    headers = {**record.headers, "ce_id": "ab" * 16}
    strange = Record(topic="weights", partition=0, offset=-1, key="k", headers=headers, value=b"{}")
    asyncio.run(bus.append([strange]))
    query = Query(bus.log)
    assert len(ask(query, "SELECT * FROM weights")) == 1
    assert query.num_unreadable == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("selec 1", "Parser Error: syntax error"),
        ("", "ask one question"),
        ("SELECT 1; SELECT 2", "ask one question"),
        ("SELECT * FROM games", "Table with name games does not exist! There are tasks, "),
        ("SELECT nothing FROM tasks", 'column "nothing" not found'),
        ("SELECT CAST(prompt AS INTEGER) FROM tasks", "Could not convert string"),
        ("SELECT * FROM tasks WHERE id = ?", "Values were not provided"),
        ("CREATE TABLE mine AS SELECT 1", "ask with SELECT"),
        ("DROP TABLE tasks", "ask with SELECT"),
        ("SET threads = 1", "ask with SELECT"),
        ("PRAGMA enable_profiling", "ask with SELECT"),
        ("ATTACH 'other.db'", "ask with SELECT"),
        ("INSTALL httpfs", "ask with SELECT"),
        ("COPY tasks TO 'tasks.csv'", "ask with SELECT"),
        ("EXPORT DATABASE 'all'", "ask with SELECT"),
    ],
)  # fmt: skip
def test_a_question_without_an_answer_is_one_sentence(examples: Query, sql: str, says: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        examples.ask(sql)
    said = str(refused.value)
    assert says in said and "\n" not in said


def test_no_file_can_be_reached(
    examples: Query, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nswordfish\n")
    monkeypatch.chdir(tmp_path)
    for sql in (
        f"SELECT * FROM '{secret}'",
        "SELECT * FROM 'secret.csv'",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM read_blob('{secret}')",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT getenv('PATH')",
        "SELECT * FROM secret",
        f"EXPLAIN ANALYZE SELECT * FROM read_text('{secret}')",
        f"DESCRIBE SELECT * FROM read_csv('{secret}')",
    ):
        with pytest.raises(QueryRefused) as refused:
            examples.ask(sql)
        assert "swordfish" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_large_answer_leaves_no_file_behind(
    examples: Query, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = examples.ask("SELECT range AS n, md5(range::TEXT) AS m FROM range(200000) ORDER BY m")
    assert answer.num_rows == 200_000
    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_written_in_every_form(examples: Query, tmp_path: Path) -> None:
    answer = examples.ask("SELECT version, metrics, NULL AS nothing, created_at FROM weights")
    for name in ("a.csv", "a.json", "a.parquet"):
        write(answer, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.parquet"]
    assert json.loads((tmp_path / "a.json").read_text()) == as_json(answer)
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 1
    assert (tmp_path / "a.csv").read_text() == (
        "version,metrics,nothing,created_at\n"
        '2,"{""loss"": 0.125, ""kl"": 0.03125}",,2026-03-01T12:30:15.250\n'
    )


def test_people_see_a_line_a_row_or_a_line_a_value(examples: Query) -> None:
    answer = examples.ask("SELECT 7 AS number, 0.12345678 AS part, 'a\nb\x1b[2J' AS text")
    assert as_text(answer, 80) == "number    part  text\n     7  0.1235  a\\nb\\x1b[2J"
    assert as_text(answer, 20) == ("row 1\n  number  7\n  part    0.1235\n  text    a\\nb\\x1b[2J")
    many = examples.ask("SELECT range AS n FROM range(1000)")
    assert as_text(many, 80, most=3).endswith("3 of 1,000 rows; --csv and --json print all")
    none = examples.ask("SELECT * FROM tasks WHERE false")
    assert as_text(none, 500).startswith("id  agent")


def test_numbers_that_json_does_not_have_are_texts(examples: Query) -> None:
    answer = examples.ask(
        "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b, sum(2) AS c, 'x'::BLOB AS d"
    )
    assert as_json(answer) == [{"a": "nan", "b": "inf", "c": 2, "d": "78"}]
    stream = StringIO()
    write_csv(answer, stream)
    assert stream.getvalue() == "a,b,c,d\nnan,inf,2,78\n"
