"""What the engines are held against: vLLM and transformers as they come, in this process, and
vLLM's own server asked by one plain HTTP client. Each answers with the number of tokens made.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from agents.engines.config import VllmConfig
from agents.engines.engine import Request
from benchmarks._work import GROUP
from harness.runs import say


class RawVllm:
    """`LLM.generate` with the options that the `vllm` engine starts vLLM with."""

    def __init__(self, folder: Path, config: VllmConfig) -> None:
        from vllm import LLM

        from agents.engines.vllm.setup import arguments

        self._llm = LLM(**arguments(folder, config.options(), 0))

    async def run(self, requests: Sequence[Request]) -> int:
        from vllm import SamplingParams

        first = requests[0]
        params = SamplingParams(
            n=first.n, max_tokens=first.max_tokens, logprobs=0, detokenize=False
        )
        prompts = [{"prompt_token_ids": list(each.prompt_tokens)} for each in requests]
        made = self._llm.generate(prompts, params, use_tqdm=False)
        return sum(len(sample.token_ids) for each in made for sample in each.outputs)


class RawTransformers:
    """`model.generate`, one static batch."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(folder)

    async def run(self, requests: Sequence[Request]) -> int:
        import torch

        prompts = torch.tensor([each.prompt_tokens for each in requests])
        expanded = prompts.repeat_interleave(GROUP, 0)
        with torch.inference_mode():
            made = self._model.generate(
                expanded,
                attention_mask=torch.ones_like(expanded),
                max_new_tokens=requests[0].max_tokens,
                do_sample=True,
                top_k=0,
                pad_token_id=0,
            )
        return int(made[:, prompts.shape[1] :].numel())


class ContinuousTransformers:
    """transformers' continuous batching, with a pool that fits this work."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")

    async def run(self, requests: Sequence[Request]) -> int:
        from transformers import GenerationConfig
        from transformers.generation import ContinuousBatchingConfig

        prompts = [list(each.prompt_tokens) for each in requests for _ in range(each.n)]
        made = self._model.generate_batch(
            inputs=prompts,
            generation_config=GenerationConfig(
                max_new_tokens=requests[0].max_tokens,
                do_sample=True,
                top_k=0,
                eos_token_id=-1,
                pad_token_id=0,
            ),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=64, num_blocks=520, max_batch_tokens=256
            ),
            progress_bar=False,
        )
        return sum(len(each.generated_tokens) for each in made.values())


class RawHttp:
    """One POST with all prompts to vLLM's own server: the least that HTTP can cost."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, requests: Sequence[Request]) -> int:
        import aiohttp

        body = {
            "model": "model",
            "prompt": [list(each.prompt_tokens) for each in requests],
            "n": requests[0].n,
            "max_tokens": requests[0].max_tokens,
            "temperature": 1.0,
            "logprobs": 0,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        timeout = aiohttp.ClientTimeout(total=300)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self._url + "/v1/completions", json=body) as answer,
        ):
            choices = (await answer.json())["choices"]
        return sum(len(choice["token_ids"]) for choice in choices)


@contextmanager
def vllm_server(folder: Path, port: int, max_rows: int) -> Iterator[str]:
    """vLLM's own server in a process of its own, one thread; the caller waits for its health."""
    options = {
        "--model": str(folder),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--served-model-name": "model",
        "--dtype": "float32",
        "--max-num-seqs": str(max_rows),
        "--kv-cache-memory-bytes": str(64 << 20),
        "--logprobs-mode": "processed_logprobs",
        "--generation-config": "vllm",
    }
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    variables = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCHDYNAMO_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command += [word for option in options.items() for word in option]
    with running(command, variables):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[None]:
    """A server for as long as the context lasts."""
    server = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def wait_for(url: str, seconds: float = 900.0) -> None:
    """Until the server at `url` is healthy: the first start of vLLM on a machine takes minutes."""
    from urllib.error import URLError
    from urllib.request import urlopen

    started = time.monotonic()
    said = 0.0
    while (waited := time.monotonic() - started) < seconds:
        try:
            with urlopen(url + "/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.2)
        if waited > said + 10:
            said = waited
            say(f"waiting for {url} for {waited:.0f} s")
    raise TimeoutError(f"{url} did not become healthy in {seconds:.0f} s")
