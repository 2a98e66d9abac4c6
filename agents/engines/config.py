"""Which engines there are: the union that a recipe chooses from. Loads no torch."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.engines.engine import Engine


class LocalConfig(BaseModel):
    """A model in the agent's own process. `inflight` says what a swap does to the rows in
    flight: they finish under the old weights ("wait") or go on under the new ("keep")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["local"] = "local"
    inflight: Literal["keep", "wait"] = "wait"
    max_rows: int = Field(default=1024, gt=0)
    device: str = "cpu"

    def build(self, executor: ThreadPoolExecutor, seed: int) -> Engine:
        from agents.engines.local import LocalEngine

        return LocalEngine(
            executor,
            inflight=self.inflight,
            max_rows=self.max_rows,
            seed=seed,
            device=self.device,
        )


EngineConfig = LocalConfig
