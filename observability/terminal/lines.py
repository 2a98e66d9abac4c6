"""What the live view and the summary say alike, a line each. Knows only `Progress`."""

import json

from rich.text import Text

from bus.events import Lesson
from observability.progress.disk import Disk, said
from observability.progress.moves import FEW
from observability.progress.progress import Progress
from observability.terminal.heat import heat_style

_SHOWN_LEVELS = 10
_NBSP = "\N{NO-BREAK SPACE}"


def frontier(progress: Progress) -> list[Text]:
    """For each family the levels asked of it, coloured by success, and the hardest of them."""
    curriculum = progress.newest_curriculum
    if curriculum is None:
        return []
    longest = max(map(len, curriculum.top), default=0)
    lines = []
    for family, top in sorted(curriculum.top.items()):
        line = Text(f"{family:<{longest}} ")
        for level in range(max(1, top - _SHOWN_LEVELS + 1), top + 1):
            rate = curriculum.success.get(f"{family}/{level}")
            line.append(f" {level} ", style=heat_style(rate) if rate is not None else "dim")
        lines.append(line.append(f" ◀ frontier {top}", style="bold"))
    return lines


def quantities(progress: Progress) -> list[str]:
    """What the domain measures of the weights besides right answers: at the start and now."""
    return [
        f"{name.replace('_', ' ')} {'–' if first is None else f'{first:.3g}'} → {now:.3g}"
        for name, (first, now) in progress.quantities.items()
    ]


def tries(progress: Progress) -> list[str]:
    """How far tries and lessons come, where a task is tried more than once."""
    shares = progress.solved_by_try
    if not shares:
        return []
    said = " · ".join(f"{share:.0%} by try {number}" for number, share in enumerate(shares, 1))
    return [f"{said} · {progress.counts.get(Lesson.topic, 0):,} lessons"]


def policies(progress: Progress) -> str:
    """Of several policies that are trained, how far each is; "" where there is one."""
    if len(progress.policies) < 2:
        return ""
    return " · ".join(
        f"{name} {one.version} ({one.versions:,} versions)"
        for name, one in progress.policies.items()
    )


def waiting(progress: Progress) -> list[str]:
    """How many records of which topic wait for which group."""
    return [
        f"{b.topic} {b.records:,} → {b.group}".replace(" ", _NBSP)
        for b in progress.backlogs
        if b.records
    ]


def told(progress: Progress) -> list[tuple[str, str]]:
    """What the operator and guards have said and what still holds, and what looks amiss: a label
    and a line, for each that does."""
    objective, warned = progress.controls.objective, progress.controls.warned
    settings = {} if objective is None else objective.settings
    lines = {
        "guard": "" if warned is None else warned.finding[1],
        "paused": ", ".join(progress.paused),
        "stopped": ", ".join(progress.stopped),
        "objective": ", ".join(f"{name} = {_value(value)}" for name, value in settings.items()),
        "stalled": _no_progress(progress),
        "unmoved": _nothing_learned(progress),
    }
    return [(label, line) for label, line in lines.items() if line]


def disk_line(disk: Disk) -> Text:
    """What is used and how long the room lasts; it stands out when the reserve is reached."""
    return Text(said(disk), style="bold yellow" if disk.is_low else "")


def _no_progress(progress: Progress) -> str:
    number = progress.evaluations_without_progress
    return f"no progress for {number} evaluations" if number >= FEW else ""


def _nothing_learned(progress: Progress) -> str:
    if not progress.moves.is_worth_a_word:
        return ""
    number = progress.moves.for_nothing
    return f"{number:,} events learned from, still the weights of version 0"


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def printable(text: str) -> str:
    """A text whose lines stay as they are, without what would steer a terminal: a model may have
    written it."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
