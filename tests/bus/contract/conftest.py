"""A scenario over each driver in turn."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.bus.contract.drivers import DRIVERS, Driver, Run


@pytest.fixture(params=list(DRIVERS))
def run(request: pytest.FixtureRequest) -> Run:
    driver = DRIVERS[request.param](request)

    def run_scenario(scenario: Callable[[Driver], Awaitable[None]]) -> None:
        async def within() -> None:
            try:
                async with asyncio.timeout(60):
                    await scenario(driver)
            finally:
                await driver.close()

        asyncio.run(within())

    return run_scenario
