"""What a checkpoint says of itself: the manifest, from which learning is proved exactly-once.
Knows no tensor: readers of manifests need no torch.

    RUN/checkpoints/v000007-e0002/        version 7, written under fencing epoch 2
        model.safetensors  config.json  tokenizer.json …   an ordinary Hugging Face folder
        adapter/                                           what peft adds to it, if that learns
        state/state.safetensors                            what training resumes from (newest few)
        manifest.json                                      this
        thinned.json                                       which of its files are gone by which rule
    RUN/checkpoints/aside/                versions that the log has lost (see `recovery`)
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.errors import Outage
from bus.events import EventId, Weights, derive_id
from bus.records import Position, Record

MANIFEST = "manifest.json"
THINNED = "thinned.json"
CHECKPOINTS = "checkpoints"
_FORMAT = 1
_FOLDER = re.compile(r"v(\d{6,})-e(\d{4,})")
_OUR_ID = re.compile("[0-9a-f]{32}")


class DamagedCheckpoint(Outage):
    """A checkpoint is not what its manifest says: one sentence."""


def id_of_place(topic: str, partition: int, offset: int) -> str:
    """What names a record that has no valid id of its own."""
    return derive_id("", "unreadable", f"{topic}/{partition}/{offset}")


def id_of_record(record: Record) -> str:
    """By which a manifest names a record of the log."""
    if _OUR_ID.fullmatch(record.event_id):
        return record.event_id
    return id_of_place(record.topic, record.partition, record.offset)


class Consumed(BaseModel):
    """One record that went into this version: its event id and where it lies on the log."""

    model_config = ConfigDict(frozen=True)

    id: EventId
    topic: str
    partition: int
    offset: int

    @property
    def position(self) -> Position:
        return Position(topic=self.topic, partition=self.partition, offset=self.offset)


_WHY = frozenset({"stale", "refused", "duplicate", "dead", "poison", "unreadable"})


class Dropped(Consumed):
    """A record that was consumed and not learned from, and why."""

    reason: str

    @property
    def why(self) -> str:
        """The first word of the reason that says what kind it is of."""
        first = self.reason.split(" ", 1)[0].rstrip(":")
        return first if first in _WHY else "other"


class Manifest(BaseModel):
    """Written last into a checkpoint folder; a folder without a valid one does not exist.

    `files` maps the served files to their sha256, `state` those that training resumes from
    (deleted from all but the newest checkpoints). `weights` is the event that publishes it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = _FORMAT
    recipe: str = Field(description="digest of the recipe that the version was learned by")
    trained: tuple[Consumed, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    files: dict[str, str]
    state: dict[str, str] = {}
    weights: Weights

    @property
    def version(self) -> int:
        return self.weights.number

    @property
    def folder_name(self) -> str:
        return folder_name(self.version, self.weights.epoch)

    @property
    def consumed(self) -> tuple[Consumed, ...]:
        return self.trained + self.dropped


def folder_name(version: int, epoch: int) -> str:
    """A zombie of an older epoch can never write into the folder of its successor."""
    return f"v{version:06d}-e{epoch:04d}"


def folder_number(folder: Path) -> tuple[int, int] | None:
    """The version and the epoch that a folder is named by; None for one of another name."""
    found = _FOLDER.match(folder.name)
    return (int(found[1]), int(found[2])) if found else None


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`; raises `DamagedCheckpoint`."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes())
        if raw.get("format", 0) > _FORMAT:
            raise DamagedCheckpoint(f"{path} was written by a newer evolvent; use that one")
        return Manifest.model_validate(raw)
    except FileNotFoundError:
        raise DamagedCheckpoint(f"{path} is missing") from None
    except (ValueError, TypeError, AttributeError, ValidationError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read ({type(error).__name__})") from None


def verify_files(folder: Path, digests: dict[str, str]) -> None:
    """Raise `DamagedCheckpoint` unless every file is there with its sha256."""
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise DamagedCheckpoint(f"{path} is missing")
        if sha256_of(path) != digest:
            raise DamagedCheckpoint(f"{path} is damaged: its sha256 is not the manifest's")


def is_thinned(folder: Path) -> bool:
    """Whether a version's weights were taken by the rules of its recipe."""
    return (folder / THINNED).exists()


def thinned_files(folder: Path) -> frozenset[str]:
    """Which files of a version were taken by rule; raises `DamagedCheckpoint`."""
    try:
        return frozenset(json.loads((folder / THINNED).read_bytes())["files"])
    except FileNotFoundError:
        return frozenset()
    except (ValueError, TypeError, KeyError):
        raise DamagedCheckpoint(f"{folder / THINNED} cannot be read") from None


def checkpoint_folders(run: Path) -> Iterator[Path]:
    """Every complete checkpoint folder of a run, in order of version, then epoch."""
    root = run / CHECKPOINTS
    if root.is_dir():
        yield from sorted(path for path in root.iterdir() if path.name.startswith("v"))


def nearest_whole(run: Path, version: int) -> list[int]:
    """The versions next to one, below and above, whose weights are there."""
    whole = [
        int(folder.name[1:].partition("-")[0])
        for folder in checkpoint_folders(run)
        if not is_thinned(folder)
    ]
    below = max((number for number in whole if number < version), default=None)
    above = min((number for number in whole if number > version), default=None)
    return [number for number in (below, above) if number is not None]
