"""What an attempt costs that is judged again, beside its judge: on a made-up log as a run."""

import asyncio
import time
from pathlib import Path
from typing import Any

from bus.events import Weights, derive_id
from bus.log import Log
from evolvent.recipe.load import load_recipe
from evolvent.replay.rejudge import rejudge
from evolvent.run.folder import RunFolder
from trainer.checkpoint.manifest import MANIFEST, Consumed, Manifest


def as_run(path: Path, run_id: str) -> RunFolder:
    """The folder of a log as that of a run, whose judge agrees with what was judged."""
    folder = RunFolder(path)
    folder.create(load_recipe("vote", ["trainer.max_staleness=1000000"]), run_id)
    return folder


def judged_again(folder: RunFolder, log: Log) -> dict[str, Any]:
    """Every version has a manifest that names what it consumed; time is the processor's."""
    for record in log.read(Weights.topic):
        event = record.event()
        if isinstance(event, Weights):
            _write_manifest(folder.path / event.location, event)
    started = time.process_time()
    found = asyncio.run(rejudge(folder, folder.recipe(), None, lambda *_: None))
    seconds = time.process_time() - started
    count = found["verdicts"]["judgments"]
    return {
        "judged_again": count,
        "judged_again_per_second": round(count / seconds),
        "beside_the_judge_ms": round(1000 * (seconds - found["judge_seconds"]) / count, 3),
        "otherwise_judged": int(not found["none"]),
    }


def _write_manifest(folder: Path, weights: Weights) -> None:
    trained = tuple(
        Consumed(
            id=derive_id(weights.run, "critic", place, offset),
            topic=place.partition("/")[0],
            partition=int(place.partition("/")[2]),
            offset=offset,
        )
        for place, ranges in weights.positions.items()
        for start, end in ranges
        for offset in range(start, end)
    )
    manifest = Manifest(recipe="0" * 64, trained=trained, files=weights.files, weights=weights)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
