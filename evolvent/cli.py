"""The command line: which commands there are, and how a mistake of the user is told."""

import sys

INTERRUPTED = 130

try:
    from collections.abc import Sequence
    from typing import Annotated

    import typer

    from evolvent.commands import (
        about,
        archive,
        control,
        dashboard,
        evolve,
        kafka,
        look,
        model,
        questions,
        replay,
        serve,
    )
    from evolvent.errors import UsageError, disk_sentence, name_sentence
    from evolvent.output import flushed, nobody_reads, print_anyhow
except KeyboardInterrupt:
    # Whoever presses Ctrl-C at once wants no traceback of an import.
    sys.exit(INTERRUPTED)

app = typer.Typer(
    name="evolvent",
    help="A language model evolves itself as a system of agents over an event log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    evolve.run,
    look.status,
    look.ask,
    look.audit,
    look.curve,
    look.evaluate,
    look.report,
    questions.query,
    questions.lineage,
    questions.trace,
    questions.export,
    questions.example,
    control.pause,
    control.resume,
    control.stop,
    control.objective,
    control.dead,
    evolve.seed,
    evolve.agent,
    evolve.copy,
    evolve.upgrade,
    model.model,
    replay.fork,
    archive.archive,
    archive.trim,
    serve.serve,
    dashboard.dashboard,
    dashboard.runs,
    about.topics,
    about.schema,
    about.doctor,
    about.recipes,
    about.families,
):
    app.command()(command)
app.add_typer(replay.app)
app.add_typer(kafka.app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"evolvent {version('evolvent')}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool,
        typer.Option("--version", help="Which evolvent this is.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. What a user can mend is one sentence and exit code 2; a reader that went away
    ends it with 1 and without a word, Ctrl-C with 130."""
    try:
        from evolvent.doctor import check_names

        print_anyhow()
        check_names()
        app(args=arguments)
    except UsageError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        nobody_reads()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        sentence = disk_sentence(error) or name_sentence(error)
        if _is_mendable(error):
            sentence = str(error)
        if sentence is None:
            raise
        return _refuse(sentence)
    finally:
        # At the very end of a process a pipe that is closed would become a traceback.
        if not flushed():
            sys.exit(1)
    return 0


def _refuse(sentence: str) -> int:
    print(f"evolvent: {sentence}", file=sys.stderr)
    sys.exit(2)


def _is_mendable(error: Exception) -> bool:
    """Damage and contention that the parts themselves describe in a sentence."""
    from bus.errors import BusError
    from observability.archive.place import ArchiveError
    from trainer.checkpoint.manifest import DamagedCheckpoint

    return isinstance(error, BusError | DamagedCheckpoint | ArchiveError)


if __name__ == "__main__":
    sys.exit(main())
