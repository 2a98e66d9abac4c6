"""What every engine promises: the same tests over each of them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agents.engines.engine import Completion, Request
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, Open, request

EOS = 1


def well_formed(completion: Completion, max_tokens: int) -> bool:
    length = len(completion.tokens)
    covered = [token for span in completion.spans for token in range(span.start, span.end)]
    ended = completion.tokens[-1] == EOS
    return (
        1 <= length <= max_tokens
        and len(completion.logprobs) == length
        and all(value <= 0 for value in completion.logprobs)
        and covered == list(range(length))
        and completion.finish_reason == ("stop" if ended else "length")
        and (ended or length == max_tokens)
        and EOS not in completion.tokens[:-1]
    )


def test_text_survives_encoding(open_engine: Open, checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            text = "r0123456789+-*=:az,;>PS#|"
            tokens = engine.encode(text)
            assert len(tokens) == len(text)
            assert engine.decode(tokens) == text
            assert engine.decode([*tokens, EOS]) == text
            assert engine.decode([tokens[0], 60, tokens[1]]) != text[:2]

    asyncio.run(scenario())


def test_serves_nothing_before_the_first_swap(open_engine: Open) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            assert engine.version == -1
            with pytest.raises(RuntimeError, match="no weights yet"):
                await engine.generate(Request(prompt_tokens=(5,), max_tokens=1))

    asyncio.run(scenario())


def test_samples_as_many_as_asked(open_engine: Open, checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            report = await engine.swap(4, checkpoints[0].folder, checkpoints[0].files)
            assert (report.from_version, report.to_version, engine.version) == (-1, 4, 4)
            sizes = [(1, 1), (5, 3), (8, 12), (64, 60)]
            answers = await asyncio.gather(
                *(engine.generate(request(engine, n=n, max_tokens=m)) for n, m in sizes)
            )
            for (n, max_tokens), completions in zip(sizes, answers, strict=True):
                assert len(completions) == n
                assert all(well_formed(each, max_tokens) for each in completions)
                assert {span.version for each in completions for span in each.spans} == {4}
            reasons = {each.finish_reason for completions in answers for each in completions}
            assert reasons == {"stop", "length"}

    asyncio.run(scenario())


def test_greedy_repeats_itself(open_engine: Open, checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=3, temperature=0.0, max_tokens=10)
            first, second = await engine.generate(asked), await engine.generate(asked)
            assert len({each.tokens for each in first + second}) == 1

    asyncio.run(scenario())


def test_a_seed_fixes_samples_alone_and_in_a_crowd(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=4, max_tokens=10, seed=7)
            alone = await engine.generate(asked)
            crowd = [
                engine.generate(request(engine, "s" + "b" * (i % 9) + ">", n=3, seed=i))
                for i in range(40)
            ]
            together, *_ = await asyncio.gather(engine.generate(asked), *crowd)
            other = await engine.generate(request(engine, n=4, max_tokens=10, seed=8))
            assert [each.tokens for each in together] == [each.tokens for each in alone]
            assert [each.tokens for each in other] != [each.tokens for each in alone]
            assert len({each.tokens for each in alone}) > 1

    asyncio.run(scenario())


def test_a_text_that_stops_ends_a_sample_with_the_token_that_completes_it(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=12, max_tokens=40, seed=5)
            whole = await engine.generate(asked)
            texts = [engine.decode(each.tokens) for each in whole]
            longest = max(texts, key=len)
            stop = ("no such text", longest[len(longest) // 2 :][:2])
            cut = await engine.generate(replace(asked, stop=stop))
            for one, other, text in zip(cut, whole, texts, strict=True):
                length = len(one.tokens)
                assert one.tokens == other.tokens[:length]
                # Fewer rows side by side may round otherwise.
                assert one.logprobs == pytest.approx(other.logprobs[:length], abs=1e-5)
                assert (one.spans[0].start, one.spans[-1].end) == (0, length)
                if stop[1] in text:
                    assert one.finish_reason == "stop"
                    assert engine.decode(one.tokens).endswith(stop[1])
                    assert stop[1] not in engine.decode(one.tokens[:-1])
                else:
                    assert (one.tokens, one.finish_reason) == (other.tokens, other.finish_reason)
            assert sum(len(each.tokens) for each in cut) < sum(len(each.tokens) for each in whole)

    asyncio.run(scenario())


def test_a_version_not_above_is_passed_over(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(3, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, temperature=0.0)
            before = await engine.generate(asked)
            for version in (3, 2):
                report = await engine.swap(version, checkpoints[1].folder, checkpoints[1].files)
                assert (report.from_version, report.to_version) == (3, 3)
            assert engine.version == 3
            assert await engine.generate(asked) == before

    asyncio.run(scenario())


def test_no_request_is_lost_across_twenty_swaps(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            finished, answered = asyncio.Event(), asyncio.Event()

            async def caller(number: int) -> list[tuple[int, list[Completion]]]:
                answers: list[tuple[int, list[Completion]]] = []
                while not finished.is_set():
                    text = "r" + "x" * (number % 7) + ">"
                    asked = request(engine, text, n=4, max_tokens=20, temperature=1.0)
                    since = engine.version
                    answers.append((since, await engine.generate(asked)))
                    answered.set()
                return answers

            async def swapper() -> None:
                for version in range(1, 21):
                    checkpoint = checkpoints[version % 3]
                    await engine.swap(version, checkpoint.folder, checkpoint.files)
                    answered.clear()
                    await answered.wait()
                finished.set()

            callers = [caller(number) for number in range(16)]
            *answers, _ = await asyncio.wait_for(asyncio.gather(*callers, swapper()), 60)
            seen = set()
            for since, completions in (each for made in answers if made for each in made):
                assert len(completions) == 4
                for completion in completions:
                    assert well_formed(completion, 20)
                    versions = [span.version for span in completion.spans]
                    assert versions == sorted(versions)
                    assert versions[0] >= since
                    seen.update(versions)
            assert engine.version == 20
            assert len(seen) > 2

    asyncio.run(scenario())


def test_a_cancelled_caller_harms_no_other(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=2, max_tokens=60, seed=1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.generate(request(engine, max_tokens=60)), 0.0001)
            before = await engine.generate(asked)
            # Before a batch has begun, and in the midst of it.
            for seconds in (0.001, 0.01, 0.02, 0.04):
                async with asyncio.TaskGroup() as group:
                    kept = group.create_task(engine.generate(asked))
                    dropped = group.create_task(engine.generate(request(engine, max_tokens=60)))
                    await asyncio.sleep(seconds)
                    dropped.cancel()
                assert [each.tokens for each in kept.result()] == [each.tokens for each in before]

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [0.01, 0.03])
def test_an_answer_that_ended_comes_though_nobody_waits_for_the_rest(
    open_engine: Open, checkpoints: list[Checkpoint], seconds: float
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            async with asyncio.TaskGroup() as group:
                short = group.create_task(engine.generate(request(engine, max_tokens=3)))
                long = group.create_task(engine.generate(request(engine, n=9, max_tokens=110)))
                await asyncio.sleep(seconds)
                long.cancel()
            assert len(short.result()) == 1
            # Nor is a request of another kind in its way.
            assert len(await engine.generate(request(engine, top_k=2**63))) == 1

    asyncio.run(scenario())


def test_close_leaves_nobody_waiting(open_engine: Open, checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=8, max_tokens=120)
            waiting = [asyncio.ensure_future(engine.generate(asked)) for _ in range(30)]
            await asyncio.sleep(0.0005)
            await engine.close()
            ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
            assert all(isinstance(end, list | RuntimeError) for end in ends)
            with pytest.raises(RuntimeError, match="closed"):
                await engine.generate(asked)
            await engine.close()

    asyncio.run(scenario())


SENSELESS: list[dict[str, Any]] = [
    {"prompt_tokens": ()},
    {"n": 0},
    {"max_tokens": 0},
    {"temperature": -1.0},
    {"temperature": 1e-40},
    {"temperature": float("nan")},
    {"top_p": 0.0},
    {"top_p": 1.1},
    {"top_k": -1},
]


def test_a_senseless_request_is_an_error_of_its_caller(
    open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            for wrong in SENSELESS:
                with pytest.raises(ValueError, match="a request needs"):
                    await engine.generate(request(engine, **wrong))
                assert len(await engine.generate(request(engine))) == 1, wrong

    asyncio.run(scenario())
