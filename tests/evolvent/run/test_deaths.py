"""Which deaths of processes end a run, which make it fail, and how they are told."""

from collections import Counter
from pathlib import Path

import pytest

from evolvent.run import child
from evolvent.run.child import last_error
from evolvent.run.deaths import Deaths, read

AGENTS = ("solver", "evaluator")


class Run:
    """Deaths, and what was answered meanwhile."""

    def __init__(self, logs: Path) -> None:
        self.answered: Counter[str] = Counter()
        self.deaths = Deaths(logs, lambda role: self.answered[role])
        self.deaths.begin(AGENTS)
        self.deaths.begin(("trainer",))

    def dies(self, role: str = "solver", reason: str = "ValueError: 7", own: bool = True) -> None:
        process = ("trainer",) if role == "trainer" else AGENTS
        self.deaths.add(process, role, reason, own=own)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_who_never_answers_and_dies_the_same_death_is_hopeless_after_the_fourth(run: Run) -> None:
    for number in range(4):
        assert run.deaths.hopeless(AGENTS) is None
        run.dies(reason=f"ValueError: {number} tokens")
    series = run.deaths.hopeless(AGENTS)
    assert series is not None
    assert str(series) == "the solver died 4 times in a row: ValueError: 0 tokens"


def test_where_nobody_knows_who_it_was_more_of_them_are_waited_for(run: Run) -> None:
    for _ in range(7):
        run.dies("", "killed by SIGSEGV")
        assert run.deaths.hopeless(AGENTS) is None
    run.dies("", "killed by SIGSEGV")
    assert run.deaths.hopeless(AGENTS) is not None


def test_roles_of_one_process_die_one_death(run: Run) -> None:
    run.dies("solver", "ValueError: 519 tokens")
    run.dies("evaluator", "ValueError: 521 tokens")
    [series] = run.deaths.looping()
    assert series.times == 2 and series.roles == set(AGENTS)


def test_an_answer_begins_anew_and_nothing_is_fatal_any_more(run: Run) -> None:
    run.dies()
    run.dies()
    assert run.deaths.fatal() and run.deaths.looping()
    run.answered["solver"] += 1
    assert not run.deaths.fatal() and not run.deaths.looping()
    run.dies()
    assert not run.deaths.fatal()  # once: it has worked before
    run.dies()
    assert not run.deaths.fatal()
    run.dies()
    assert run.deaths.fatal() and run.deaths.hopeless(AGENTS) is None


def test_an_answer_of_another_process_is_none_of_its_own(run: Run) -> None:
    run.dies()
    run.answered["trainer"] += 5
    run.dies()
    assert run.deaths.looping()


def test_another_reason_begins_anew(run: Run) -> None:
    run.dies(reason="ValueError: 1")
    run.dies(reason="KeyError: 1")
    assert not run.deaths.looping() and run.deaths.last["solver"].times == 1


def test_who_is_killed_from_outside_has_not_failed(run: Run) -> None:
    for _ in range(10):
        run.dies("", "killed by SIGKILL", own=False)
    assert not run.deaths.fatal() and not run.deaths.looping()
    assert run.deaths.hopeless(AGENTS) is None
    assert "killed by SIGKILL" in str(run.deaths.last["solver+evaluator"])


def test_the_first_cause_comes_first(run: Run) -> None:
    run.dies("trainer", "OSError: gone")
    for _ in range(3):
        run.dies("solver", "ValueError: what follows")
    run.dies("trainer", "OSError: gone")
    assert [series.reason for series in run.deaths.looping()] == [
        "OSError: gone",
        "ValueError: what follows",
    ]


def test_the_last_death_of_everyone_is_kept_beyond_the_start(run: Run, tmp_path: Path) -> None:
    run.dies("solver", "ValueError: first")
    run.dies("trainer", "KeyError: other")
    again = Run(tmp_path)
    again.dies("solver", "ValueError: later")
    assert {who: death.reason for who, death in read(tmp_path).items()} == {
        "solver": "ValueError: later",
        "trainer": "KeyError: other",
    }
    assert str(read(tmp_path)["trainer"]).startswith("trainer: KeyError: other (")


def test_what_is_no_list_of_deaths_is_none(tmp_path: Path) -> None:
    (tmp_path / "deaths.json").write_text('[{"who": 1, "what": 2}]')
    assert read(tmp_path) == {} and read(tmp_path / "nothing") == {}


LOGS = {
    "one line": ('Traceback:\n  File "x"\nValueError: it is so\n', "ValueError: it is so"),
    "several lines": (
        "Traceback:\nRuntimeError: Error(s) in loading:\n\tsize mismatch\n",
        "RuntimeError: Error(s) in loading: size mismatch",
    ),
    "a border": (
        "  + Exception Group Traceback:\n  | ValueError: inner\n  +----\npkg.OwnError: outer\n",
        "pkg.OwnError: outer",
    ),
    "for programs": ('{"level": "INFO", "said": "serving"}\n', "serving"),
    "no error": ("2026 INFO serving\n", "2026 INFO serving"),
    "nothing": ("", "no word"),
}


@pytest.mark.parametrize(("written", "said"), LOGS.values(), ids=LOGS.keys())
def test_the_error_at_the_end_of_a_log_in_one_line(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "log").write_text(written)
    assert last_error(tmp_path / "log") == said


def test_a_log_stays_within_bounds_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LONGEST_LOG_BYTES", 10)
    log = tmp_path / "trainer.log"
    with log.open("ab", buffering=0) as written:
        for said in (b"of version 1\n", b"of 2\n"):
            written.write(said)
            child.bound(log)
    assert log.read_bytes() == b"of 2\n"
    assert (tmp_path / "trainer.before.log").read_bytes() == b"of version 1\n"
