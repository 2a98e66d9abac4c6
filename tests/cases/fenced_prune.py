"""A trainer that was replaced still deletes: stopped in the middle of `Checkpoints.prune` and woken
later, it empties the version that its successor has just published."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cases._case import FAULT, HOLDS, NotTried, run_case

if TYPE_CHECKING:
    from tests.cases._torch_names import Checkpoints, Manifest, Staged


def parts(run: Path, number: int, epoch: int) -> "tuple[Checkpoints, Staged, Manifest]":
    import torch

    from tests.cases._names import Weights, derive_id
    from tests.cases._torch_names import Checkpoints, Manifest, Snapshot

    tensors = {"w": torch.zeros(1000)}
    checkpoints = Checkpoints(run)
    snapshot = Snapshot(model=tensors, state=tensors, shared_from=run / "shared")
    staged = checkpoints.stage(snapshot, number, epoch)
    weights = Weights(
        id=derive_id("case", "trainer", str(number), epoch), run="case", agent="trainer",
        number=number, parent=number - 1, parent_id="a" * 32, step=number, epoch=epoch,
        location=checkpoints.location(number, epoch), files=staged.files,
    )  # fmt: skip
    manifest = Manifest(recipe="0" * 64, files=staged.files, state=staged.state, weights=weights)
    return checkpoints, staged, manifest


def replaced(run: Path) -> None:
    """The trainer of epoch 2: publishes version 7, is replaced, and only then tidies up."""
    checkpoints, staged, manifest = parts(run, 7, 2)
    staged.commit(manifest)
    unlink = os.unlink

    def once(*words: Any, **named: Any) -> None:
        os.unlink = unlink
        unlink(*words, **named)
        os.kill(os.getpid(), signal.SIGSTOP)

    os.kill(os.getpid(), signal.SIGSTOP)
    os.unlink = once
    checkpoints.prune()


def case(folder: Path) -> tuple[int, str]:
    from tests.cases._torch_names import DamagedCheckpoint, published, verify_files

    (folder / "shared").mkdir()
    (folder / "shared" / "config.json").write_text("{}")
    old = subprocess.Popen([sys.executable, __file__, "replaced", str(folder)])
    kill = os.kill
    try:
        os.waitpid(old.pid, os.WUNTRACED)
        _, staged, manifest = parts(folder, 8, 3)

        def at_the_rename(pid: int, number: int) -> None:
            # Instead of a kill at this fault point: here the old trainer runs into its unlink.
            kill(old.pid, signal.SIGCONT)
            _, status = os.waitpid(old.pid, os.WUNTRACED)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                raise NotTried("the replaced trainer could not tidy up: adapt this case")

        (folder / "faults").mkdir()
        (folder / "faults" / "trainer.synced").touch()
        os.environ["EVOLVENT_FAULTS"], os.kill = str(folder / "faults"), at_the_rename
        staged.commit(manifest)
        os.kill = kill
        if (folder / "faults" / "trainer.synced").exists():
            raise NotTried("there is no fault point trainer.synced any more")
    finally:
        os.kill = kill
        with suppress(ProcessLookupError):
            kill(old.pid, signal.SIGCONT)
        old.wait()
    try:
        published(folder, manifest.weights)
        verify_files(staged.folder, {**staged.files, **staged.state})
    except DamagedCheckpoint as error:
        return FAULT, f"a published version was emptied: {error}".replace(str(folder), "RUN")
    return HOLDS, "the version that its successor published is whole"


if __name__ == "__main__":
    if sys.argv[1:2] == ["replaced"]:
        replaced(Path(sys.argv[2]))
    else:
        run_case(case)
