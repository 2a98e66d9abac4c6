"""What vLLM is started with. Knows no recipe; what each setting means stands at `VllmConfig`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """What is None follows from the checkpoint or the device."""

    apart: bool | None
    max_rows: int
    max_length: int | None
    cache_megabytes: int | None
    gpu_memory_share: float
    dtype: Literal["float32", "bfloat16", "float16"] | None
    root: str | None
    metrics: bool
