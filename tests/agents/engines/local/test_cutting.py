"""Which requests are decoded together, and what memory there is for them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.engines.engine import Request, Unservable
from agents.engines.local import engine as module
from agents.engines.local.batch import Batch
from agents.engines.local.cutting import Room, cut
from agents.engines.local.device import free_memory, free_of_group, free_of_machine
from agents.engines.local.served import Served
from tests.agents.engines.checkpoint.tiny_checkpoint import local_engine, request, save_checkpoint


def asked(length: int, n: int, max_tokens: int = 10) -> Request:
    return Request(prompt_tokens=(1,) * length, n=n, max_tokens=max_tokens)


def room(max_rows: int = 10, num_bytes: int | None = None) -> Room:
    return Room(max_rows=max_rows, num_bytes=num_bytes, per_token=2, per_row=5)


def test_whole_groups_of_neighbouring_lengths_come_together() -> None:
    requests = [asked(9, 4), asked(3, 4), asked(8, 4), asked(4, 6)]
    assert cut(requests, room()) == [[1, 3], [2, 0]]
    assert cut(requests, room(max_rows=3)) == [[1], [3], [2], [0]]
    assert cut([], room()) == []


def test_rows_are_as_many_as_the_memory_holds() -> None:
    requests = [asked(5, 1) for _ in range(6)]
    # A row takes 15 tokens of 2 bytes and 5 bytes to choose from.
    assert cut(requests, room(num_bytes=3 * 35)) == [[0, 1, 2], [3, 4, 5]]
    assert cut(requests, room(num_bytes=3 * 35 - 1)) == [[0, 1], [2, 3], [4, 5]]
    # All rows have room for the longest answer among them.
    requests[1] = asked(5, 1, max_tokens=20)
    assert cut(requests, room(num_bytes=3 * 35)) == [[0], [1], [2, 3, 4], [5]]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no"), RuntimeError("can't allocate memory")]
)
def test_a_request_that_alone_asks_for_too_much_is_its_callers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 1)

    def batch(served: Served, requests: Sequence[Request], *rest: Any) -> Batch:
        if sum(each.n for each in requests) > 8:
            raise error
        return Batch(served, requests, *rest)

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            with pytest.raises(Unservable, match="9 answers of 5 tokens need more memory"):
                await engine.generate(request(engine, n=9, max_tokens=5))
            both = [engine.generate(request(engine, n=5, max_tokens=5)) for _ in range(2)]
            failed = await asyncio.gather(*both, return_exceptions=True)
            assert failed == [error, error], "another try may find more room"
            assert len(await engine.generate(request(engine, n=8, max_tokens=5))) == 8

    monkeypatch.setattr(module, "Batch", batch)
    asyncio.run(scenario())


def test_what_is_free_is_what_machine_and_container_leave(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       7 kB\n")
    assert free_of_machine(tmp_path / "meminfo") == 7 * 1024
    assert free_of_machine(tmp_path / "none") is None
    assert free_of_group(tmp_path) is None
    (tmp_path / "memory.current").write_text("30\n")
    for bound, left in (("max", None), ("100", 70), ("20", 0)):
        (tmp_path / "memory.max").write_text(f"{bound}\n")
        assert free_of_group(tmp_path) == left
    free = free_memory("cpu")
    assert free is None or free > 2**20


@pytest.mark.parametrize("num_bytes", [1, 2**40])
def test_every_request_is_answered_however_little_memory_there_is(
    tmp_path: Path, num_bytes: int
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v")

    async def scenario() -> None:
        with local_engine(num_bytes=num_bytes) as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            wanted = [request(engine, n=n, max_tokens=4, seed=n) for n in (1, 2, 3)]
            answers = await asyncio.gather(*map(engine.generate, wanted))
            assert [len(each) for each in answers] == [1, 2, 3]

    asyncio.run(scenario())
