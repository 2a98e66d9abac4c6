"""From which events one is told by its id: the newest ones; an answer from all."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event as Gate

import apsw
import pytest

from bus.errors import BusError
from bus.events import Control, derive_id
from bus.sqlite.bus import SqliteBus
from bus.sqlite.ids import BLOCK_BITS, NUM_REMEMBERED, fill, last_seq
from bus.sqlite.log import append, to_entries
from bus.sqlite.writer import Transaction
from bus.topics import TOPICS
from tests.bus.contract.saying import answer_to, take_all
from tests.bus.sqlite.former_log import make_former

BLOCK = 1 << BLOCK_BITS


def control(number: int) -> Control:
    identity = derive_id("run", "operator", str(number))
    return Control(id=identity, run="run", agent="operator", command="pause")


def grow(path: Path, count: int) -> None:
    """So many records of a topic that nobody reads are appended."""
    connection = apsw.Connection(str(path))
    with connection:
        last = last_seq(connection)
        connection.execute(
            "WITH RECURSIVE new(n) AS (VALUES (?) UNION ALL SELECT n + 1 FROM new WHERE n < ?) "
            "INSERT INTO log SELECT n, 'filler', 0, n, randomblob(16), '', '{}', x'', 0 FROM new",
            (last + 1, last + count),
        )
        fill(connection, last >> BLOCK_BITS, last + count >> BLOCK_BITS)
    connection.close()


def on(path: Path, scenario: Callable[[SqliteBus], Awaitable[None]]) -> None:
    async def within() -> None:
        bus = SqliteBus(path, lease_seconds=0.5)
        try:
            await scenario(bus)
        finally:
            await bus.close()

    asyncio.run(within())


def test_an_event_is_told_from_the_newest_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def say(bus: SqliteBus) -> None:
        await bus.publish([control(0), control(1)])

    for more, count in ((NUM_REMEMBERED - 2, 2), (2 * NUM_REMEMBERED, 4)):
        on(path, say)
        grow(path, more)
        on(path, say)
        reader = SqliteBus(path, read_only=True)
        assert reader.heads()["control", 0] == count
        # Of one that is there twice the newest is found.
        found = reader.find(control(1).id)
        assert found is not None and found.offset == count - 1
        asyncio.run(reader.close())


def test_an_answer_is_appended_once_however_late_it_is_said_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def scenario(bus: SqliteBus) -> None:
        await bus.publish([control(0), control(1)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            first, second = await take_all(subscription, 2)
            await subscription.complete([first], [answer_to(first)])
            await asyncio.to_thread(grow, path, 2 * NUM_REMEMBERED)
            await subscription.complete([first], [answer_to(first)])
            assert bus.heads()["promotions", 0] == 1
            await subscription.complete([first, second], [answer_to(second)])
            assert bus.heads()["promotions", 0] == 2

    on(path, scenario)


def test_everything_is_found_while_the_log_grows(tmp_path: Path) -> None:
    path, count = tmp_path / "log.db", 2 * BLOCK + 100

    async def scenario(bus: SqliteBus) -> None:
        reader = SqliteBus(path, read_only=True)
        for start in range(0, count, 997):
            numbers = range(start, min(start + 997, count))
            await bus.publish([control(number) for number in numbers])
            for number in (0, start // 2, start, numbers[-1]):
                found = reader.find(control(number).id)
                assert found is not None and found.offset == number
            assert reader.find(control(count).id) is None
        await bus.publish([control(number) for number in range(count)])
        assert bus.heads()["control", 0] == count
        await reader.close()

    on(path, scenario)
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT count(*) FROM ids").get == 2 * BLOCK - 1
    connection.close()


@pytest.mark.parametrize("former", [False, True])
def test_what_was_rolled_back_is_not_on_the_log(tmp_path: Path, former: bool) -> None:
    path = tmp_path / "log.db"

    async def nothing(bus: SqliteBus) -> None:
        pass

    on(path, nothing)
    if former:
        make_former(path)

    def saying(number: int) -> Callable[[Transaction], None]:
        entries = to_entries([control(number)], TOPICS)

        def say(transaction: Transaction) -> None:
            append(transaction.connection, transaction.ids, entries)

        return say

    def fail(transaction: Transaction) -> None:
        transaction.connection.execute("SELECT * FROM nowhere")

    async def scenario(bus: SqliteBus) -> None:
        writer, begun, gate = bus._writer, Gate(), Gate()
        assert writer is not None

        def hold(transaction: Transaction) -> None:
            begun.set()
            gate.wait()

        busy = writer.submit(hold)
        begun.wait()
        failing = [writer.submit(job) for job in (saying(0), saying(1), fail)]
        gate.set()
        busy.result()
        for one in failing:
            with pytest.raises(BusError):
                await asyncio.wrap_future(one)
        await bus.publish([control(2)])
        await bus.publish([control(1), control(0)])
        assert [record.event_id for record in bus.read("control")] == [
            control(number).id for number in (2, 1, 0)
        ]

    on(path, scenario)
