"""Agents and servers with scripted engines behind them: balance, loss, refusals, versions."""

import asyncio

import pytest

from agents.engines.engine import Completion, EngineUnusable, SwapRefused
from agents.engines.scripted import ScriptedEngine
from harness.broker import free_port
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request
from tests.agents.engines.serving import Held, Serving, agent, say_version, serving, swap, until


def versions(completions: list[Completion]) -> set[int]:
    return {span.version for each in completions for span in each.spans}


def in_flight(server: Serving) -> int:
    return server.host.state.in_flight


def test_the_load_is_shared_by_rows(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        held = [Held(), Held()]
        async with (
            serving(held[0]) as one,
            serving(held[1]) as two,
            agent(one.url, two.url) as engine,
        ):
            for server in (one, two):
                await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            await until(lambda: engine.alive == 2)
            sizes = (8, 4, 4, 1, 1)
            asked = [asyncio.ensure_future(engine.generate(request(engine, n=n))) for n in sizes]
            await until(lambda: in_flight(one) == in_flight(two) == 9)
            for each in held:
                each.go.set()
            assert [len(made) for made in await asyncio.gather(*asked)] == list(sizes)

    asyncio.run(scenario())


def test_a_swap_waits_for_the_slowest_server(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with serving() as one, serving() as two, agent(one.url, two.url) as engine:
            for server in (one, two):
                await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            await until(lambda: engine.alive == 2)
            waiting = asyncio.ensure_future(swap(engine, 1, checkpoints[1]))
            await one.swap(1, checkpoints[1])
            await asyncio.sleep(0.1)
            assert not waiting.done()
            assert engine.version == 0
            made = [await engine.generate(request(engine)) for _ in range(4)]
            assert {0, 1} >= set.union(*map(versions, made))
            await two.swap(1, checkpoints[1])
            await asyncio.wait_for(waiting, 30)
            assert engine.version == 1

    asyncio.run(scenario())


def test_a_server_left_behind_is_left_out_until_it_is_there(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        held = [Held(), Held()]
        async with (
            serving(held[0]) as one,
            serving(held[1]) as two,
            agent(one.url, two.url) as engine,
        ):
            for server in (one, two):
                await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            await until(lambda: engine.alive == 2)
            for each in held:
                each.go.set()
            await one.swap(1, checkpoints[1])
            await asyncio.wait_for(swap(engine, 1, checkpoints[1]), 30)
            made = await asyncio.gather(*(engine.generate(request(engine)) for _ in range(8)))
            assert set.union(*map(versions, made)) == {1}
            await two.swap(2, checkpoints[2])
            await one.swap(2, checkpoints[2])
            await asyncio.wait_for(swap(engine, 2, checkpoints[2]), 30)
            for each in held:
                each.go.clear()
            asked = [asyncio.ensure_future(engine.generate(request(engine))) for _ in range(8)]
            await until(lambda: in_flight(one) == in_flight(two) == 4)
            for each in held:
                each.go.set()
            await asyncio.gather(*asked)

    asyncio.run(scenario())


def test_requests_of_a_lost_server_go_to_another(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        slow = ScriptedEngine(say_version, latency_seconds=60)
        async with serving() as one, agent(one.url) as engine:
            await one.swap(0, checkpoints[0])
            async with serving(slow) as two, agent(one.url, two.url) as both:
                await two.swap(0, checkpoints[0])
                await swap(engine, 0, checkpoints[0])
                await swap(both, 0, checkpoints[0])
                await until(lambda: both.alive == 2)
                asked = [asyncio.ensure_future(both.generate(request(both))) for _ in range(8)]
                await until(lambda: sum(each.done() for each in asked) == 4)
                await two.host.close()
                made = await asyncio.wait_for(asyncio.gather(*asked), 10)
                assert two.host.failed.is_set()
                assert set.union(*map(versions, made)) == {0}

    asyncio.run(scenario())


def test_requests_wait_for_a_server_that_comes_back(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        async with agent(url) as engine:
            slow = ScriptedEngine(say_version, latency_seconds=60)
            async with serving(slow, port) as server:
                await server.swap(3, checkpoints[0])
                await swap(engine, 3, checkpoints[0])
                asked = [asyncio.ensure_future(engine.generate(request(engine))) for _ in range(4)]
                await asyncio.sleep(0.1)
            later = asyncio.ensure_future(engine.generate(request(engine)))
            await asyncio.sleep(0.3)
            assert not any(each.done() for each in [*asked, later])
            async with serving(port=port) as server:
                # Back, but behind: nothing may be answered with less than was in force.
                await server.swap(2, checkpoints[0])
                await asyncio.sleep(0.3)
                assert not any(each.done() for each in [*asked, later])
                await server.swap(4, checkpoints[1])
                made = await asyncio.wait_for(asyncio.gather(*asked, later), 10)
                assert set.union(*map(versions, made)) == {4}

    asyncio.run(scenario())


def test_a_server_that_stops_finishes_what_it_has(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        held = Held()
        async with serving(held) as one, serving() as two, agent(one.url, two.url) as engine:
            for server in (one, two):
                await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            await until(lambda: engine.alive == 2)
            first = asyncio.ensure_future(engine.generate(request(engine, n=100)))
            await until(lambda: in_flight(one) == 100)
            draining = asyncio.ensure_future(one.host.drain(60))
            await asyncio.sleep(0.05)
            await engine.generate(request(engine))
            assert not first.done()
            assert not draining.done()
            held.go.set()
            assert len(await first) == 100
            await asyncio.wait_for(draining, 10)

    asyncio.run(scenario())


def test_a_cancelled_request_is_cancelled_on_the_server(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        slow = ScriptedEngine(say_version, latency_seconds=60)
        async with serving(slow) as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.generate(request(engine)), 1)
            await until(lambda: server.host.state.in_flight == 0)

    asyncio.run(scenario())


def test_a_refused_version_leaves_the_old_one_and_says_why(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        wrong = {**checkpoints[1].files, "model.safetensors": "0" * 64}
        async with serving() as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            with pytest.raises(SwapRefused, match="has sha256"):
                await server.host.swap(1, checkpoints[1].folder, wrong)
            with pytest.raises(SwapRefused, match="has sha256"):
                await engine.swap(1, checkpoints[1].folder, wrong)
            assert versions(await engine.generate(request(engine))) == {0}
            await server.swap(2, checkpoints[2])
            await swap(engine, 2, checkpoints[2])
            assert versions(await engine.generate(request(engine))) == {2}

    asyncio.run(scenario())


def test_a_server_of_another_run_is_refused(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with serving() as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[1])
            with pytest.raises(EngineUnusable, match="other weights under the number 0"):
                await swap(engine, 0, checkpoints[0])

    asyncio.run(scenario())


def test_nobody_there_is_said_after_a_while(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        url = f"http://127.0.0.1:{free_port()}"
        async with agent(url, patience_seconds=0.3) as engine:
            with pytest.raises(EngineUnusable, match=f"no server at {url} serves.*evolvent serve"):
                await swap(engine, 0, checkpoints[0])

    asyncio.run(scenario())
