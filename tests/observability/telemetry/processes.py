"""Processes that are watched, each with an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]


def watched(environment: Mapping[str, str], module: str, *arguments: str) -> str:
    """What a test's module prints as a process of its own; what it writes into its log is shown
    where it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.observability.telemetry.{module}", *arguments],
        cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


PATIENT = {"OTEL_BSP_EXPORT_TIMEOUT": "60000"}
"""A process ends with all that it has to say, however slow the machine."""


def tasks_kept(environment: Mapping[str, str], share: float) -> dict[str, str]:
    """The environment with a share of the tasks traced."""
    return {
        **environment,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }
