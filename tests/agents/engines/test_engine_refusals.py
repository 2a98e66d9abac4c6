"""What every engine refuses to serve, and that the old version serves on."""

import asyncio
from pathlib import Path

import pytest

from agents.engines.engine import SwapRefused
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    Open,
    request,
    save_checkpoint,
)

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_refuses_files_that_are_not_plainly_in_the_folder(
    open_engine: Open, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    served, folder = checkpoints[0], tmp_path / "version"
    bad = save_checkpoint(folder, seed=9)
    (tmp_path / "escape").write_bytes(b"")
    (folder / "link").symlink_to(folder / "config.json")
    outside = dict.fromkeys(("../escape", "/etc/hostname", "a/../../escape", ""), EMPTY)

    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, served.folder, served.files)
            asked = request(engine, temperature=0.0)
            before = await engine.generate(asked)
            for name, digest in {**outside, "link": bad.files["config.json"]}.items():
                with pytest.raises(SwapRefused):
                    await engine.swap(1, folder, {**bad.files, name: digest})
                assert engine.version == 0, name
                assert await engine.generate(asked) == before, name

    asyncio.run(scenario())


def test_refuses_files_other_than_published(
    open_engine: Open, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    served, bad = checkpoints[0], save_checkpoint(tmp_path / "version", seed=9)
    weights = bad.folder / "model.safetensors"
    content = weights.read_bytes()
    flipped = content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]

    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, served.folder, served.files)
            asked = request(engine, temperature=0.0)
            before = await engine.generate(asked)
            for damaged in (None, content[:-100], flipped):
                weights.unlink(missing_ok=True)
                if damaged is not None:
                    weights.write_bytes(damaged)
                with pytest.raises(SwapRefused, match=r"model\.safetensors"):
                    await engine.swap(1, bad.folder, bad.files)
                assert engine.version == 0
                assert await engine.generate(asked) == before
            weights.write_bytes(content)
            assert (await engine.swap(1, bad.folder, bad.files)).to_version == 1

    asyncio.run(scenario())
