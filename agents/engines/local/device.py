"""Where a model computes: what a recipe names, on this machine, and what memory is free there.
Loads torch only to ask it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def device_of(name: str) -> "torch.device":
    """`auto` is the first GPU where there is one. Raises `ValueError` for one that is not there."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    if not is_there(name, count):
        raise ValueError(missing(name, count))
    return torch.device(name)


def is_there(name: str, count: int) -> bool:
    """Whether a device is there on a machine of `count` GPUs."""
    kind, _, number = name.partition(":")
    return kind != "cuda" or int(number or 0) < count


def missing(name: str, count: int) -> str:
    """What to say of a GPU that is not among `count`."""
    if not count:
        return f"device = {name}: there is no GPU on this machine; choose auto or cpu"
    last = "" if count == 1 else f" to cuda:{count - 1}"
    return f"device = {name}: torch sees cuda:0{last} on this machine; choose of these, auto or cpu"


def free_memory(device: str) -> int | None:
    """Bytes that are free on `cpu` or `cuda:N`, under a container's bound too; None where nobody
    says so."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds and does not use is free to it.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    known = [each for each in (free_of_machine(), free_of_group()) if each is not None]
    return min(known, default=None)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether it is what torch says where it got no memory, on a GPU or not."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def free_of_machine(path: Path = _MEMINFO) -> int | None:
    """What Linux says that can be taken without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(path), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def free_of_group(folder: Path = _GROUP) -> int | None:
    """What is left of the bound of a container (cgroup v2); None without one."""
    bound, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
    return max(0, int(bound) - int(used)) if bound.isdigit() and used.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
