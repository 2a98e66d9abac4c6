"""Commands that look at a run and change nothing in it."""

import asyncio
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.commands.options import (
    AsJson,
    InArchive,
    Plugins,
    Run,
    display,
    known_of,
    on_log,
    run_folder,
)
from evolvent.errors import UsageError

if TYPE_CHECKING:
    from evolvent.run.folder import RunFolder
    from observability.progress.judged import IsRight

Count = Annotated[int | None, typer.Option("--count", min=1, help="Held-out problems per level.")]


def status(run: Run, archive: InArchive = None, as_json: AsJson = False) -> None:
    """Where a run stands: version, accuracy, curriculum, speed, staleness, lag of every group."""
    from datetime import UTC, datetime

    from evolvent.recipe.stored import voted_behind
    from evolvent.reserve import reserve_of
    from evolvent.roles import names_in
    from evolvent.run import deaths
    from observability.archive.watermark import Archived, archived
    from observability.progress import lag
    from observability.progress.disk import DiskWatch
    from observability.progress.judged import Judged, judged_of_newest
    from observability.progress.status import as_json as status_json
    from observability.progress.votes import Votes, votes_of_newest
    from observability.replay.forks import forks, said_of
    from observability.terminal.summary import summary

    folder = run_folder(run, archive)
    order = names_in(folder.settings)
    progress, groups, votes, judged, kept, past = on_log(
        folder,
        lambda log: (
            known_of(log),
            lag.standings(log, order),
            votes_of_newest(log, voted_behind(folder.settings)),
            judged_of_newest(log, _verifier(folder)),
            archived(log),
            forks(log),
        ),
    )
    named: dict[str, Votes | Judged | Archived | None] = {
        "votes": votes,
        "judged": judged,
        "archived": kept,
    }
    held = held_by(folder)
    now = datetime.now(UTC)
    disk = DiskWatch(folder.path, reserve_of(folder.settings, folder.path)).now()
    crashes = deaths.read(folder.logs).values()
    whole = status_json(progress) | {
        "groups": lag.as_json(groups, now),
        "disk": disk.as_json(),
        "crashes": [asdict(crash) for crash in crashes],
        "parent": past[-1].parent.model_dump() if past else None,
        "sandbox": held,
        **{name: None if each is None else each.as_json() for name, each in named.items()},
    }
    display(
        as_json,
        whole,
        lambda: summary(
            progress,
            disk=disk,
            named={
                label: str(each)
                for label, each in {**named, "sandbox": held}.items()
                if each is not None
            },
            groups=lag.lag_table(groups, now),
            crashes=[str(crash) for crash in crashes],
            notes=[said_of(past)] if past else [],
        ),
    )


def held_by(folder: "RunFolder") -> str | None:
    """How well this machine holds programs that the run's model writes; None where none are run."""
    from agents.domains.python_programs.python_programs import PythonProgramsConfig
    from agents.domains.reasoning_gym import ReasoningGymConfig

    if folder.settings.get("domain", {}).get("type") not in ("python_programs", "reasoning_gym"):
        return None
    domain = folder.recipe().domain
    if isinstance(domain, (PythonProgramsConfig, ReasoningGymConfig)):
        return domain.held_by()
    return None


def _verifier(folder: "RunFolder") -> "IsRight | None":
    """The domain's word on a sample, where a model judges in its place; None where none does, or
    the domain cannot be built here."""
    from agents.domains.domain import problem_of
    from evolvent.preflight.levels import built

    judges = folder.settings.get("judges") or [folder.settings.get("judge") or {}]
    if not any("policy" in judge for judge in judges):
        return None
    try:
        domain = built(folder.recipe().domain)
    except UsageError:
        return None
    return lambda task, sample: domain.score(problem_of(task), sample.answer, sample.ended).right


