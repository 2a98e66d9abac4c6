"""Lineages and traces as people read them: lines of text. Knows no log."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from observability.lineage.lineage import Lineage, Source, Step, steps_shown
from observability.lineage.taught import Learner, Taught
from observability.lineage.trace import Happened

MOST = 8
"""So many judgments, steps of a path and evaluations are shown to people."""

Tree = tuple[str, list["Tree"]]
"""A line, and what hangs on it."""


def text_of(tree: Tree) -> str:
    return "\n".join(_lines(tree))


def _lines(tree: Tree) -> Iterator[str]:
    line, children = tree
    yield line
    for number, child in enumerate(children, 1):
        last = number == len(children)
        for place, each in enumerate(_lines(child)):
            head = ("└─ " if last else "├─ ") if place == 0 else ("   " if last else "│  ")
            yield head + each


def _leaves(lines: Sequence[str]) -> list[Tree]:
    return [(line, []) for line in lines]


def tree_of_lineage(found: Lineage, most: int = MOST) -> Tree:
    own, behind = found.path[0], found.behind
    children = [_sources(found, most)] if found.sources else []
    if found.refusals:
        children.append((f"{len(found.refusals):,} refused proposals", []))
    path = [
        f"… {step:,} versions …" if isinstance(step, int) else _step(step, found.run)
        for step in steps_shown(found.path[1:], most)
    ]
    whole = (
        f"{behind.versions:,} versions behind it: {_judgments(behind.judgments)}, "
        f"{behind.trained:,} learned from, {behind.dropped:,} dropped, {behind.correct:,} of "
        f"{behind.samples:,} samples right"
    )
    children.append((whole, _leaves(path)))
    return f"version {found.version} of {found.run}, {_when(own)} {found.id}", children


def _sources(found: Lineage, most: int) -> Tree:
    levels = [
        f"{family} {level}: {tasks} tasks, {correct} of {samples} samples right"
        for family, level, tasks, samples, correct in found.levels
    ]
    left = len(found.sources) - most
    shown = [_source(source) for source in found.sources[:most]]
    return f"{_judgments(len(found.sources))} with their attempts and tasks", [
        ("granted by " + _versions(found.counted("granted_by")), []),
        ("sampled by " + _versions(found.counted("sampled_by")), []),
        *_written(found),
        ("levels", _leaves(levels)),
        ("one by one", _leaves(shown + [f"… {left:,} more"] * (left > 0))),
    ]


def _written(found: Lineage) -> list[Tree]:
    written = found.counted("proposed_by")
    return [("tasks written by " + _versions(written), [])] if written else []


def _source(source: Source) -> str:
    fate = "" if source.learned is None or source.learned else f", dropped: {source.reason}"
    return (
        f"judgment {source.judgment} ← attempt {source.attempt} ← task {source.task} "
        f"({source.family} {source.level}, {source.correct} of {source.counted} right{fate})"
    )


def _step(step: Step, run: str) -> str:
    """Of another run where that is its parent's."""
    whose = "" if step.run == run else f" of {step.run}"
    what = "the root" if step.version == 0 else _judgments(step.judgments)
    return f"version {step.version}{whose}, {_when(step)} {what}"


def _when(step: Step) -> str:
    return f"{step.created_at:%Y-%m-%d %H:%M:%S}:"


def _judgments(number: int) -> str:
    return f"{number:,} judgment{'' if number == 1 else 's'}"


def _versions(counted: dict[str, int]) -> str:
    return ", ".join(f"version {number}: {count:,}" for number, count in counted.items())


def tree_of_taught(found: Taught, most: int = MOST) -> Tree:
    learners: list[Tree] = [_learner(one, most) for one in found.learners]
    learners = learners or _leaves(["no version has consumed it"])
    if found.type == "refusal":
        return f"refusal {found.id}", learners
    letters = _leaves([f"dead letter {letter}" for letter in found.letters])
    if found.judgment is None:
        judged: list[Tree] = _leaves(["no judgment"]) + letters + learners
    else:
        judged = [(f"judgment {found.judgment}", learners), *letters]
    tried = [(f"attempt {found.attempt}", judged)] if found.attempt else judged
    return f"task {found.task}", tried


def _learner(learner: Learner, most: int) -> Tree:
    said = {True: "learned from it", False: f"dropped it: {learner.reason}", None: "consumed it"}
    measured = [
        f"version {one.version}: held out {one.held_out:.1%}, seen {one.seen:.1%}"
        for one in learner.evaluations[:most]
    ]
    left = len(learner.evaluations) - len(measured)
    children: list[Tree] = _leaves(
        [f"{learner.descendants:,} versions stand on it, up to {learner.newest}"]
        if learner.descendants
        else []
    )
    if measured:
        more = _leaves([f"… {left:,} more"]) if left else []
        children.append(("evaluations that followed", _leaves(measured) + more))
    return f"version {learner.version} {said[learner.learned]}", children


def lines_of_trace(happened: Sequence[Happened]) -> list[str]:
    """A line an event: its time, what passed since the one before, who said what, and where."""
    passed = [0.0, *((b.at - a.at).total_seconds() for a, b in pairwise(happened))]
    place = max(len(one.place) for one in happened)
    agent = max(len(one.agent) for one in happened)
    return [
        f"{one.at:%H:%M:%S}.{one.at.microsecond // 1000:03} {seconds:+9.3f} s  "
        f"{one.place:{place}}  {one.agent:{agent}}  {_says(one)}"
        for one, seconds in zip(happened, passed, strict=True)
    ]


def _says(one: Happened) -> str:
    sampled = ", ".join(map(str, one.versions))
    by = f" (by version {sampled})" if one.type == "attempt" else ""
    return one.says + by
