"""Which engines there are: the union that a recipe chooses from. Loads no torch."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agents.engines.engine import Engine, EngineUnusable


class LocalConfig(BaseModel):
    """A model in the agent's own process. `inflight` says what a swap does to the rows in
    flight: they finish under the old weights ("wait") or go on under the new ("keep")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["local"] = "local"
    inflight: Literal["keep", "wait"] = "wait"
    max_rows: int = Field(default=1024, gt=0)
    device: str = "cpu"

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        from agents.engines.local.engine import LocalEngine

        return LocalEngine(
            executor,
            inflight=self.inflight,
            max_rows=self.max_rows,
            seed=seed,
            device=self.device,
        )


class VllmConfig(BaseModel):
    """vLLM, in the agent's own process or beside it (`apart`; by default on GPUs only).

    `inflight` says what a swap does to requests in flight: they go on under the new weights
    ("keep"), are finished first ("wait") or are drawn anew ("abort"). What is None follows from
    the checkpoint or the device. Checkpoints outside `root`, where it is set, are refused.
    `metrics` keeps vLLM's numbers for Prometheus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        """Raises `EngineUnusable` where vLLM is missing or does not fit the machine."""
        from agents.engines.vllm.setup import prepare

        # What it sets must be set before the libraries that the engine needs are imported.
        prepare()
        from agents.engines.vllm.engine import VllmEngine
        from agents.engines.vllm.start import starter

        return VllmEngine(starter(self, executor, seed), self.inflight)


class ServerConfig(BaseModel):
    """Servers elsewhere, at `urls`. `control` says who swaps their weights: servers started by
    `evolvent serve` follow the log themselves ("evolvent"); vLLM's own servers are swapped by the
    agent ("vllm"), which must be their only one. Whatever finds no server waits
    `patience_seconds` for one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        """Raises `EngineUnusable` where the extra is missing."""
        try:
            from agents.engines.server.engine import ServerEngine
            from agents.engines.server.link import Link, ServerLink
            from agents.engines.server.vllm_link import VllmLink
        except ModuleNotFoundError as error:
            raise EngineUnusable(
                f"engine.type = server needs the extra `server` ({error}): install it with "
                "`uv sync --extra server`"
            ) from None
        links: list[Link] = [
            VllmLink(url) if self.control == "vllm" else ServerLink(url) for url in self.urls
        ]
        return ServerEngine(links, patience_seconds=self.patience_seconds)


EngineConfig = Annotated[LocalConfig | VllmConfig | ServerConfig, Field(discriminator="type")]


def in_process(engine: LocalConfig | VllmConfig | ServerConfig) -> LocalConfig | VllmConfig:
    """What serves a chosen version in this process: servers have the newest one only."""
    return LocalConfig() if isinstance(engine, ServerConfig) else engine
