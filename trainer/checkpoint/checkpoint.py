"""How a version becomes durable: written aside, synced, renamed; and found again after a crash.
Knows no loss and no event log beyond the `Weights` event inside the manifest.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bus.events import Weights
from bus.faults import fault_point
from trainer.checkpoint.files import make_folder, sync
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    MANIFEST,
    DamagedCheckpoint,
    Manifest,
    folder_name,
    read_manifest,
    sha256_of,
    verify_files,
)
from trainer.checkpoint.probe import PROBE
from trainer.checkpoint.retention import Needed, Retention, clear_aside
from trainer.config import CheckpointsConfig, Format

MODEL = "model.safetensors"
ADAPTER, ADAPTER_CONFIG = "adapter/adapter_model.safetensors", "adapter/adapter_config.json"
STATE = "state/state.safetensors"
_PUBLISHED = {"full": MODEL, "lora": ADAPTER}
_NAMED = ".default.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a version is made of: the published weights, the state to resume from (empty where an
    old version has lost it), what engines must answer once they have loaded it (`make_probe`), and
    the folder whose other files (configuration, tokenizer) it shares. An adapter ("lora") shares
    its base weights too."""

    model: dict[str, Tensor]
    state: dict[str, Tensor]
    shared_from: Path
    probe: bytes | None = None
    format: Format = "full"


