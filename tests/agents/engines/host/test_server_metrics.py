"""What a server counts: versions, refusals, samples in flight; and vLLM's numbers beside them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.engines.config import VllmConfig
from agents.engines.engine import SwapRefused
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request
from tests.agents.engines.host.metrics_page import numbers
from tests.agents.engines.serving import Held, agent, serving, swap, until


def test_a_server_counts_what_it_does(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        held = Held()
        async with serving(held) as server, agent(server.url) as engine:
            shown = await asyncio.to_thread(numbers, server.url)
            assert shown["evolvent_version_served"] == -1
            for version in (0, 3):
                await server.swap(version, checkpoints[version % 2])
            await server.swap(1, checkpoints[1])
            wrong = {**checkpoints[0].files, "tokenizer.json": "0" * 64}
            bad = Checkpoint(folder=checkpoints[0].folder, files=wrong)
            async with serving() as other:
                with pytest.raises(SwapRefused):
                    await other.swap(0, bad)
                refusing = await asyncio.to_thread(numbers, other.url)
            assert refusing["evolvent_swaps_refused_total"] == 1
            assert refusing["evolvent_swaps_total"] == 0
            await swap(engine, 3, checkpoints[1])
            asked = [asyncio.ensure_future(engine.generate(request(engine, n=n))) for n in (4, 3)]
            await until(lambda: server.host.state.in_flight == 7)
            shown = await asyncio.to_thread(numbers, server.url)
            assert shown["evolvent_samples_in_flight"] == 7
            held.go.set()
            await asyncio.gather(*asked)
            shown = await asyncio.to_thread(numbers, server.url)
            assert shown["evolvent_samples_in_flight"] == 0
            assert shown["evolvent_version_served"] == 3
            assert shown["evolvent_swaps_total"] == 2
            assert shown["evolvent_swaps_refused_total"] == 0

    asyncio.run(scenario())


@pytest.mark.vllm
def test_every_vllm_of_a_process_is_counted_from_its_start(checkpoints: list[Checkpoint]) -> None:
    """vLLM has one set of numbers in a process: they are those of the engine started last."""

    async def scenario() -> None:
        with ThreadPoolExecutor(max_workers=1) as executor:
            config = VllmConfig(cache_megabytes=16, metrics=True)
            for _ in range(2):
                async with serving(config.build(executor, 0)) as server, agent(server.url) as one:
                    await server.swap(0, checkpoints[0])
                    await swap(one, 0, checkpoints[0])
                    before = await asyncio.to_thread(numbers, server.url)
                    made = await one.generate(request(one, n=5, max_tokens=9))
                    after = await asyncio.to_thread(numbers, server.url)
                    name = "vllm:generation_tokens_total"
                    assert before[name] < 5
                    counted = sum(len(completion.tokens) for completion in made)
                    assert after[name] - before[name] == counted

    asyncio.run(scenario())
