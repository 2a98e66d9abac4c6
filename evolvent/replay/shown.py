"""What replays found, for people. Knows no run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def differences_shown(found: Mapping[str, Any]) -> RenderableType:
    """What `rejudge` found: one sentence, then what differs."""
    verdicts, versions = found["verdicts"], found["versions"]
    judged = f"{verdicts['judgments']:,} attempts, {verdicts['samples']:,} samples"
    if found["none"]:
        said = f"{judged}, judged again by {found['judge']}: nothing would have been otherwise"
        return Group(Text(said), *_missing(found))
    first = versions["first"]
    turn = "" if first is None else f"; from version {first} on the run would have gone another way"
    shown: list[RenderableType] = [
        Text(f"{judged}, judged again by {found['judge']}{turn}"),
        *_missing(found),
    ]
    tables = [_counts(found), _rewards(found["rewards"])]
    tables += [_versions(versions)] if versions["rows"] else []
    tables += [_examples(verdicts["examples"])] if verdicts["examples"] else []
    for table in tables:
        shown += [Text(), table]
    return Group(*shown)


def _missing(found: Mapping[str, Any]) -> list[Text]:
    count = found["unreadable"]
    return [Text(f"{count:,} judgments cannot be read: left out")] if count else []


def _table(columns: Sequence[str], numbers: int = 0) -> Table:
    """Its last `numbers` columns are numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        right = place >= len(columns) - numbers
        table.add_column(column, justify="right" if right else "left")
    return table


def _counts(found: Mapping[str, Any]) -> Table:
    verdicts, batches, gains = found["verdicts"], found["batches"], found["advantages"]
    versions, promotions = found["versions"], found["promotions"]
    table = _table(("what differs", "", "of"), 2)
    rows = [
        ("verdicts", verdicts["differ"], verdicts["samples"]),
        ("  right that were wrong", verdicts["now_right"], ""),
        ("  wrong that were right", verdicts["now_wrong"], ""),
        ("  known that were not", verdicts["now_known"], ""),
        ("  unknown that were known", verdicts["now_unknown"], ""),
        ("attempts that would be rejected", verdicts["rejected"], verdicts["judgments"]),
        (f"advantages ({gains['baseline']})", gains["differ"], gains["turns"]),
        ("judgments learned from in addition", batches["gained"], batches["judgments"]),
        ("judgments no longer learned from", batches["lost"], batches["judgments"]),
        ("versions that would learn otherwise", versions["differ"], versions["compared"]),
        ("decisions of gates on such versions", promotions["resting"], promotions["decisions"]),
    ]
    for name, count, whole in rows:
        if count:
            table.add_row(name, f"{count:,}", f"{whole:,}" if whole else "")
    return table


def _rewards(rewards: Mapping[str, Any]) -> Table:
    table = _table(("mean reward", "level", "samples", "was", "would be"), 3)
    for row in [*rewards["levels"], {"family": "all", "level": ""} | dict(rewards)]:
        cells = (f"{row['samples']:,}", f"{row['was']:.3f}", f"{row['now']:.3f}")
        table.add_row(Text(row["family"]), str(row["level"]), *cells)
    return table


def _versions(versions: Mapping[str, Any]) -> Table:
    names = ("learned_from", "would_learn_from", "changed", "gained", "lost")
    table = _table(("version", *(name.replace("_", " ") for name in names)), len(names))
    for row in versions["rows"]:
        table.add_row(str(row["version"]), *(f"{row[name]:,}" for name in names))
    if (more := versions["differ"] - len(versions["rows"])) > 0:
        table.add_row(f"{more:,} more")
    return table


def _examples(examples: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(("judgment", "sample", "was", "would be"))
    for one in examples:
        if "rejected" in one:
            table.add_row(one["judgment"], "", "", Text(one["rejected"]))
        else:
            cells = (
                Text(f"{said['reward']:g} {said['reason']}") for said in (one["was"], one["now"])
            )
            table.add_row(one["judgment"], str(one["sample"]), *cells)
    return table
