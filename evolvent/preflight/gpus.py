"""What GPUs are here, and what of evolvent would compute on them. torch is asked in a process of
its own, and only where the system shows a GPU."""

import json
import subprocess
import sys
from dataclasses import dataclass

from evolvent.preflight.machine import may_have_gpu

_ASK = """
import json, torch
seen = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": [
    [torch.cuda.get_device_name(one), *torch.cuda.mem_get_info(one),
     torch.cuda.is_bf16_supported(including_emulation=False)] for one in seen]}))
"""
_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
_ANSWER_SECONDS = 300
_GIB = 1 << 30
_LEARNED_BYTES = 20
"""Of a weight that is learned: itself, its gradient, its average, two moments of AdamW."""

_SERVED_BYTES = 4
"""Of a weight that is not."""

_KEPT_BYTES = 8 * _GIB
"""For the gradient of one part of a step, unless `learner.micro_batch_tokens` says less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One that torch sees; sizes in bytes."""

    name: str
    free: int
    size: int
    has_bf16: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`torch` says which one was asked, with its CUDA, or why it could not be."""

    torch: str
    gpus: tuple[Gpu, ...] = ()


def num_gpus() -> int | None:
    """How many torch sees here; None where it cannot say, which is for others to tell. Takes no
    memory of any."""
    if not may_have_gpu():
        return 0
    try:
        return int(_answered(_COUNT).split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return None


def gpus_here() -> Seen | None:
    """None where the system shows no GPU at all."""
    if not may_have_gpu():
        return None
    try:
        return read(_answered(_ASK))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return Seen(torch=f"torch could not be asked: {last}")
    except (subprocess.SubprocessError, OSError, ValueError, LookupError) as error:
        return Seen(torch=f"torch could not be asked: {error}")


def read(said: str) -> Seen:
    """The last line that the process has said. Raises `ValueError` or `LookupError`."""
    found = json.loads(said.splitlines()[-1])
    cuda = f"CUDA {found['cuda']}" if found["cuda"] else "built without CUDA"
    gpus = (
        Gpu(name=name, free=free, size=size, has_bf16=has_bf16)
        for name, free, size, has_bf16 in found["gpus"]
    )
    return Seen(torch=f"torch {found['torch']}, {cuda}", gpus=tuple(gpus))


def told(gpu: Gpu) -> str:
    bf16 = "bf16" if gpu.has_bf16 else "no bf16"
    return f"{gpu.name}, {gpu.free / _GIB:.1f} of {gpu.size / _GIB:.1f} GiB free, {bf16}"


def would_run(gpus: tuple[Gpu, ...]) -> str:
    """What a recipe that names no device puts on the first of `gpus`, and how much fits there."""
    free = max(0, gpus[0].free - _KEPT_BYTES)
    # The engine serves the weights beside whoever learns them.
    full, adapters = free / (_LEARNED_BYTES + _SERVED_BYTES), free / (2 * _SERVED_BYTES)
    return (
        "learner and engine of type local (device = auto), of models of about "
        f"{full / 1e9:.1f} billion parameters, by LoRA {adapters / 1e9:.1f}"
    )


def _answered(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=_ANSWER_SECONDS,
    ).stdout
