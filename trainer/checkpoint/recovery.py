"""What log and checkpoints agree on after a crash or a power cut, or when an older copy of the log
was put back; and what is set aside. Knows no tensor.

    v0 … vH     published: the log ends at version H
    v(H+1)      pending: made and not yet published, from records that are on the log
    the rest    rests on what the log no longer has: moved to RUN/checkpoints/aside/, never deleted
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bus.events import Weights
from bus.log import Log
from bus.records import Record
from bus.versions import Versions
from trainer.checkpoint.files import sync
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    DamagedCheckpoint,
    Manifest,
    checkpoint_folders,
    folder_number,
    id_of_record,
    is_thinned,
    read_manifest,
    verify_files,
)

ASIDE = "aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The newest version on the log, None while there is none; the one that is `pending`; and the
    folders `beyond`, which the log knows nothing of."""

    head: Manifest | None
    pending: Manifest | None
    beyond: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """What is set aside and why; "" when nothing is."""
        if not self.beyond:
            return ""
        last = self.pending or self.head
        end = "has no version" if last is None else f"goes to version {last.version}"
        names = ", ".join(folder.name for folder in self.beyond[:3])
        more = f" and {len(self.beyond) - 3} more" if len(self.beyond) > 3 else ""
        return (
            f"the log {end}; what was made beyond it is set aside in {CHECKPOINTS}/{ASIDE}: "
            f"{names}{more}"
        )


def agreed(run: Path, log: Log, *, below_epoch: int | None = None) -> Agreed:
    """Compare the log with the folders of a run; changes nothing. A folder of `below_epoch` or a
    later one is a successor's. Raises `DamagedCheckpoint` when the log's last version is not in its
    folder."""
    newest = Versions(log).newest()
    head = None if newest is None else published(run, newest)
    following = 0 if head is None else head.version + 1
    beyond = {
        folder: number[0]
        for folder in checkpoint_folders(run)
        if (number := folder_number(folder)) is not None
        and number[0] >= following
        and (below_epoch is None or number[1] < below_epoch)
    }
    # Of several, which fenced trainers may have left, the one of the highest epoch.
    for folder in reversed([one for one, number in beyond.items() if number == following]):
        if (pending := _pending(folder, head, log)) is not None:
            del beyond[folder]
            return Agreed(head=head, pending=pending, beyond=tuple(beyond))
    return Agreed(head=head, pending=None, beyond=tuple(beyond))


def published(run: Path, weights: Weights) -> Manifest:
    """The manifest of a version on the log; raises `DamagedCheckpoint` if it differs."""
    manifest = read_manifest(run / weights.location)
    if manifest.weights.id != weights.id:
        raise DamagedCheckpoint(f"{weights.location} is not the version that the log names")
    return manifest


def set_aside(run: Path, found: Agreed) -> None:
    """Move what lies beyond the log out of the way of those who read checkpoints."""
    aside = run / CHECKPOINTS / ASIDE
    for folder in found.beyond:
        aside.mkdir(exist_ok=True)
        name, again = folder.name, 1
        while (aside / name).exists():
            again += 1
            name = f"{folder.name}-{again}"
        folder.rename(aside / name)
    if found.beyond:
        sync(aside)
        sync(aside.parent)


def highest_epoch(run: Path) -> int:
    """Of all folders, those set aside too: what a trainer makes must have a name of its own, even
    if the log has forgotten who made versions before."""
    folders = [*checkpoint_folders(run)]
    if (run / CHECKPOINTS / ASIDE).is_dir():
        folders += (run / CHECKPOINTS / ASIDE).iterdir()
    return max((found[1] for one in folders if (found := folder_number(one))), default=0)


def newest_whole(run: Path, versions: Iterator[Weights]) -> Manifest:
    """The first of `versions` whose weights are there. Raises `DamagedCheckpoint`."""
    for version in versions:
        if not is_thinned(run / version.location):
            return published(run, version)
    raise DamagedCheckpoint(f"no version in {run / CHECKPOINTS} has its weights")


def rests_on(log: Log, manifest: Manifest) -> bool:
    """Whether every record that a version consumed is on the log, where it was; what was trimmed
    has been archived."""
    heads, starts = log.heads(), log.starts()
    wanted: dict[tuple[str, int], dict[int, str]] = {}
    for one in manifest.consumed:
        wanted.setdefault((one.topic, one.partition), {})[one.offset] = one.id
    for stream, ids in wanted.items():
        if max(ids) >= heads.get(stream, 0):
            return False
        for record in log.read(*stream, max(min(ids), starts.get(stream, 0)), max(ids) + 1):
            if not _is_it(record, ids):
                return False
    return True


def _is_it(record: Record, ids: dict[int, str]) -> bool:
    return record.offset not in ids or ids[record.offset] == id_of_record(record)


def _pending(folder: Path, head: Manifest | None, log: Log) -> Manifest | None:
    """The manifest of a folder that can be published after `head`."""
    try:
        manifest = read_manifest(folder)
        state = manifest.state if (folder / "state").is_dir() else {}
        verify_files(folder, {**manifest.files, **state})
    except (DamagedCheckpoint, OSError):
        return None
    parent_id = None if head is None else head.weights.id
    if manifest.folder_name != folder.name or manifest.weights.parent_id != parent_id:
        return None
    return manifest if rests_on(log, manifest) else None
