"""Whether the user's own data can be asked: answers where they are needed, and every single prompt
and answer read by the model, not a sample of them."""

from agents.domains.dataset.dataset import Dataset
from agents.domains.dataset.entries import Entry
from agents.domains.domain import Domain
from agents.judges.exact import ExactConfig
from evolvent.errors import UsageError
from evolvent.preflight.reader import Reader
from evolvent.recipe.recipe import Recipe


def check_answers(recipe: Recipe, domain: Domain) -> None:
    """Raises `UsageError` where something needs an answer that the data has not."""
    if not isinstance(domain, Dataset):
        return
    asked = _without_answer(domain.asked)
    if asked and any(isinstance(judge, ExactConfig) for judge in recipe.all_judges):
        raise UsageError(
            f"{asked.place} has no answer, and judge.type = 'exact' compares with it: choose a "
            "judge that needs none, such as judge.type = 'vote', or give it one"
        )
    kept = _without_answer(domain.kept)
    if kept and "evaluator" not in recipe.run.without:
        raise UsageError(
            f"{kept.place} is held out and has no answer, and the evaluator compares with it: name "
            "a file with answers in domain.held_out_path, or set run.without = ['evaluator']"
        )
    _check_warmup(recipe, domain)


def check_rows(domain: Domain, reader: Reader) -> None:
    """Raises `UsageError` for the first row that the model cannot read."""
    if not isinstance(domain, Dataset):
        return
    for entry in (*domain.asked, *domain.kept):
        for text in (entry.prompt, *entry.answers):
            if (lost := reader.missing(text)) is not None:
                raise UsageError(
                    f"{entry.place}: the model's alphabet lacks {lost}, which {text[:60]!r} needs: "
                    "take the row out, or choose a model that reads it (a fresh one without "
                    "model.vocab reads all)"
                )
        _check_length(entry, reader)


def _check_length(entry: Entry, reader: Reader) -> None:
    if reader.context is None:
        return
    tokenizer = reader.prompting.tokenizer
    reads = len(reader.prompting.encode(entry.prompt))
    written = (tokenizer.encode(each, add_special_tokens=False).ids for each in entry.answers)
    writes = 1 + min(map(len, written), default=0)
    if reads + writes > reader.context:
        raise UsageError(
            f"{entry.place} needs {reads + writes} tokens, {reads} to read and {writes} to write; "
            f"the model reads {reader.context}: shorten it or take it out, or {reader.mend}"
        )


def _check_warmup(recipe: Recipe, domain: Dataset) -> None:
    if domain.warmup_levels:
        return
    needs = {
        "warmup.steps": recipe.warmup.steps,
        "loss.warmup_rows": getattr(recipe.loss, "warmup_rows", 0),
        "loss.anchor_rows": getattr(recipe.loss, "anchor_rows", 0),
    }
    for field, value in needs.items():
        if value:
            raise UsageError(
                f"{field} = {value} needs prompts with answers to show, and the data has none of "
                f"the lowest level: set {field} = 0, or give them answers"
            )


def _without_answer(entries: tuple[Entry, ...]) -> Entry | None:
    return next((entry for entry in entries if not entry.answers), None)
