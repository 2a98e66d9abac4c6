"""Serving a chosen version: one engine moves on with the versions, an older one gets its own."""

import asyncio
from pathlib import Path

import pytest

from agents.engines.engine import Engine, SwapRefused
from agents.policies.serving import Serving
from bus.events import Weights
from tests.agents.asking import engine, says
from tests.agents.engines.checkpoint.tiny_checkpoint import request
from tests.agents.policies.versions import checkpoint


class Built:
    """What a serving has built."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []

    def __call__(self) -> Engine:
        self.engines.append(engine(says("21"), version=-1))
        return self.engines[-1]


def is_closed(own: Engine) -> bool:
    try:
        asyncio.run(own.generate(request(own)))
    except RuntimeError:
        return True
    return False


def test_versions_in_order_share_an_engine_and_an_older_one_has_its_own(tmp_path: Path) -> None:
    built = Built()
    serving = Serving(built, tmp_path)
    made = [checkpoint(tmp_path, number) for number in range(4)]

    async def scenario() -> list[tuple[int, int]]:
        served = []
        for number in (0, 2, 1, 3, 3):
            async with serving(made[number]) as own:
                served.append((own.version, built.engines.index(own)))
        return served

    assert not serving
    assert asyncio.run(scenario()) == [(0, 0), (2, 0), (1, 1), (3, 0), (3, 0)]
    assert serving
    assert [is_closed(own) for own in built.engines] == [False, True]
    asyncio.run(serving.close())
    assert is_closed(built.engines[0])


def test_what_is_refused_ends_only_the_engine_of_its_own(tmp_path: Path) -> None:
    built = Built()
    serving = Serving(built, tmp_path)
    made = [checkpoint(tmp_path, number) for number in range(3)]
    for number in (0, 2):
        (tmp_path / f"v{number}" / "model.safetensors").write_bytes(b"other")

    async def scenario() -> None:
        async with serving(made[1]) as own:
            assert own.version == 1
        for number in (2, 0):
            with pytest.raises(SwapRefused):
                async with serving(made[number]):
                    pass
        async with serving(made[1]) as own:
            assert own.version == 1

    asyncio.run(scenario())
    assert [is_closed(own) for own in built.engines] == [False, True]


def test_the_files_of_a_version_are_waited_for(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 0)
    content = (tmp_path / "v0" / "model.safetensors").read_bytes()
    (tmp_path / "v0" / "model.safetensors").unlink()

    async def arrived(weights: Weights) -> None:
        (tmp_path / weights.location / "model.safetensors").write_bytes(content)

    async def scenario() -> None:
        async with Serving(Built(), tmp_path, arrived)(made) as own:
            assert own.version == 0

    asyncio.run(scenario())
