"""The sandbox: what comes back, what is ended, and that nothing is run without it."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agents.sandbox import sandbox as module
from agents.sandbox.room import why_not
from agents.sandbox.sandbox import MOST_SOURCE, Sandbox, check_sandbox, level

SANDBOX = Sandbox()


def test_this_machine_has_rooms() -> None:
    assert why_not() is None, why_not()
    assert level() == "monty in bubblewrap"


def test_a_program_gives_a_value() -> None:
    assert SANDBOX.run("def f(a, b):\n    return [a, b * 2]", (1, "x")).line == (
        '["list",["int","1"],"xx"]'
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(x): return", None),
        ("def f(x) return x", "no Python"),
        ("def g(x): return x", "error: KeyError"),
        ("def f(): return 1", "error: TypeError"),
        ("def f(x): return y", "error: NameError"),
        ("def f(x): return 1 / 0", "error: ZeroDivisionError"),
        ("def f(x):\n    while True: pass", "time"),
        ("while True: pass", "time"),
        ("def f(x):\n    while True:\n        try:\n            while True: pass\n"
         "        except BaseException: pass", "time"),
        ("def f(x): return sum(range(10**12))", "time"),
        ("def f(x): return [0] * 10**10", "memory"),
        ("def f(x):\n    held = []\n    while True: held.append('x' * 1000)", "memory"),
        ("def f(x): return 10**10**9", "memory"),
        ("def f(x): return f(x)", "error: RecursionError"),
        ("def f(x):\n    while True: print('x' * 1000)", "memory"),
        ("def f(x): return list(range(5_000))", "too large"),
        ("def f(x): return 'x' * 5_000", "too large"),
        ("def f(x): return 10**301", "too large"),
        ("def f(x):\n    for _ in range(60): x = [x]\n    return x", "too large"),
        ("def f(x):\n    for _ in range(200_000): x = [x]\n    return x", "too large"),
        ("def f(x):\n    x = []\n    x.append(x)\n    return x", "too large"),
        ("def f(x): return f", "no plain data"),
        ("def f(x): return range(3)", "no plain data"),
        ("class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
         "no plain data"),
        ("def f(x): yield x", "unsupported: yield expressions"),
        ("import heapq\ndef f(x): return x", "unsupported: No module named 'heapq'"),
        ("(" * 3_000, "no Python"),
        ("x" * (MOST_SOURCE + 1), "too large"),
        ("\x00", "no Python"),
        ("import sys\nsys.exit(0)", "error: AttributeError"),
        ("raise SystemExit(0)", "error: RuntimeError"),
    ],
)  # fmt: skip
def test_why_there_is_no_value(source: str, reason: str | None) -> None:
    started = time.monotonic()
    ran = SANDBOX.run(source, (1,))
    assert (ran.line is None) == (reason is not None)
    assert ran.reason == (reason or "")
    assert time.monotonic() - started < 12


HELD_OF_HELD = "x = [0] * 1000\nfor _ in range(4): x = [x] * 1000\n"


@pytest.mark.parametrize(
    "source",
    [
        HELD_OF_HELD + "x",
        HELD_OF_HELD + "def f(y): return x",
        HELD_OF_HELD + "def f(y): return {1: (x,)}",
        HELD_OF_HELD + "raise ValueError(x)",
        HELD_OF_HELD + "print(x)",
        HELD_OF_HELD + "import os\nos.getenv('a', x)",
        HELD_OF_HELD + "open(x)",
        HELD_OF_HELD + "import time\ntime.sleep(x)",
        "raise ValueError('x' * 60_000_000)",
        "def f(x): return 'x' * 60_000_000",
        "class A:\n    def __init__(self, v): self.v = v\n"
        f"{HELD_OF_HELD}def f(y): return A(x)",
    ],
    ids=range(11),
)  # fmt: skip
def test_what_a_program_holds_never_fills_the_memory_of_who_asks(source: str) -> None:
    """Ten thousand billion items, of which the sandbox itself holds five thousand."""
    before = psutil.Process().memory_info().rss
    ran = SANDBOX.run(source, (1,))
    assert ran.line is None
    assert psutil.Process().memory_info().rss - before < 400 * 2**20


def test_sleep_is_short_and_there_is_no_clock() -> None:
    started = time.monotonic()
    assert SANDBOX.run("import time\ndef f(x):\n    time.sleep(30)\n    return x", (1,)).line
    assert not SANDBOX.run("import time\ndef f(x):\n    while True: time.sleep(9)", (1,)).line
    assert time.monotonic() - started < 12
    for clock in ("time.time()", "time.perf_counter()", "date.today()", "datetime.now()"):
        source = f"import time\nfrom datetime import date, datetime\ndef f(x): return {clock}"
        assert SANDBOX.run(source, (1,)).reason == "error: RuntimeError"


def test_a_run_knows_nothing_of_the_one_before() -> None:
    counting = (
        "try:\n    seen\nexcept NameError:\n    seen = []\n"
        "def f(x):\n    seen.append(x)\n    return len(seen)"
    )
    assert [SANDBOX.run(counting, (1,)).line for _ in range(3)] == ['["int","1"]'] * 3


def test_a_program_cannot_put_itself_in_the_place_of_what_writes_its_value() -> None:
    source = (
        "import json\n"
        "type = str = len = repr = sorted = exec = lambda *given: 'forged'\n"
        'written = ran = line = tagged = lambda *given: \'["int","9"]\'\n'
        "ValueError = KeyError\n"
        "def f(x): return (x, True, 1.5)"
    )
    assert SANDBOX.run(source, (1,)).line == '["tuple",["int","1"],true,["float","1.5"]]'
    for name in ("SOURCE", "ARGUMENTS", "written", "ran", "names", "MOST_PARTS", "globals()"):
        assert SANDBOX.run(f"def f(x): return {name}", (1,)).reason == "error: NameError"


def test_what_two_processes_say_is_compared() -> None:
    assert SANDBOX.run_twice("def f(x): return x + 1", (1,)).line == '["int","2"]'
    drawn = "import random\ndef f(x): return random.random()"
    assert SANDBOX.run_twice(drawn, (1,)).reason == "not deterministic"
    ordered = "def f(x): return [hash(x), list({'a', 'b', 'c', x})]"
    assert SANDBOX.run_twice(ordered, ("d",)).line


@pytest.mark.parametrize("argument", ["\ud800", object(), len, 1j])
def test_what_is_no_plain_data_does_not_go_in(argument: object) -> None:
    assert SANDBOX.run("def f(x): return 1", (argument,)).reason == "no plain data"


def test_without_monty_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"in a sandbox alone.*uv sync --extra sandbox"):
        Sandbox()


def test_who_asks_for_a_room_gets_one_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sandbox("monty in bubblewrap")
    monkeypatch.setattr(module, "why_not", lambda: "bubblewrap is not installed")
    check_sandbox("monty alone")
    with pytest.raises(ValueError, match="bubblewrap' alone, and bubblewrap is not installed"):
        check_sandbox("monty in bubblewrap")


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_processes_of_a_sandbox_end_with_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import psutil\nfrom agents.sandbox.sandbox import Sandbox\n"
        "sandbox = Sandbox()\nassert sandbox.run_twice('def f(x): return x', (1,)).line\n"
        "print(*[each.pid for each in psutil.Process().children(recursive=True)])\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True,
        cwd=Path(module.__file__).parents[2],
    )  # fmt: skip
    pids = list(map(int, done.stdout.split()))
    assert len(pids) >= 2
    until = time.monotonic() + 30
    while any(map(runs, pids)):
        assert time.monotonic() < until
        time.sleep(0.05)
