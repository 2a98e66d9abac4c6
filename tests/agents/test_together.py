"""Several works of which each is needed."""

import asyncio

import pytest

from agents.together import together


def test_they_come_in_their_order() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    assert asyncio.run(together(map(after, (0.02, 0.0, 0.01)))) == [0.02, 0.0, 0.01]


def test_the_first_failure_is_raised_and_nobody_works_on() -> None:
    ended: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("too long")

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("works")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="too long"):
            await together([works(), fails(), works()])
        assert ended == ["works", "works"]

    asyncio.run(scenario())
