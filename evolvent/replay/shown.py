"""What replays found, for people. Knows no run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_SHOWN = 20


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


def retrained_shown(found: Mapping[str, Any]) -> RenderableType:
    """What `retrain` found: one sentence, then what differs, and both curves."""
    made = found["same"] + found["differ"]
    begun = "a new version 0" if found["from"] == "new" else f"version {found['from']}"
    said = f"from {begun} to version {found['until']}"
    if made:
        said += f": of {made:,} versions {found['same']:,} have the same weights, bit for bit"
    shown: list[RenderableType] = [Text(said)]
    if not found["resumed"]:
        lost = "has lost what training resumes from: a fresh optimiser went on from its weights"
        shown.append(Text(f"{begun} {lost}"))
    other = [row for row in found["versions"] if not row["same"]]
    tables = [_others(other)] if other else []
    tables += [_curves(found["curve"])] if found["curve"] else []
    for table in tables:
        shown += [Text(), table]
    return Group(*shown)


def _others(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(("version", "largest difference", "loss was", "is"), 3)
    for row in rows[:_SHOWN]:
        much = (
            "weights gone"
            if row["largest_difference"] is None
            else _number(row["largest_difference"])
        )
        table.add_row(str(row["version"]), much, _number(row["was_loss"]), _number(row["loss"]))
    if len(rows) > _SHOWN:
        table.add_row(f"{len(rows) - _SHOWN:,} more")
    return table


def _curves(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(("version", "held out was", "is", "seen was", "is"), 4)
    for row in rows:
        pairs = [(row["was"][name], row["now"][name]) for name in ("held_out", "seen")]
        table.add_row(str(row["version"]), *(f"{value:.1%}" for pair in pairs for value in pair))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


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
