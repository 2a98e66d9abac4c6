"""What can be checked before anything starts, in one pass: nothing is written, no model is loaded.

the devices -> the optimiser -> the domain -> the problems of all levels
    -> what the model reads and writes -> memory
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from agents.domains.domain import Domain, Problem
from evolvent.errors import UsageError, needs_archive
from evolvent.preflight.data import check_answers, check_rows
from evolvent.preflight.devices import check_devices
from evolvent.preflight.endpoints import check_endpoints
from evolvent.preflight.levels import Show, built, problems_of
from evolvent.preflight.machine import free_bytes
from evolvent.preflight.memory import check_memory, check_records
from evolvent.preflight.optimizer import check_optimizer
from evolvent.preflight.reader import Reader, fresh, reader_of
from evolvent.preflight.rehearsal import Need, Rehearsal, unreadable
from evolvent.recipe.recipe import Recipe
from observability.archive import manifest
from observability.archive.place import place_of
from trainer.config import LEAST_POSITIONS

HOLD_A_MODEL = ("solver", "evaluator", "trainer")
"""The services that hold a model."""

_STEP = 64


def check(
    run: Path,
    recipe: Recipe,
    show: Show = lambda doing: None,
    *,
    roles: Collection[str] | None = None,
) -> None:
    """Raises `UsageError` for a run in the folder `run` that could not work with `recipe`, the
    services `roles` of it on this machine (None: all); `show` is told what is being done."""
    show("reading the recipe's domain")
    check_devices(recipe, roles)
    _check_archive(run, recipe, roles)
    here = set(HOLD_A_MODEL if roles is None else roles) - set(recipe.run.without)
    reader = reader_of(run, recipe)
    if reader is not None and "trainer" in here:
        check_optimizer(recipe, reader.sizes)
    domain = built(recipe.domain)
    check_answers(recipe, domain)
    problems = problems_of(recipe, domain, show)
    check_endpoints(recipe, problems, roles)
    if reader is None:
        return
    show("reading the problems as the model will")
    check_rows(domain, reader)
    needs = _read(recipe, domain, problems, reader)
    if reader.context is not None:
        _check_context(needs, reader.context, reader.mend)
    check_records(recipe, needs)
    if (free := free_bytes()) is not None:
        check_memory(recipe, here, reader.sizes, needs, free)


def _check_archive(run: Path, recipe: Recipe, roles: Collection[str] | None) -> None:
    """Raises `ArchiveError` for one that cannot be reached or gone on with."""
    config = recipe.retention
    if config.every_versions is None or (roles is not None and "archivist" not in roles):
        return
    try:
        from observability.archive.keeper import FOLDER
    except ModuleNotFoundError as error:
        raise needs_archive(error) from None
    manifest.read(place_of(config.archive or run / FOLDER))


def positions(recipe: Recipe, domain: Domain) -> int:
    """How much a fresh model must read at least: the longest prompt and what may be drawn after it.
    Raises `UsageError`."""
    if recipe.model.max_positions is not None:
        return recipe.model.max_positions
    problems = problems_of(recipe, domain, lambda doing: None)
    needs = Rehearsal(recipe, domain, fresh(recipe.model)).needs(problems)
    longest = max(need.reads + need.room for need in needs)
    return max(LEAST_POSITIONS, -(-longest // _STEP) * _STEP)


def _read(
    recipe: Recipe, domain: Domain, problems: Sequence[Problem], reader: Reader
) -> list[Need]:
    for problem in problems:
        for text in (problem.prompt, problem.answer):
            if (lost := reader.missing(text)) is not None:
                raise UsageError(unreadable(text, lost))
    _check_written(problems, reader)
    return Rehearsal(recipe, domain, reader).needs(problems)


def _check_written(problems: Sequence[Problem], reader: Reader) -> None:
    """A right answer must come back from its tokens as it is, or nothing is ever right."""
    cells: dict[tuple[str, int], list[str]] = {}
    for problem in problems:
        if problem.answer:
            cells.setdefault((problem.family, problem.level), []).append(problem.answer)
    for (family, level), answers in cells.items():
        if not any(reader.comes_back(answer) for answer in answers):
            raise UsageError(
                f"the model's tokenizer cannot write the answers of level {level} of {family}: "
                f"{answers[0][:60]!r} does not come back from its tokens; choose another model"
            )


def _check_context(needs: Sequence[Need], context: int, mend: str) -> None:
    much = [need for need in needs if need.reads + need.writes > context]
    if not much:
        return
    first = min(much, key=lambda need: (need.level, -need.reads - need.writes))
    most = max(need.reads + need.writes for need in much)
    worst = "" if most == first.reads + first.writes else f" (at most {most})"
    raise UsageError(
        f"{first.what} needs {first.reads + first.writes} tokens{worst}, {first.reads} to read and "
        f"{first.writes} to write; the model reads {context}: lower domain.levels or "
        f"domain.max_answer_tokens, or {mend}"
    )