class Checkpoints:
    """The checkpoint folders of one run."""

    def __init__(
        self,
        run: Path,
        keep: CheckpointsConfig = CheckpointsConfig(),  # noqa: B008 - it is frozen
        *,
        keep_states: int = 3,
        evaluated_every: int = 0,
    ) -> None:
        self.run = run
        self.root = run / CHECKPOINTS
        self._retention = Retention(run, keep, keep_states, evaluated_every)
        self._staged: Path | None = None
        self._epoch = 0
        self._cleared = False
        self._known: dict[tuple[int, ...], str] = {}

    @property
    def seed_folder(self) -> Path:
        """Where the files of a model lie that version 0 will share."""
        return self.root / ".seed"

    def location(self, version: int, epoch: int) -> str:
        """Where a version lies, relative to the run."""
        return f"{CHECKPOINTS}/{folder_name(version, epoch)}"

    def stage(self, snapshot: Snapshot, version: int, epoch: int) -> "Staged":
        """Write the files of a version aside. Nothing of it exists until `Staged.commit`."""
        aside = self.root / f".{folder_name(version, epoch)}"
        shutil.rmtree(aside, ignore_errors=True)
        self._staged, self._epoch = self.root / folder_name(version, epoch), epoch
        try:
            return self._write_aside(snapshot, aside, self._staged)
        except BaseException:
            # On a full disk what was half written takes space that is needed.
            shutil.rmtree(aside, ignore_errors=True)
            raise

    def _write_aside(self, snapshot: Snapshot, aside: Path, folder: Path) -> "Staged":
        published = published_file(snapshot.format)
        make_folder(self.root)
        for path in (aside / STATE, aside / published):
            path.parent.mkdir(parents=True, exist_ok=True)
        shared = sorted(_shared(snapshot) - {published})
        for name in shared:
            link_or_copy(snapshot.shared_from / name, aside / name)
        save_file(_filed(snapshot), aside / published, metadata={"format": "pt"})
        save_file(snapshot.state, aside / STATE)
        own = [published]
        if snapshot.probe is not None:
            (aside / PROBE).write_bytes(snapshot.probe)
            own.append(PROBE)
        digests = self._digests([aside / name for name in shared])
        return Staged(
            aside=aside,
            folder=folder,
            files=dict(zip(shared, digests, strict=True))
            | {name: sha256_of(aside / name) for name in own},
            state={STATE: sha256_of(aside / STATE)},
        )

    def _digests(self, paths: Sequence[Path]) -> list[str]:
        """sha256 of each; what is the very file of the version before is not read again."""
        keys = [_identity(path) for path in paths]
        self._known = {
            key: self._known.get(key) or sha256_of(path)
            for key, path in zip(keys, paths, strict=True)
        }
        return [self._known[key] for key in keys]

    def recent(self, head: Manifest, count: int) -> list[Manifest]:
        """`head` and its forebears, newest first, at most `count`."""
        manifests = [head]
        while len(manifests) < count and manifests[-1].weights.parent is not None:
            folders = list(self.root.glob(f"v{manifests[-1].weights.parent:06d}-*"))
            parents = [read_manifest(folder) for folder in folders]
            wanted = manifests[-1].weights.parent_id
            parent = next((found for found in parents if found.weights.id == wanted), None)
            if parent is None:
                raise DamagedCheckpoint(f"the parent of version {manifests[-1].version} is missing")
            manifests.append(parent)
        return manifests

    def load(self, manifest: Manifest) -> Snapshot:
        """The tensors of a version, digests checked; raises `DamagedCheckpoint`."""
        folder = self.root / manifest.folder_name
        kind = manifest.weights.format
        has_state = (folder / STATE).parent.is_dir()
        verify_files(folder, manifest.files | (manifest.state if has_state else {}))
        try:
            return Snapshot(
                model=_learned(load_file(folder / published_file(kind)), kind),
                state=load_file(folder / STATE) if has_state else {},
                shared_from=folder,
                format=kind,
            )
        except SafetensorError as error:
            raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from None

    def weights(self, version: Weights) -> dict[str, Tensor]:
        """The published tensors of a version by their names in the model that learns, digest
        checked; raises `DamagedCheckpoint`."""
        folder = self.run / version.location
        name = published_file(version.format)
        verify_files(folder, {name: version.files[name]})
        return _learned(load_file(folder / name), version.format)

    def prune(self, needed: Needed = Needed()) -> None:  # noqa: B008 - it is frozen
        """Thin out what the rules take by now, and clear away what crashes left."""
        if not self._cleared:
            clear_aside(self.root, self._epoch)
            shutil.rmtree(self.seed_folder, ignore_errors=True)
            self._cleared = True
        if self._staged is not None and self._staged.exists():
            self._retention.add(self._staged)
        self._staged = None
        self._retention.prune(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A version written aside: its digests are known, it does not exist yet."""

    aside: Path
    folder: Path
    files: dict[str, str]
    state: dict[str, str]

    def commit(self, manifest: Manifest) -> None:
        """Make it durable, then make it exist: sync every file, rename, sync the parent."""
        (self.aside / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        names = {*self.files, *self.state, MANIFEST}
        for path in {folder for name in names for folder in Path(name).parents} | names:
            sync(self.aside / path)
        fault_point("trainer.synced")
        if self.folder.exists():
            raise DamagedCheckpoint(f"{self.folder} exists already; two trainers share an epoch")
        self.aside.rename(self.folder)
        sync(self.folder.parent)


def published_file(kind: Format) -> str:
    """Which file of a version has the weights that were learned."""
    return _PUBLISHED[kind]


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _shared(snapshot: Snapshot) -> set[str]:
    names = {path.name for path in snapshot.shared_from.iterdir() if path.is_file()}
    adapter = {ADAPTER_CONFIG} if snapshot.format == "lora" else set()
    return names - {MANIFEST, PROBE} | adapter


def _filed(snapshot: Snapshot) -> dict[str, Tensor]:
    """The weights by their names in the file: those that peft writes lack the adapter's own."""
    if snapshot.format == "full":
        return snapshot.model
    tensors = snapshot.model.items()
    return {f"{name.removesuffix(_NAMED)}.weight": value for name, value in tensors}


def _learned(tensors: dict[str, Tensor], kind: Format) -> dict[str, Tensor]:
    """The weights by their names in the model that learns."""
    if kind == "full":
        return tensors
    return {name.removesuffix(".weight") + _NAMED: value for name, value in tensors.items()}


def link_or_copy(source: Path, target: Path) -> None:
    """Hard link, so that a thousand versions share one tokenizer; copy where links fail."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync(target)
