"""Records that end their process: they are found, the others are answered; ends from outside
condemn nothing."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bus.errors import BusError
from bus.hands import Hands
from bus.memory.bus import MemoryBus
from bus.runner import Runner
from bus.sqlite.bus import SqliteBus
from tests.bus.solving import RUN, Solver, backlog, dead, levels, raises, task, until

LIFE = """
import asyncio, ctypes, os, signal, sys, time
from pathlib import Path
from bus.hands import Hands
from bus.runner import Runner
from bus.sqlite.bus import SqliteBus
from tests.bus.solving import RUN, Solver, backlog

ENDS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "fault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(0),
    "hang": lambda: time.sleep(60),
}

async def main(folder, how, poison):
    async def end():
        await asyncio.sleep(0.02)
        ENDS[how]()

    bus = SqliteBus(folder / "log.sqlite", lease_seconds=0.5)
    hands = Hands(folder / "hands", "solver", handle_seconds=2)
    solver = Solver(first={int(level): end for level in poison})
    async with bus.subscribe(["tasks"], "solver", "solver") as subscription:
        stop = asyncio.Event()
        runner = Runner(
            solver, subscription, group="solver", run=RUN, concurrency=64, hands=hands
        )
        working = asyncio.ensure_future(runner.run(stop))
        while backlog(bus):
            await asyncio.sleep(0.01)
        stop.set()
        await working
    hands.close()
    await bus.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
"""


def lives(folder: Path, how: str, *poison: int) -> int:
    """How many processes it takes until everything has come to an end."""
    words = [sys.executable, "-c", LIFE, str(folder), how, *map(str, poison)]
    for number in range(1, 15):
        done = subprocess.run(words, check=False, timeout=60, capture_output=True)
        if left(folder) == 0:
            return number
        assert done.returncode != 2, done.stderr
    raise AssertionError(f"{left(folder)} are left; {done.stderr.decode()}")


def left(folder: Path) -> int:
    async def look() -> int:
        bus = SqliteBus(folder / "log.sqlite", read_only=True)
        found = backlog(bus)
        await bus.close()
        return found

    return asyncio.run(look())


async def publish(folder: Path, count: int) -> None:
    bus = SqliteBus(folder / "log.sqlite")
    await bus.publish([task(index) for index in range(count)])
    await bus.close()


async def outcome(folder: Path) -> tuple[list[int], list[str]]:
    bus = SqliteBus(folder / "log.sqlite", read_only=True)
    found = levels(bus), [letter.reason for letter in dead(bus)]
    await bus.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "fault", "exit"])
def test_a_record_that_ends_its_process_is_found_among_many(tmp_path: Path, how: str) -> None:
    asyncio.run(publish(tmp_path, 40))
    assert lives(tmp_path, how, 17) <= 8
    answered, reasons = asyncio.run(outcome(tmp_path))
    assert answered == [level for level in range(40) if level != 17]
    assert reasons == ["it ended its process 3 times, with it alone in hand"]
    assert len(list((tmp_path / "hands").iterdir())) <= 1


@pytest.mark.slow
def test_a_record_that_hangs_its_process_is_found(tmp_path: Path) -> None:
    asyncio.run(publish(tmp_path, 1))
    assert lives(tmp_path, "hang", 0) == 4
    assert asyncio.run(outcome(tmp_path))[1] == [
        "it ended its process 3 times, with it alone in hand"
    ]


@pytest.mark.slow
def test_two_that_end_their_process_are_both_found(tmp_path: Path) -> None:
    asyncio.run(publish(tmp_path, 12))
    lives(tmp_path, "exit", 3, 9)
    answered, reasons = asyncio.run(outcome(tmp_path))
    assert answered == [level for level in range(12) if level not in (3, 9)]
    assert len(reasons) == 2


async def one_life(bus: MemoryBus, folder: Path, solver: Solver) -> None:
    hands = Hands(folder, "solver")
    stop = asyncio.Event()
    try:
        async with bus.subscribe(["tasks"], "solver", "solver") as subscription:
            runner = Runner(
                solver, subscription, group="solver", run=RUN, concurrency=8, hands=hands
            )
            working = asyncio.ensure_future(runner.run(stop))
            done = asyncio.ensure_future(until(lambda: backlog(bus) == 0))
            await asyncio.wait([working, done], return_when=asyncio.FIRST_COMPLETED)
            done.cancel()
            stop.set()
            await working
    finally:
        hands.close()


def test_a_handler_that_fails_three_times_is_a_dead_letter_with_its_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(9)])
        solver = Solver(first={4: raises(ValueError("has 18 tokens"))})
        for _ in range(3):
            with pytest.raises(ValueError, match="18 tokens"):
                await one_life(bus, tmp_path, solver)
        await one_life(bus, tmp_path, solver)
        assert levels(bus) == [level for level in range(9) if level != 4]
        [letter] = dead(bus)
        assert letter.reason == (
            "it ended its process 3 times, the last time by ValueError: has 18 tokens"
        )

    asyncio.run(scenario())


def test_an_outage_is_held_against_no_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0)])
        for error in [BusError("no broker"), ConnectionError("no server")] * 3:
            with pytest.raises(type(error)):
                await one_life(bus, tmp_path, Solver(first={0: raises(error)}))
        await one_life(bus, tmp_path, Solver())
        assert levels(bus) == [0]

    asyncio.run(scenario())


def test_where_every_record_fails_the_records_are_not_at_fault(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(8)])
        broken = Solver(first=dict.fromkeys(range(8), raises(RuntimeError("no GPU"))))
        for _ in range(60):
            with pytest.raises(RuntimeError):
                await one_life(bus, tmp_path, broken)
        assert len(dead(bus)) <= 3
        await one_life(bus, tmp_path, Solver())
        assert len(levels(bus)) + len(dead(bus)) == 8

    asyncio.run(scenario())


def ended(folder: Path, *held: str) -> Hands:
    """Hands whose process was killed while it had these in hand."""
    folder.mkdir(exist_ok=True)
    (folder / f"solver~{len(list(folder.iterdir()))}").write_text(
        json.dumps({"held": held, "suspects": {}, "condemned": 0, "ended": False})
    )
    return Hands(folder, "solver")


def test_an_end_with_nothing_in_hand_clears_what_was_suspect(tmp_path: Path) -> None:
    for _ in range(2):
        hands = ended(tmp_path, "solver:tasks/0/0")
    hands.close()
    hands = ended(tmp_path)
    hands.close()
    hands = ended(tmp_path, "solver:tasks/0/0")
    assert hands.condemned("solver:tasks/0/0") is None
    hands.close()


def test_hands_of_a_process_that_lives_are_left_alone(tmp_path: Path) -> None:
    first = Hands(tmp_path, "solver")
    asyncio.run(first.hold(["solver:tasks/0/0"]))
    for _ in range(4):
        second = Hands(tmp_path, "solver")
        assert second.condemned("solver:tasks/0/0") is None
        second.close()
    assert len(list(tmp_path.iterdir())) == 1
    first.close()
    assert not list(tmp_path.iterdir())


def test_words_that_were_cut_off_are_no_suspicion(tmp_path: Path) -> None:
    (tmp_path / "solver~0").write_text('{"held":["solver:tasks/0/0"],"sus')
    hands = Hands(tmp_path, "solver")
    assert hands.together(["solver:tasks/0/0", "solver:tasks/0/1"]) == [
        ["solver:tasks/0/0", "solver:tasks/0/1"]
    ]
    hands.close()
