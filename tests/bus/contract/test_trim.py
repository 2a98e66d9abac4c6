"""The beginning of a partition is removed: what is left is read as before, what is gone says so."""

import asyncio

import pytest

from bus.errors import BusError, Trimmed
from bus.log import HasStrays
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import control, index_of, take_all, task

AT = ("control", 0)


def test_what_is_trimmed_is_gone_for_everybody_and_the_rest_is_as_it_was(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(index) for index in range(30)])
        async with bus.subscribe(["control"], "group", "one") as one:
            taken = await take_all(one, 30)
            await one.complete(taken[:20], [])
            with pytest.raises(BusError, match="Group 'group' has not done control/0/20 yet"):
                await bus.trim({AT: 21})
            assert other.log.starts() == {}
            await bus.trim({AT: 12})
            await one.complete(taken[20:], [])
        assert other.log.starts() == {AT: 12} and other.log.heads()[AT] == 30
        assert [index_of(record) for record in other.log.read(*AT, 12)] == [*range(12, 30)]
        with pytest.raises(Trimmed, match="control/0 begins at 12") as gone:
            next(iter(other.log.read(*AT, 5)))
        assert gone.value.first == 12
        assert other.log.find(control(3).id) is None
        found = other.log.find(control(12).id)
        assert found is not None and found.offset == 12
        await bus.publish([control(3), control(30)])
        assert [index_of(record) for record in other.log.read(*AT, 28)] == [28, 29, 30]
        await bus.publish([task(0)])
        [alone] = [at for at, end in bus.log.heads().items() if at[0] == "tasks" and end]
        await bus.trim({AT: 30, alone: 1})
        assert other.log.starts() == {AT: 30} and len(list(other.log.read(*AT, 30))) == 1
        if isinstance(other.log, HasStrays):
            assert await asyncio.to_thread(other.log.strays) == []
        again = await asyncio.to_thread(driver.open)
        assert again.log.starts() == {AT: 30} and again.log.heads()[AT] == 31

    run(scenario)
