"""Versions of a run whose weights no engine looks into."""

import hashlib
from pathlib import Path

from bus.events import Weights
from tests.agents.asking import weights


def checkpoint(run: Path, number: int) -> Weights:
    """A version whose one file lies in the run's folder."""
    folder = run / f"v{number}"
    folder.mkdir()
    content = f"weights {number}".encode()
    (folder / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    made = weights(number, location=f"v{number}")
    return made.model_copy(update={"files": {"model.safetensors": digest}})
