"""What commands print for people: small tables. Knows no run."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agents.domains.families import Family
from bus.events import Evaluation
from bus.topics import DEAD_SUFFIX
from evolvent.ask.ask import Answer
from evolvent.ask.tries import Tried
from evolvent.doctor import Finding
from evolvent.recipe.compare import Difference
from evolvent.recipe.recipe import MethodFamily, Recipe
from evolvent.run.topics import Survey
from observability.terminal.lines import printable


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


_STYLES: Mapping[bool | None, str] = {True: "green", False: "red", None: "yellow"}


def answers_table(answers: Sequence[Answer]) -> Table:
    """Versions side by side, where there are several."""
    versions = list(dict.fromkeys(answer.version for answer in answers))
    if len(versions) > 1:
        return _compared_table(answers, versions)
    table = _table("version", "prompt", "completion", "expected", "")
    for answer in answers:
        verdict = {True: "right", False: "wrong", None: "unknown"}[answer.correct]
        cells = (str(answer.version), answer.prompt, answer.completion, answer.expected or "")
        table.add_row(*map(Text, cells), Text(verdict, style=_STYLES[answer.correct]))
    return table


def _compared_table(answers: Sequence[Answer], versions: Sequence[int]) -> Table:
    table = _table("prompt", *(f"version {version}" for version in versions), "expected")
    by_prompt: dict[str, dict[int, Answer]] = {}
    for answer in answers:
        by_prompt.setdefault(answer.prompt, {})[answer.version] = answer
    for prompt, said in by_prompt.items():
        cells = [Text(said[one].completion, style=_STYLES[said[one].correct]) for one in versions]
        table.add_row(Text(prompt), *cells, Text(said[versions[0]].expected or ""))
    return table


def dead_table(letters: Sequence[Mapping[str, Any]]) -> Table | Text:
    if not letters:
        return Text("no dead letters")
    table = _table("id", "about", "group", "when", "bytes", "sent again", "reason")
    for one in letters:
        again = "yes" if one["sent_again"] else ""
        cells = (one["id"][:12], one["origin"], one["group"], one["when"][:19])
        table.add_row(*map(Text, cells), f"{one['bytes']:,}", again, Text(one["reason"]))
    return table


def counts_table(counts: Mapping[str, int]) -> Table:
    table = _table("what", "count")
    table.columns[1].justify = "right"
    for name, count in counts.items():
        table.add_row(Text(name), f"{count:,}")
    return table


def scores_table(evaluation: Evaluation) -> Table:
    table = _table("suite", "level", "right", "of", "accuracy", "95 %")
    for score in evaluation.scores:
        table.add_row(
            Text(score.suite),
            str(score.level),
            str(score.correct),
            str(score.total),
            f"{score.accuracy:.1%}",
            f"{score.low:.1%} - {score.high:.1%}",
        )
    table.add_section()
    table.add_row("held out", "", "", "", f"{evaluation.held_out:.1%}", "")
    table.add_row("warm-up levels", "", "", "", f"{evaluation.seen:.1%}", "")
    table.caption = f"version {evaluation.weights_version}, {evaluation.seconds:.1f} s"
    return table


def topics_table(rows: Sequence[Mapping[str, Any]], *, counted: bool) -> Table:
    """Dead-letter topics are rows of their own only where they hold something."""
    table = _table("topic", "partitions", "key", *(["events"] if counted else []), "carries")
    shown = [row for row in rows if not row["name"].endswith(DEAD_SUFFIX) or row["events"]]
    for row in shown:
        cells = [row["name"], str(row["partitions"]), row["key"]]
        cells += [f"{row['events']:,}"] if counted else []
        table.add_row(*cells, row["description"])
    if empty := len(rows) - len(shown):
        beside = f"Beside them {empty} topics NAME{DEAD_SUFFIX}, "
        beside += "all empty" if counted else "for records that could not be read or were rejected"
        table.caption, table.caption_justify = Text(beside), "left"
    return table


def kafka_topics_table(survey: Survey) -> Group:
    """What is; below it what is amiss. Dead-letter topics only where they hold something."""
    table = _table("topic", "partitions", "key", "copies", "kept", "events", "bytes")
    amiss = _table("topic", "amiss", "is", "should be")
    for number in (5, 6):
        table.columns[number].justify = "right"
    for row in survey.rows:
        if not row["partitions"]:
            amiss.add_row(Text(row["name"]), Text("missing", style="bold red"))
            continue
        for each in row["amiss"]:
            cells = (each["what"], each["is_now"], each["should_be"])
            amiss.add_row(Text(row["name"]), *(Text(cell, style="bold red") for cell in cells))
        if not row["name"].endswith(DEAD_SUFFIX) or row["events"]:
            table.add_row(
                Text(row["name"]),
                str(row["partitions"]),
                Text(row["key"]),
                str(row["replication"]),
                _kept(row["settings"]),
                "" if row["events"] is None else f"{row['events']:,}",
                "" if row["bytes"] is None else _size(row["bytes"]),
            )
    place = Text(survey.place + ("" if survey.problems else ": every topic is as it should be"))
    return Group(*(each for each in (table, amiss) if each.row_count), place)


def _kept(settings: Mapping[str, str]) -> str:
    kept, policy = settings.get("retention.ms", ""), settings.get("cleanup.policy", "delete")
    if policy != "delete":
        return policy
    if kept == "-1":
        return "for ever"
    return f"{int(kept) / 3_600_000:,.3g} h" if kept.isdecimal() else kept


def _size(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def findings_table(findings: Sequence[Finding]) -> Table:
    table = _table("", "what", "found", "do")
    for found in findings:
        mark = Text("ok", style="green")
        if not found.well:
            mark = Text("!!", style="bold red") if found.needed else Text("--", style="dim")
        table.add_row(mark, found.name, found.found, "" if found.well else found.advice)
    return table


def tries_table(tries: Sequence[Tried]) -> Table | Text:
    if not tries:
        return Text("no level has held-out problems")
    table = _table("suite", "level", "problems", "pass@1", f"pass@{tries[0].samples}")
    for one in tries:
        shares = (f"{one.pass_1:.3f}", f"{one.pass_n:.3f}")
        table.add_row(Text(one.suite), str(one.level), str(one.problems), *shares)
    return table


def recipes_table(recipes: Sequence[Recipe]) -> Table:
    """By family, in their order; what is of none comes last."""
    table = _table("family", "recipe", "paper", "what it does")
    for family in (*get_args(MethodFamily), None):
        name = family or ""
        for recipe in recipes:
            if recipe.family == family:
                cells = (name, Text(recipe.name, style="bold"), Text(recipe.paper))
                table.add_row(*cells, Text(recipe.description))
                name = ""
    return table


def differences_table(first: str, second: str, differing: Sequence[Difference]) -> Group | Text:
    """The lines of the method, then those of what it is tried on."""
    if not differing:
        return Text(f"{first} and {second} differ in no setting")
    method = sum(not one.is_ground for one in differing)
    table = _table("setting", first, second)
    for place, one in enumerate(differing):
        cells = (one.setting, one.first, one.second)
        table.add_row(
            *(Text("-" if cell is None else cell) for cell in cells),
            end_section=place == method - 1,
        )
    others = len(differing) - method
    said = f"{method} lines of the method, {others} of what it is tried on."
    return Group(table, Text(said, style="dim"))


def families_table(families: Sequence[Family]) -> Group:
    table = _table("domain", "family", "an example", "answer")
    for family in families:
        cells = (family.domain, family.name, family.question, family.answer)
        table.add_row(*(Text(" ".join(cell.split())) for cell in cells))
    for column, widest in zip(table.columns, (None, None, 40, 14), strict=True):
        column.no_wrap, column.overflow, column.max_width = True, "ellipsis", widest
    table.columns[1].min_width = max(len(family.name) for family in families)
    return Group(table, Text("`evolvent families NAME` shows one in full.", style="dim"))


def family_page(family: Family) -> Group:
    """One family in full."""
    table = _table("parameter", "default")
    for name, value in family.parameters.items():
        table.add_row(Text(name), Text(str(value)))
    said = [f"{family.name}, a family of domain.type = {family.domain!r}", family.note]
    parts: list[Any] = [Text(line) for line in said if line]
    if family.parameters:
        parts += [Text(""), table]
    if family.prompt_fields:
        parts += [Text(""), Text("a short prompt may name: " + ", ".join(family.prompt_fields))]
    return Group(*parts, Text(""), Text(family.question), Text(f"answer: {family.answer}"))


def columns_table(tables: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]) -> Table:
    """What can be asked: every table with what it says, and its columns."""
    table = _table("table", "says, and has the columns")
    for name, about, columns in tables:
        listed = ", ".join(f"{column} {kind}" for column, kind in columns)
        table.add_row(Text(name), Text(about))
        table.add_row("", Text(listed, style="dim"))
    return table


def runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Those of a folder, each on a line."""
    table = _table("run", "state", "recipe", "version", "held-out", "best", "size", "tags", "note")
    for one in runs:
        shares = ["" if one[key] is None else f"{one[key]:.1%}" for key in ("held_out", "best")]
        version = "" if one["version"] is None else str(one["version"])
        size = f"{one['bytes'] / 1e6:,.1f} MB"
        note = one["error"] or one["note"]
        words = (one["path"], one["state"], one["recipe"] or "", version, *shares, size)
        table.add_row(*(Text(printable(word)) for word in (*words, ", ".join(one["tags"]), note)))
    return table
