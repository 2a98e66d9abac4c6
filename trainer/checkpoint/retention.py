"""Which versions stay whole, and what is taken from the others: weights, so that a disk lasts, and
what training resumes from. A manifest is never taken: it proves what was learned. Knows no log.

    RUN/checkpoints/v000007-e0002/        thinned out: nothing is left but
        manifest.json  thinned.json       what it was, and which of its files are gone by which rule

A version costs the same, however many there are: all folders are looked at once, then each one as
it grows old.
"""

import fcntl
import json
import os
import re
import shutil
from bisect import insort
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.checkpoint.files import write_synced
from trainer.checkpoint.manifest import MANIFEST, THINNED, checkpoint_folders
from trainer.config import CheckpointsConfig

AT_ONCE = 16
"""So many old versions are thinned out beside one new one: a rule that became stricter does not
hold up learning."""

_NAME = re.compile(r"v(\d+)-e(\d+)")
_LEFT = {MANIFEST, THINNED}

Version = tuple[int, Path]
"""A version's number and its folder."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Versions that no rule may take: those from `awaited` on, which somebody has still to read,
    and `versions`. Those `resumed` keep what training resumes from, too."""

    awaited: int | None = None
    versions: frozenset[int] = frozenset()
    resumed: frozenset[int] = frozenset()


class Retention:
    """The checkpoint folders of a `run`. Of those whose number is a multiple of `evaluated_every`
    the newest are kept as evaluated ones; 0 means that none are."""

    def __init__(
        self, run: Path, keep: CheckpointsConfig, keep_states: int, evaluated_every: int
    ) -> None:
        self._run, self._keep = run, keep
        self._keep_states = keep_states
        self._evaluated_every = evaluated_every
        self._looked = False
        self._newest = -1
        self._states: list[Path] = []
        self._young: deque[Version] = deque()
        self._evaluated: list[Version] = []
        self._needed: list[Version] = []

    def add(self, folder: Path) -> None:
        """A version that was just written."""
        if self._looked:
            self._newest = max(self._newest, _number(folder))
            self._states.append(folder)
            self._young.append((_number(folder), folder))

    def prune(self, needed: Needed) -> None:
        """Take what the rules take by now."""
        if not self._looked:
            self._look()
        spare = [folder for folder in self._states if _number(folder) not in needed.resumed]
        kept = max(0, self._keep_states - (len(self._states) - len(spare)))
        for folder in spare[: max(0, len(spare) - kept)]:
            self._states.remove(folder)
            shutil.rmtree(folder / "state", ignore_errors=True)
        for version in self._outgrown(needed):
            with _nobody_holds(version[1]) as free:
                if free:
                    self._thin(version[1])
                else:
                    self._needed.append(version)

    def _look(self) -> None:
        for folder in checkpoint_folders(self._run):
            self._newest = max(self._newest, _number(folder))
            names = set(os.listdir(folder))
            if "state" in names:
                self._states.append(folder)
            # What a crash left half thinned is brought to its end.
            if MANIFEST in names and names != _LEFT:
                self._young.append((_number(folder), folder))
        self._looked = True

    def _outgrown(self, needed: Needed) -> list[Version]:
        """Those whose time has come, at most `AT_ONCE`."""
        outgrown: list[Version] = []
        again = [one for one in self._needed if one[0] not in needed.versions]
        self._needed = [one for one in self._needed if one[0] in needed.versions]
        while len(outgrown) < AT_ONCE and (again or self._has_old(needed)):
            version = again.pop() if again else self._young.popleft()
            if version[0] in needed.versions:
                self._needed.append(version)
            elif is_kept_for_ever(version[0], self._keep):
                continue
            elif self._evaluated_every and version[0] % self._evaluated_every == 0:
                insort(self._evaluated, version)
                # A folder that a trainer left beside its successor's is no version of its own.
                if len({number for number, _ in self._evaluated}) > self._keep.keep_evaluated:
                    outgrown.append(self._evaluated.pop(0))
            else:
                outgrown.append(version)
        self._needed += again
        return outgrown

    def _has_old(self, needed: Needed) -> bool:
        if not self._young:
            return False
        oldest = self._young[0][0]
        if needed.awaited is not None and oldest >= needed.awaited:
            return False
        return oldest <= self._newest - self._keep.keep_newest

    def _thin(self, folder: Path) -> None:
        """Say what goes, durably, and let it go: killed anywhere, it is done again."""
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - _LEFT
        if not names or not (folder / MANIFEST).exists():
            return
        if not (folder / THINNED).exists():
            rule = {**self._keep.model_dump(), "newest": self._newest}
            write_synced(folder / THINNED, json.dumps({"rule": rule, "files": sorted(names)}))
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in _LEFT:
                path.unlink(missing_ok=True)


@contextmanager
def _nobody_holds(folder: Path) -> Iterator[bool]:
    """Whether no engine loads or serves a version now; none begins meanwhile."""
    try:
        manifest = (folder / MANIFEST).open("rb")
    except OSError:
        yield True
        return
    with manifest:
        try:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def is_kept_for_ever(version: int, keep: CheckpointsConfig) -> bool:
    return version == 0 or bool(keep.keep_every and version % keep.keep_every == 0)


def clear_aside(root: Path, epoch: int) -> None:
    """Delete what trainers up to `epoch` left half written; what a successor writes just now is its
    own."""
    for aside in root.glob(".v*"):
        if (found := _NAME.search(aside.name)) and int(found[2]) <= epoch:
            shutil.rmtree(aside, ignore_errors=True)


def _number(folder: Path) -> int:
    """The version that a folder is named by; -1 for one that has another name."""
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else -1
