"""What `evolvent status` says of groups, on every driver alike."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from bus.bus import Bus
from bus.kafka.bus import KafkaBus
from bus.memory.bus import MemoryBus
from bus.records import Position, Record
from bus.sqlite.bus import SqliteBus
from observability.progress.lag import as_json, lag_table, standings
from tests.bus.contract.saying import control

BUSES: dict[str, Callable[[pytest.FixtureRequest], Bus]] = {
    "memory": lambda _: MemoryBus(),
    "sqlite": lambda request: SqliteBus(request.getfixturevalue("tmp_path") / "log.sqlite"),
    "kafka": lambda request: KafkaBus(request.getfixturevalue("cluster")),
}
NOW = datetime.now(UTC)


def shown(bus: Bus, now: datetime) -> list[list[str]]:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(lag_table(standings(bus.log, ("evaluator",)), now))
    return [line.split() for line in capture.get().splitlines()]


@pytest.mark.parametrize("driver", BUSES)
def test_groups_show_what_is_done_what_waits_and_for_how_long(
    driver: str, request: pytest.FixtureRequest
) -> None:
    bus = BUSES[driver](request)

    async def scenario() -> None:
        events = [
            control(index).model_copy(update={"created_at": NOW + timedelta(seconds=index)})
            for index in range(8)
        ]
        await bus.publish(events)
        async with (
            bus.subscribe(["control", "weights"], "evaluator", "second") as evaluator,
            bus.subscribe(["control"], "aside", "reader"),
        ):
            done = [Position(topic="control", partition=0, offset=at) for at in (0, 1, 4, 5)]
            await evaluator.complete(done, [])
            [first, idle, aside] = as_json(
                standings(bus.log, ("proposer", "evaluator")), NOW + timedelta(seconds=62)
            )
            assert first["group"] == "evaluator" and first["topic"] == "control"
            assert first["owners"] == ["second"] and first["epoch"] == 1
            assert (first["base"], first["done"], first["backlog"]) == (2, 2, 4)
            assert first["oldest"]["offset"] == 2
            assert first["oldest"]["age_seconds"] == pytest.approx(60)
            assert first["partitions"] == [
                {
                    "partition": 0,
                    "owner": "second",
                    "base": 2,
                    "done": 2,
                    "end": 8,
                    "backlog": 4,
                    "epoch": 1,
                    "oldest": first["oldest"],
                }
            ]
            assert idle["topic"] == "weights" and idle["oldest"] is None
            assert (aside["group"], aside["backlog"]) == ("aside", 8)
            by_name = [one.group for one in standings(bus.log)]
            assert by_name == ["aside", "evaluator", "evaluator"]
        assert shown(bus, NOW + timedelta(hours=5))[1:] == [
            ["evaluator", "control", "nobody", "2", "2", "4", "0@2,", "5", "h", "1"],
            ["aside", "control", "nobody", "0", "0", "8", "0@0,", "5", "h", "1"],
        ]
        await bus.close()

    asyncio.run(scenario())


def test_a_record_that_does_not_say_its_time_has_no_age() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        stray = Record(
            topic="tasks", partition=2, offset=0, key="", headers={"ce_time": "noon"}, value=b"?"
        )
        await bus.append([stray])
        async with bus.subscribe(["tasks"], "solver", "solver"):
            [solver] = as_json(standings(bus.log), NOW)
            assert solver["oldest"] == {
                "partition": 2,
                "offset": 0,
                "created_at": None,
                "age_seconds": None,
            }
            assert [part["backlog"] for part in solver["partitions"]] == [0, 0, 1, 0]
            assert shown(bus, NOW)[1][-2:] == ["2@0", "1"]

    asyncio.run(scenario())
