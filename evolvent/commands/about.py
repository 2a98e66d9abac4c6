"""Commands about what there is: topics, events, this machine, recipes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evolvent.commands.options import AsJson, display, terminal
from evolvent.errors import UsageError


def topics(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run, to count events.")] = None,
    bus: Annotated[
        str | None, typer.Option(help="Instead of a folder: kafka://host:port/NAME of a run.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make those that are missing.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="With --bus: bus.field=value.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The topics of the log: what each carries, its key, its partitions. Of a run on Kafka, each
    is compared with what it should be; exit 2 on a mismatch."""
    from evolvent.run.topics import survey
    from evolvent.tables import kafka_topics_table, topics_table

    found = survey(run, bus, settings or [], create=create)
    display(
        as_json,
        found.rows,
        lambda: (
            kafka_topics_table(found)
            if found.place
            else topics_table(found.rows, counted=run is not None)
        ),
    )
    if found.problems:
        raise UsageError(" ".join(found.problems[:1]))


def schema() -> None:
    """The events as an AsyncAPI 3.0 document, in JSON."""
    from evolvent.schema import asyncapi

    print(json.dumps(asyncapi(), indent=2))


def doctor(
    kafka: Annotated[
        bool, typer.Option("--kafka", help="What Kafka needs must be here too.")
    ] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="A GPU must be here too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Whether this machine and environment can run evolvent; exit 1 if something is amiss."""
    from evolvent.doctor import diagnose
    from evolvent.tables import findings_table

    findings = list(diagnose(Path("runs"), kafka=kafka, gpu=gpu))
    display(as_json, [asdict(found) for found in findings], lambda: findings_table(findings))
    if not all(found.well for found in findings if found.needed):
        raise typer.Exit(1)


def families(
    name: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None,
    as_json: AsJson = False,
) -> None:
    """The families of tasks: parameters, the fields that short prompts may name, an example."""
    from agents.domains.families import families as known
    from evolvent.tables import families_table, family_page

    try:
        with terminal().status("looking at families") as status:
            found = known(name, status.update)
    except ValueError as error:
        raise UsageError(str(error)) from None
    display(
        as_json,
        [asdict(family) for family in found],
        lambda: families_table(found) if name is None else family_page(found[0]),
    )


def recipes(
    show: Annotated[str | None, typer.Option(help="Print this recipe's file.")] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="The settings in which two recipes differ.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The recipes that come with evolvent, by family."""
    from evolvent.recipe.compare import differences
    from evolvent.recipe.load import load_recipe, shipped
    from evolvent.tables import differences_table, recipes_table

    if compare is not None:
        differing = differences(*map(load_recipe, compare))
        display(
            as_json,
            [asdict(difference) for difference in differing],
            lambda: differences_table(*compare, differing),
        )
        return
    if show is not None:
        if show not in shipped():
            raise UsageError(f"there is no recipe {show}: there are {', '.join(shipped())}")
        print(shipped()[show].read_text(encoding="utf-8"), end="")
        return
    known = [load_recipe(name) for name in shipped()]
    display(
        as_json, [recipe.model_dump(mode="json") for recipe in known], lambda: recipes_table(known)
    )
