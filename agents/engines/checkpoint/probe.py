"""The reference answers that a checkpoint carries: whether an engine that loaded it says the
same. Knows no engine.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import SwapRefused

PROBE = "probe.json"
_TOLERANCE = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}

_ROUNDINGS = 100
"""Every layer rounds anew: so many times what the last place of the first one moves, up to what is
allowed in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Token ids, and the log-probability of each but the first given those before it; `rounding` is
    how far these moved with the last place of what was read."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    rounding: float = 0.0


def read_probes(folder: Path, files: Mapping[str, str]) -> tuple[Probe, ...]:
    """The probes of a checkpoint; none where it lists no `probe.json`. Raises `SwapRefused`."""
    if PROBE not in files:
        return ()
    content = read_verified(folder, {PROBE: files[PROBE]}, (PROBE,))[PROBE]
    try:
        said = json.loads(content)
        # Versions of an earlier evolvent do not say it.
        rounding = float(said.get("rounding", 0.0))
        probes = tuple(
            Probe(
                tokens=tuple(map(int, each["tokens"])),
                logprobs=tuple(map(float, each["logprobs"])),
                rounding=rounding,
            )
            for each in said["probes"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SwapRefused(f"{PROBE} in {folder} cannot be read: {error!r}") from None
    if any(len(probe.tokens) != len(probe.logprobs) + 1 for probe in probes):
        raise SwapRefused(f"{PROBE} in {folder} does not have a log-probability per token")
    return probes


def tolerance(dtype: str) -> float:
    """How far two ways to compute a log-probability may lie apart."""
    return _TOLERANCE.get(dtype, _TOLERANCE["bfloat16"])


def failure(probe: Probe, said: Sequence[float], dtype: str) -> str | None:
    """Why `said` is not what the probe expects; None if it is."""
    most = tolerance("bfloat16")
    allowed = max(tolerance(dtype), min(most, _ROUNDINGS * probe.rounding))
    apart = [abs(ours - theirs) for ours, theirs in zip(said, probe.logprobs, strict=True)]
    # Not a comparison of the largest: one that is no number compares with nothing.
    if all(each <= allowed for each in apart):
        return None
    worst = max(each for each in apart if not each <= allowed)
    return (
        f"the loaded weights answer otherwise than published: a log-probability is {worst:.2g} "
        f"off, {allowed:.2g} is allowed"
    )
