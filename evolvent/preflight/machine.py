"""What this machine has: memory to be used, whether there could be a GPU, and what its CPU
multiplies. Loads no torch."""

from contextlib import suppress
from pathlib import Path

_GPUS = ("nvidia[0-9]*", "kfd", "dxg")
_UNLIMITED = 1 << 60
_IN_16_BITS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def free_bytes(system: Path = Path("/")) -> int | None:
    """Memory that a new process may take, swap included: of the machine, or what its container
    allows. None where the system does not say."""
    found = [size for size in (_of_machine(system), _of_container(system)) if size is not None]
    return min(found, default=None)


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """False only where no driver shows one, on Linux."""
    if not Path("/proc").is_dir():
        return True
    return any(True for pattern in _GPUS for _ in devices.glob(pattern))


def multiplies_bf16(system: Path = Path("/")) -> bool:
    """False only where the CPU is known to have no products of bfloat16."""
    with suppress(OSError):
        for line in (system / "proc" / "cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return not _IN_16_BITS.isdisjoint(value.split())
    return True


def _of_machine(system: Path) -> int | None:
    with suppress(OSError, ValueError):
        fields = {}
        for line in (system / "proc" / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields[name] = int(value.split()[0]) * 1024
        if "MemAvailable" in fields:
            return fields["MemAvailable"] + fields.get("SwapFree", 0)
    return None


def _of_container(system: Path) -> int | None:
    """By cgroups, version 2: what is cached of files can be had back."""
    group = system / "sys" / "fs" / "cgroup"
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = (group / "memory.stat").read_text().split()
        cached = int(stat[stat.index("file") + 1])
        return limit - used + cached if limit < _UNLIMITED else None
    return None
