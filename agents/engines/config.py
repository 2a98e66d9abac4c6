"""Which engines there are: the union that a recipe chooses from. Loads no torch.

Every configuration says who serves with it (`build`), at which addresses (`servers`, none but for
servers), and what serves a chosen version in this process (`in_process`).
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agents.engines.engine import Engine, EngineUnusable
from agents.engines.scripted import ScriptedEngine
from agents.engines.vllm.options import VllmOptions


class LocalConfig(BaseModel):
    """A model in the agent's own process. `inflight` says what a swap does to the rows in
    flight: they finish under the old weights ("wait") or go on under the new ("keep"). `device` is
    `cpu`, `cuda` or `cuda:N`; `auto` takes a GPU where there is one. `dtype` is that of products,
    the checkpoint's by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["local"] = "local"
    inflight: Literal["keep", "wait"] = "wait"
    max_rows: int = Field(default=1024, gt=0)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] | None = None

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise ValueError("a device is auto, cpu, cuda or cuda:N")
        return device

    @property
    def servers(self) -> tuple[str, ...]:
        return ()

    def in_process(self) -> "LocalConfig":
        return self

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        """Raises `EngineUnusable` where the device is missing."""
        from agents.engines.local.device import device_of
        from agents.engines.local.engine import LocalEngine

        try:
            device = device_of(self.device)
        except ValueError as error:
            raise EngineUnusable(f"engine.{error}") from None
        return LocalEngine(
            executor,
            inflight=self.inflight,
            max_rows=self.max_rows,
            seed=seed,
            device=device,
            dtype=self.dtype,
        )


class VllmConfig(BaseModel):
    """vLLM, in the agent's own process or beside it (`apart`; by default on GPUs only).

    `inflight` says what a swap does to requests in flight: they go on under the new weights
    ("keep"), are finished first ("wait") or are drawn anew ("abort"). What is None follows from
    the checkpoint or the device. Checkpoints outside `root`, where it is set, are refused.
    `metrics` keeps vLLM's numbers for Prometheus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["vllm"] = "vllm"
    inflight: Literal["keep", "wait", "abort"] = "keep"
    apart: bool | None = None
    max_rows: int = Field(default=256, gt=0)
    max_length: int | None = Field(default=None, gt=1)
    cache_megabytes: int | None = Field(default=None, gt=0)
    gpu_memory_share: float = Field(default=0.9, gt=0, le=1)
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    root: str | None = None
    metrics: bool = False

    @property
    def servers(self) -> tuple[str, ...]:
        return ()

    def in_process(self) -> "VllmConfig":
        return self

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        """Raises `EngineUnusable` where vLLM is missing or does not fit the machine."""
        from agents.engines.vllm.setup import prepare

        # What it sets must be set before the libraries that the engine needs are imported.
        prepare()
        from agents.engines.vllm.engine import VllmEngine
        from agents.engines.vllm.start import starter

        return VllmEngine(starter(self.options(), executor, seed), self.inflight)

    def options(self) -> VllmOptions:
        return VllmOptions(
            apart=self.apart,
            max_rows=self.max_rows,
            max_length=self.max_length,
            cache_megabytes=self.cache_megabytes,
            gpu_memory_share=self.gpu_memory_share,
            dtype=self.dtype,
            root=self.root,
            metrics=self.metrics,
        )


class ServerConfig(BaseModel):
    """Servers elsewhere, at `urls`. `control` says who swaps their weights: servers started by
    `evolvent serve` follow the log themselves ("evolvent"); vLLM's own servers are swapped by the
    agent ("vllm"), which must be their only one. Whatever finds no server waits
    `patience_seconds` for one. The token that servers of evolvent ask for is taken from
    EVOLVENT_SERVE_TOKEN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["server"] = "server"
    urls: tuple[str, ...] = ("http://127.0.0.1:8200",)
    control: Literal["evolvent", "vllm"] = "evolvent"
    patience_seconds: float = Field(default=300.0, gt=0)

    @field_validator("urls")
    @classmethod
    def _reachable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not urls or not all(re.match(r"https?://[^/?#]+", url) for url in urls):
            raise ValueError("name one or more servers as http://HOST:PORT")
        if len(set(urls)) < len(urls):
            raise ValueError("name each server once")
        return urls

    @property
    def servers(self) -> tuple[str, ...]:
        return self.urls

    def in_process(self) -> LocalConfig:
        """Servers have the newest version only."""
        return LocalConfig()

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        """Raises `EngineUnusable` where the extra is missing."""
        try:
            from agents.engines.server.engine import ServerEngine
            from agents.engines.server.link import Link, ServerLink
            from agents.engines.server.vllm_link import VllmLink
            from agents.engines.server.wire import TOKEN_VARIABLE
        except ModuleNotFoundError as error:
            raise EngineUnusable(
                f"engine.type = server needs the extra `server` ({error}): install it with "
                "`uv sync --extra server`"
            ) from None
        token = os.environ.get(TOKEN_VARIABLE, "")
        links: list[Link] = [
            VllmLink(url) if self.control == "vllm" else ServerLink(url, token) for url in self.urls
        ]
        return ServerEngine(links, patience_seconds=self.patience_seconds)


class ScriptedConfig(BaseModel):
    """No model: one of `answers`, drawn by the seed, after `latency_seconds`. Its tokens are the
    seed model's characters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["scripted"] = "scripted"
    answers: tuple[str, ...] = Field(default=("",), min_length=1)
    latency_seconds: float = Field(default=0.0, ge=0)

    @property
    def servers(self) -> tuple[str, ...]:
        return ()

    def in_process(self) -> "ScriptedConfig":
        return self

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        return ScriptedEngine(
            lambda prompt, version, random: random.choice(self.answers),
            seed=seed,
            latency_seconds=self.latency_seconds,
        )


EngineConfig = Annotated[
    LocalConfig | VllmConfig | ServerConfig | ScriptedConfig, Field(discriminator="type")
]
