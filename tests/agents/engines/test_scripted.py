"""The scripted engine alone: its answers are its script's, and it stops at once."""

import asyncio
from random import Random

import pytest

from agents.engines.engine import Request
from agents.engines.scripted import EOS_ID, ScriptedEngine


def test_answers_what_the_script_says() -> None:
    def reverse(prompt: str, version: int, random: Random) -> str:
        return prompt[-2:0:-1] if version > 0 else "?"

    async def scenario() -> None:
        engine = ScriptedEngine(reverse, version=1)
        asked = Request(prompt_tokens=engine.encode("rabc>"), n=2, max_tokens=9)
        for completion in await engine.generate(asked):
            assert engine.decode(completion.tokens) == "cba"
            assert completion.tokens[-1] == EOS_ID
        short = Request(prompt_tokens=engine.encode("rabc>"), max_tokens=2)
        [cut] = await engine.generate(short)
        assert (engine.decode(cut.tokens), cut.finish_reason) == ("cb", "length")

    asyncio.run(scenario())


def test_two_engines_say_the_same() -> None:
    def roll(prompt: str, version: int, random: Random) -> str:
        return str(random.randrange(10**9))

    async def scenario() -> None:
        asked = Request(prompt_tokens=(5, 6), n=3, max_tokens=12)
        first, again, other = [
            await ScriptedEngine(roll, version=version).generate(asked) for version in (0, 0, 1)
        ]
        assert first == again
        assert [each.tokens for each in first] != [each.tokens for each in other]

    asyncio.run(scenario())


def test_close_does_not_sit_out_the_latency() -> None:
    async def scenario() -> None:
        engine = ScriptedEngine(lambda prompt, *_: prompt, version=0, latency_seconds=600)
        asked = Request(prompt_tokens=engine.encode("abc"), max_tokens=9)
        waiting = asyncio.ensure_future(engine.generate(asked))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(RuntimeError, match="closed"):
            await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
