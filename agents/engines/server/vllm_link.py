"""vLLM's own API server as an agent sees it that is its only writer: requests one by one, and the
swap by vLLM's own verbs. Knows no other server.

    want: verify (generation goes on) -> pause(keep, cache cleared) -> load -> version -> resume
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
from opentelemetry import propagate

from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    prompting_texts,
    read_prompting,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import Completion, Request, Swap, SwapRefused, Unservable, fitted
from agents.engines.server.link import Lost, Unfit
from agents.engines.server.wire import digest_of
from bus.events import Span

VERSION = "0.32.0"
_LOOK_SECONDS = 0.5
_AS_LONG_AS_IT_TAKES = aiohttp.ClientTimeout(total=None, sock_connect=5)
_START = (
    "start it as docs/serving.md says: VLLM_SERVER_DEV_MODE=1, --enable-scale-out, "
    "--worker-extension-cls and --weight-transfer-config"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    version: int
    folder: Path
    files: dict[str, str]
    stop_ids: tuple[int, ...]
    never: dict[int, float]
    vocab: int
    texts: Mapping[str, str]


class VllmLink:
    """`Link` to one `vllm serve` that sees the run's folder under the same path."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.fault = ""
        self.version = -1
        self.digest = ""
        self.in_flight = 0
        self.refused = (-1, "")
        self.swap: Swap | None = None
        self._session: Any = None
        self._model = ""
        self._max_length: int | None = None
        self._wanted: _Wanted | None = None
        self._news = asyncio.Event()

    async def want(self, version: int, folder: Path, digests: dict[str, str]) -> None:
        self._wanted = await asyncio.to_thread(_wanted, version, folder, digests)
        self._news.set()

    async def run(self, changed: Callable[[], None]) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=600, sock_connect=5)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            self._session = session
            while True:
                try:
                    await self._stay_up_to_date(changed)
                except Unfit as error:
                    self.fault = str(error)
                except (aiohttp.ClientError, OSError, TimeoutError, Lost):
                    self.fault = ""
                self.version = -1
                changed()
                await asyncio.sleep(_LOOK_SECONDS)

    async def _stay_up_to_date(self, changed: Callable[[], None]) -> None:
        """Look whether the server is there, and bring it to what is wanted; raises when lost."""
        await self._check()
        self.fault = ""
        while True:
            self._news.clear()
            wanted = self._wanted
            behind = wanted is not None and max(self.version, self.refused[0]) < wanted.version
            if wanted is not None and behind:
                await self._push(wanted)
                changed()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                if await self._label() != str(self.version) and self.version >= 0:
                    raise Lost(f"{self.url} was started again or has another writer") from None

    async def _check(self) -> None:
        """Whether this is a server that can be swapped. Raises `Unfit`."""
        async with self._session.get(self.url + "/version") as answer:
            said = await answer.json(content_type=None) if answer.status == 200 else {}
        found = str(said.get("version", "")) if isinstance(said, dict) else ""
        if found.partition("+")[0] != VERSION:
            what = f"vLLM {found}" if found else "no vLLM"
            raise Unfit(f"{self.url} is {what}, this needs {VERSION}: install that there")
        if await self._label() is None:
            raise Unfit(f"{self.url} has no control endpoints: {_START}")
        async with self._session.post(self.url + "/inference/v1/generate", json={}) as answer:
            if answer.status in (403, 404):
                raise Unfit(f"{self.url} takes no token ids: {_START}")
        async with self._session.get(self.url + "/v1/models") as answer:
            [model, *_] = (await answer.json())["data"]
        self._model, self._max_length = model["id"], model.get("max_model_len")

    async def _label(self) -> str | None:
        async with self._session.get(self.url + "/weight_info") as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise Lost(f"{self.url} answers {answer.status}")
            return str((await answer.json())["weight_version"])

    async def _push(self, wanted: _Wanted) -> None:
        started = perf_counter()
        path = str(wanted.folder)
        why = await self._verify(path, wanted.files)
        if why:
            self.refused = (wanted.version, why)
            return
        before, verified = self.version, perf_counter()
        update = {"update_info": {"path": path, "sha256": wanted.files}}
        await self._post("/pause?mode=keep&clear_cache=true")
        await self._post("/start_weight_update")
        await self._post("/update_weights", update)
        await self._post("/finish_weight_update", {"weight_version": str(wanted.version)})
        await self._post("/resume")
        self.version, self.digest = wanted.version, digest_of(wanted.files)
        self.swap = Swap(
            from_version=before,
            to_version=wanted.version,
            load_ms=1e3 * (verified - started),
            pause_ms=1e3 * (perf_counter() - verified),
            in_flight=self.in_flight,
        )

    async def _verify(self, path: str, files: Mapping[str, str]) -> str:
        call = {"method": "evolvent_verify", "args": [path, json.dumps(files)]}
        try:
            return str((await self._post("/collective_rpc", call))["results"][0])
        except _Failed as error:
            raise Unfit(f"{self.url} cannot check a checkpoint ({error}): {_START}") from None

    async def _post(self, path: str, body: Any = None) -> Any:
        async with self._session.post(self.url + path, json=body) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise _Failed(f"{path} answers {answer.status}: {text[:200]}")
            return json.loads(text) if text else None

    async def generate(self, name: str, request: Request, at_least: int) -> list[Completion]:
        wanted = self._wanted
        if wanted is None or self.version < at_least:
            raise Lost(f"{self.url} is out of reach")
        request = fitted(request, wanted.vocab, self._max_length)
        headers = {"X-Request-Id": name}
        propagate.inject(headers)
        body = {
            "model": self._model,
            "token_ids": request.prompt_tokens,
            "sampling_params": _sampling(request, wanted.stop_ids, wanted.never),
        }
        self.in_flight += request.n
        try:
            url = self.url + "/inference/v1/generate"
            async with self._session.post(
                url, json=body, headers=headers, timeout=_AS_LONG_AS_IT_TAKES
            ) as answer:
                if answer.status == 400:
                    raise Unservable(f"vLLM refuses the request: {(await answer.text())[:200]}")
                if answer.status != 200:
                    raise Lost(f"{self.url} answers {answer.status}")
                made = [_completion(choice) for choice in (await answer.json())["choices"]]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Lost(f"{self.url}: {error}") from None
        finally:
            self.in_flight -= request.n
        # A greedy sample was drawn once.
        return made if len(made) == request.n else made * request.n

    async def prompting(self) -> Mapping[str, str]:
        if self._wanted is None:
            raise Lost(f"{self.url} serves nothing yet")
        return self._wanted.texts


