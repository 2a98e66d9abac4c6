"""A process whose vLLM is asked in two traces; it prints how many tokens each got. Spans are of
the whole process, so a test needs one of its own."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opentelemetry.trace import use_span

from agents.engines.config import VllmConfig
from tests.agents.engines.checkpoint.tiny_checkpoint import digests, request
from tests.agents.engines.vllm.collector import caller


async def ask_in_two_traces(folder: Path, apart: bool) -> None:
    with ThreadPoolExecutor(1) as executor:
        engine = VllmConfig(cache_megabytes=16, apart=apart).build(executor, seed=0)
        await engine.swap(0, folder, digests(folder))
        for number in (1, 2):
            with use_span(caller(0xA0 + number, 0xB0 + number)):
                asked = request(engine, n=number, max_tokens=7, temperature=1.0)
                made = await engine.generate(asked)
            print(sum(len(completion.tokens) for completion in made))
        await engine.close()


if __name__ == "__main__":
    asyncio.run(ask_in_two_traces(Path(sys.argv[1]), apart=sys.argv[2] == "apart"))
