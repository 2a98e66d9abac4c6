"""One failure often strikes many tasks: the first one says what is wrong."""

import asyncio

import pytest

from bus.errors import BusError, first_of


def test_the_first_of_many_failures_is_told_however_deep_it_lies() -> None:
    async def fails() -> None:
        raise BusError("the disk is gone")

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fails())
            tasks.create_task(asyncio.sleep(60))

    async def groups() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(group())

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(groups())
    found = first_of(caught.value)
    assert isinstance(found, BusError) and str(found) == "the disk is gone"
    assert first_of(found) is found
