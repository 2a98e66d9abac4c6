"""Names of the program that cases use and that need no torch, and how its parts are put together.
When one moves, adapt it here."""

from pathlib import Path
from typing import Any

from agents.parts import Parts
from bus.codec import MAX_VALUE_BYTES, encode
from bus.errors import BusError, Fenced, Unreachable, Unreadable
from bus.events import (
    Attempt,
    Control,
    Judgment,
    Sample,
    Span,
    Task,
    Turn,
    Verdict,
    Weights,
    derive_id,
)
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import wanted_settings
from bus.memory.bus import MemoryBus
from bus.records import to_records
from bus.runner import Runner
from bus.sqlite.bus import SqliteBus
from bus.topics import TOPICS, partition_of
from bus.versions import Versions
from evolvent.cli import app
from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace

__all__ = [
    "MAX_VALUE_BYTES",
    "TOPICS",
    "Attempt",
    "BusError",
    "Cluster",
    "Control",
    "Fenced",
    "Judgment",
    "KafkaBus",
    "Runner",
    "Sample",
    "Span",
    "SqliteBus",
    "Task",
    "Turn",
    "Unreachable",
    "Unreadable",
    "UsageError",
    "Verdict",
    "Versions",
    "Weights",
    "app",
    "derive_id",
    "domain_of",
    "encode",
    "load_recipe",
    "partition_of",
    "parts_of",
    "to_records",
    "wanted_settings",
]


def domain_of(run: Path) -> Any:
    """The domain that a run works in."""
    return parts_of(RunFolder(run).recipe(), run).domain


def parts_of(recipe: Recipe, folder: Path) -> Parts:
    """What blocks of a run in `folder` are built from, on a log of its own."""
    return Workplace(folder, "case", recipe, MemoryBus(), LogVoice()).parts