class _Failed(aiohttp.ClientError):  # type: ignore[misc]
    """The server answered with an error; it may be asked again."""


def _wanted(version: int, folder: Path, files: dict[str, str]) -> _Wanted:
    """What requests to a version need; its weights are the server's to check."""
    from agents.engines.checkpoint.fitting import (
        CONFIG,
        GENERATION,
        never_drawn,
        read_config,
        stop_ids,
    )

    names = (CONFIG, GENERATION, *PROMPTING)
    if missing := [name for name in (CONFIG, TOKENIZER) if name not in files]:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    listed = {name: files[name] for name in names if name in files}
    contents = read_verified(folder, listed, names)
    config = read_config(contents[CONFIG])
    prompting = read_prompting(prompting_texts(contents))
    vocab = int(config.get("vocab_size", 0))
    return _Wanted(
        version=version,
        folder=folder.resolve(),
        files=files,
        stop_ids=stop_ids(contents, config, prompting.tokenizer),
        never=never_drawn(prompting, vocab),
        vocab=vocab,
        texts=prompting.texts,
    )


def _sampling(
    request: Request, stop_ids: tuple[int, ...], never: Mapping[int, float]
) -> dict[str, Any]:
    return {
        "n": request.n if request.temperature else 1,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p if request.narrowed else 1.0,
        "top_k": request.top_k if request.narrowed else 0,
        # Sample j of a group has seed + j, so the seeds of two requests lie far apart.
        "seed": None if request.seed is None else (request.seed << 20) % 2**63,
        "logprobs": 0,
        **({"logit_bias": dict(never)} if never else {}),
        "stop_token_ids": list(stop_ids),
        "detokenize": False,
    }


def _completion(choice: Any) -> Completion:
    return Completion(
        tokens=tuple(choice["token_ids"]),
        # Rounding may lift the logarithm of a certainty above 0.
        logprobs=tuple(min(0.0, each["logprob"]) for each in choice["logprobs"]["content"]),
        finish_reason=choice["finish_reason"],
        spans=tuple(
            Span(version=int(span["version"]), start=span["start"], end=span["end"])
            for span in choice["weight_versions"]
            if span["start"] < span["end"]
        ),
    )
