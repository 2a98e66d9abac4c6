"""What commands print for people: small tables. Knows no run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from bus.events import Evaluation
from evolvent.ask import Answer
from evolvent.doctor import Finding
from evolvent.recipe import Recipe


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def answers_table(answers: Sequence[Answer]) -> Table:
    table = _table("version", "prompt", "completion", "expected", "")
    for answer in answers:
        style = {True: "green", False: "red", None: "yellow"}[answer.correct]
        verdict = {True: "right", False: "wrong", None: "unknown"}[answer.correct]
        cells = (str(answer.version), answer.prompt, answer.completion, answer.expected or "")
        table.add_row(*(Text(cell) for cell in cells), Text(verdict, style=style))
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
    table = _table("topic", "partitions", "key", *(["events"] if counted else []), "carries")
    for row in rows:
        cells = [row["name"], str(row["partitions"]), row["key"]]
        cells += [f"{row['events']:,}"] if counted else []
        table.add_row(*cells, row["description"])
    return table


def findings_table(findings: Sequence[Finding]) -> Table:
    table = _table("", "what", "found", "do")
    for found in findings:
        mark = Text("ok", style="green") if found.well else Text("!!", style="bold red")
        table.add_row(mark, found.name, found.found, "" if found.well else found.advice)
    return table


def recipes_table(recipes: Sequence[Recipe]) -> Table:
    table = _table("recipe", "what it does")
    for recipe in recipes:
        table.add_row(Text(recipe.name, style="bold"), recipe.description)
    return table
