"""The report of a run: one self-contained page and its pictures. Knows the log of the run and
nothing else of it; draws no picture itself.
"""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.errors import BusError, Unreadable
from bus.events import Judgment, Refusal, SuiteScore
from bus.log import Log
from bus.records import Record
from observability.progress.progress import Progress
from observability.progress.status import as_json
from observability.replay.forks import forks, said_of
from observability.report.files import replace_file

_SHOWN_JUDGMENTS = 3
_SHOWN_ANSWERS = 4
_MAX_REFUSALS_READ = 2000
_TEMPLATES = Path(__file__).parent / "templates"
_CAPTIONS = {
    "accuracy": "Held-out tasks, never proposed and never learned from, answered greedily by each "
    "evaluated version; the levels below the gap are those of the warm-up and show forgetting.",
    "quantities": "What the domain measures of each evaluated version besides right answers.",
    "curriculum": "The estimated success on each level that is asked; the line is the frontier, "
    "the hardest level asked.",
    "throughput": "Tokens that were sampled and learned from, and versions published, while the "
    "run was going on.",
    "staleness": "How many versions old the answers were when they were learned from.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One sampled answer; `count` samples of the group said the same."""

    text: str
    reward: float
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One judgment as the page shows it, and where it lies on the log."""

    position: str
    question: str
    prompt: str
    expected: str
    level: str
    versions: str
    success: float
    answers: tuple[Answer, ...]
    num_hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A held-out score at the start and now."""

    seen: bool
    first: SuiteScore | None
    last: SuiteScore


def write_report(log: Log, run_dir: Path) -> Path:
    """Write RUN/report: index.html and a PNG for each picture. Every file is written aside and
    renamed, the page last, so a crash leaves the old report readable. Returns the page's path;
    raises `BusError` when the folder cannot be written."""
    from observability.report import canvas
    from observability.report.pictures import draw

    progress = Progress(log)
    progress.refresh()
    light, dark = draw(progress, canvas.LIGHT), draw(progress, canvas.DARK)
    page = _page(log, progress, light, dark, run_dir)
    folder = run_dir / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, png in light.items():
            replace_file(folder / f"{name}.png", png)
        return replace_file(folder / "index.html", page.encode())
    except OSError as error:
        raise BusError(
            f"the report cannot be written to {folder} ({error.strerror}): make room there or "
            "make it writable"
        ) from None


def _page(
    log: Log, progress: Progress, light: dict[str, bytes], dark: dict[str, bytes], run_dir: Path
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: "–" if share is None else f"{share * 100:.1f} %"
    environment.filters["number"] = lambda n, digits=0: "–" if n is None else f"{n:,.{digits}f}"
    pictures = [
        {
            "name": name,
            "caption": _CAPTIONS[name],
            "light": b64encode(png).decode("ascii"),
            "dark": b64encode(dark[name]).decode("ascii"),
        }
        for name, png in light.items()
    ]
    status = as_json(progress)
    return environment.get_template("report.html").render(
        status=status,
        progress=progress,
        run_name=run_dir.resolve().name,
        forked=said_of(forks(log)),
        pictures=pictures,
        changes=_changes(progress),
        means={each["version"]: each for each in status["curve"]},
        totals=_totals(progress),
        judgments=_judgments(log),
        refusals=_refusals(log, progress),
        settings=_json(progress.newest_start.settings if progress.newest_start else None, indent=2),
        objective=_json(status["control"]["objective"]),
        heads=_heads(log),
    )


def _changes(progress: Progress) -> list[Change]:
    first, last = progress.first_evaluation, progress.newest_evaluation
    if first is None or last is None:
        return []
    before = {(score.suite, score.level): score for score in first.scores}
    end = progress.held_out_levels.warm_up_end
    return [
        Change(
            seen=end is not None and score.level <= end,
            first=before.get((score.suite, score.level)),
            last=score,
        )
        for score in sorted(last.scores, key=lambda score: (score.suite, score.level))
    ]


def _totals(progress: Progress) -> dict[str, float]:
    totals = progress.totals
    return {
        "trained": totals.trained,
        "dropped": totals.dropped,
        "samples": totals.samples,
        "tokens": totals.tokens,
        "skipped": totals.skipped,
        "minutes": totals.seconds / 60,
    }


def _heads(log: Log) -> dict[str, list[tuple[int, int]]]:
    heads: dict[str, list[tuple[int, int]]] = {}
    for (topic, partition), end in sorted(log.heads().items()):
        heads.setdefault(topic, []).append((partition, end))
    return heads


def _json(settings: Mapping[str, Any] | None, indent: int | None = None) -> str:
    if settings is None:
        return ""
    return json.dumps(settings, indent=indent, ensure_ascii=False, default=str)


def _judgments(log: Log) -> list[tuple[str, list[Shown]]]:
    """The first and the last judgments of the log, none of them twice."""
    first: list[tuple[Record, Judgment]] = []
    last: list[tuple[Record, Judgment]] = []
    for (topic, partition), end in log.heads().items():
        if topic == "judgments":
            middle = min(_SHOWN_JUDGMENTS, end)
            first += _read(log, partition, 0, middle)
            last += _read(log, partition, max(middle, end - _SHOWN_JUDGMENTS), end)
    first.sort(key=lambda each: each[1].created_at)
    last = sorted(last + first[_SHOWN_JUDGMENTS:], key=lambda each: each[1].created_at)
    groups = {"The first": first[:_SHOWN_JUDGMENTS], "The newest": last[-_SHOWN_JUDGMENTS:]}
    return [(title, [_shown(*each) for each in group]) for title, group in groups.items() if group]


def _read(log: Log, partition: int, start: int, end: int) -> Iterator[tuple[Record, Judgment]]:
    for record in log.read("judgments", partition, start, end):
        try:
            event = record.event()
        except Unreadable:
            continue
        if isinstance(event, Judgment) and event.verdicts:
            yield record, event


def _shown(record: Record, judgment: Judgment) -> Shown:
    """Equal answers counted once, the most frequent first."""
    task = judgment.attempt.task
    counts: Counter[tuple[str, float, str]] = Counter(
        (sample.answer, verdict.reward, verdict.reason)
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=False)
    )
    versions = sorted(
        {span.version for s in judgment.attempt.samples for turn in s.turns for span in turn.spans}
    )
    return Shown(
        position=f"{record.topic}/{record.partition}/{record.offset}",
        question=task.question,
        prompt=task.prompt,
        expected=task.answer,
        level=f"{task.family}, level {task.level}",
        versions=", ".join(map(str, versions)),
        success=judgment.success,
        answers=tuple(
            Answer(text=text, reward=reward, reason=reason, count=count)
            for (text, reward, reason), count in counts.most_common(_SHOWN_ANSWERS)
        ),
        num_hidden=sum(counts.values())
        - sum(count for _, count in counts.most_common(_SHOWN_ANSWERS)),
    )


def _refusals(log: Log, progress: Progress) -> dict[str, Any]:
    """Reasons of the newest refusals, most frequent first."""
    end = progress.counts.get("refusals", 0)
    reasons: Counter[str] = Counter()
    start = max(0, end - _MAX_REFUSALS_READ)
    for record in log.read("refusals", 0, start, end) if end else ():
        try:
            event = record.event()
        except Unreadable:
            continue
        if isinstance(event, Refusal):
            reasons[event.reason] += 1
    return {"reasons": reasons.most_common(20), "read": end - start}