def ask(
    run: Run,
    inputs: Annotated[list[str], typer.Argument(help="Inputs of your own, such as a word.")],
    version: Annotated[
        list[str] | None,
        typer.Option(help="Version to ask, or newest; repeat to compare. [default: newest]"),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Family of tasks, where the domain has several.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The inputs are the whole prompt, letter by letter.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Server to ask. [default: one that serves the run, else none]"
        ),
    ] = None,
    archive: InArchive = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Try any version with inputs of your own."""
    from evolvent.ask.ask import ask as ask_versions
    from evolvent.ask.ask import version_named
    from evolvent.tables import answers_table

    folder = run_folder(run, archive)
    versions = [version_named(name) for name in version or []]
    asking = ask_versions(folder, inputs, versions, family, raw=raw, server=server)
    answers = asyncio.run(asking)
    display(as_json, [asdict(answer) for answer in answers], lambda: answers_table(answers))


def audit(  # noqa: PLR0913, PLR0917 - each is an option of the command
    run: Run,
    quick: Annotated[
        int | None, typer.Option(min=1, help="Read the files of only so many newest versions.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read the bodies too: what was said, judged and learned.")
    ] = False,
    engine: Annotated[
        bool, typer.Option("--engine", help="With --deep: load versions and measure them again.")
    ] = False,
    version: Annotated[
        list[int] | None,
        typer.Option(help="With --engine: only this version; may be repeated. [default: all]"),
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="A snapshot: audit only what came after it.")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Leave a snapshot here if nothing is found.")
    ] = None,
    archive: InArchive = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Prove from log and checkpoints that nothing was lost or learned twice; exit 1 if not."""
    from evolvent.tables import counts_table
    from observability.terminal.steps import told

    if (engine and not deep) or (version and not engine):
        raise UsageError("--engine goes with --deep, and --version with --engine")
    if deep and (since or snapshot):
        raise UsageError("--deep reads every body: it goes with neither --since nor --snapshot")
    folder = run_folder(run, archive)
    with told() as show:
        if deep:
            from evolvent.deep_audit.deep_audit import deep_audit

            asked = (version or []) if engine else None
            found = asyncio.run(deep_audit(folder, quick, asked, show))
        else:
            from evolvent.recipe.stored import digests_of
            from observability.audit.audit import audit as audit_run
            from observability.audit.facts.snapshot import RefusedSnapshot

            look = partial(audit_run, run=folder.path, quick=quick, digests=digests_of, show=show)
            try:
                found = on_log(folder, partial(look, since=since, leave=snapshot))
            except RefusedSnapshot as error:
                raise UsageError(str(error)) from None
    violations = [asdict(violation) for violation in found.violations]
    started = None if since is None else {"snapshot": str(since), "events": found.since}
    whole = {
        "ok": found.ok,
        "counts": found.counts,
        "violations": violations,
        "since": started,
    }
    if since is not None:
        print(
            f"evolvent: went on from {since}, which had read {found.since:,} events",
            file=sys.stderr,
        )
    display(as_json, whole, lambda: counts_table(found.counts))
    if not found.ok:
        print(f"evolvent: violated: {found.violations[0]}", file=sys.stderr)
        raise typer.Exit(1)


def curve(
    runs: Annotated[
        list[Path], typer.Argument(metavar="run", help="Folders of runs, for example runs/words.")
    ],
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the runs into one picture, which replaces FILE."),
    ] = None,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """Held-out accuracy over versions, drawn in the terminal or as a picture."""
    from observability.progress.status import as_json as status_json
    from observability.terminal.curve import accuracy_curves

    if archive is not None and len(runs) > 1:
        raise UsageError("--archive is of one run: name one")
    if png is not None and (png.suffix != ".png" or not png.absolute().parent.is_dir()):
        raise UsageError(f"--png {png}: name a file that ends in .png, in a folder that is there")
    known = {str(run): on_log(run_folder(run, archive), known_of) for run in runs}
    if png is not None:
        from observability.report.curves import curves
        from observability.report.files import replace_file

        if (picture := curves(known)) is None:
            raise UsageError("no level of these runs was evaluated yet: there is nothing to draw")
        replace_file(png, picture)
    told = [status_json(each)["curve"] for each in known.values()]
    if as_json or png is None:
        whole = told[0] if len(told) == 1 else dict(zip(known, told, strict=True))
        display(as_json, whole, lambda: accuracy_curves(known))
    else:
        print(png)


def evaluate(
    run: Run,
    version: Annotated[int | None, typer.Option(help="Version. [default: the newest]")] = None,
    count: Count = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Draw so many answers a problem: pass@1 and pass@N.")
    ] = None,
    archive: InArchive = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Score any version on the held-out suites: greedy answers, or several tries."""
    from evolvent.ask.ask import evaluate as evaluate_version
    from evolvent.ask.tries import tried
    from evolvent.tables import scores_table, tries_table

    folder = run_folder(run, archive)
    if samples is not None:
        found = asyncio.run(tried(folder, version, samples=samples, count=count))
        display(as_json, [asdict(each) for each in found], lambda: tries_table(found))
        return
    evaluation = asyncio.run(evaluate_version(folder, version, count))
    display(as_json, evaluation.model_dump(mode="json"), lambda: scores_table(evaluation))


def report(run: Run, archive: InArchive = None) -> None:
    """Draw the report of a run again: one HTML page and its pictures."""
    from observability.report.report import write_report

    folder = run_folder(run, archive)

    print(on_log(folder, lambda log: write_report(log, folder.path)))
