"""`evolvent kafka`: a real Apache Kafka on this machine, with nothing preinstalled."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evolvent.broker.broker import Broker

app = typer.Typer(
    name="kafka",
    help="A real Apache Kafka on this machine, with nothing preinstalled.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dir = Annotated[Path, typer.Option("--dir", help="Folder of the broker's data.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65534, help="Port of the broker; the next is its controller's. [default: 9092]"
    ),
]
_DATA = Path(".kafka")


@app.command()
def start(data: Dir = _DATA, port: Port = None) -> None:
    """Start the broker and wait until it serves; nothing happens if it runs already."""
    from evolvent.broker.jars import jar_cache, java, kafka_version, missing_jars

    broker = _broker(data, port)
    java()
    if any(missing_jars(jar_cache())):
        print(f"fetching Kafka {kafka_version()} (43 MB) into {jar_cache()}", file=sys.stderr)
    began = time.monotonic()
    launched = broker.start()
    seconds = f"ready after {time.monotonic() - began:.1f} s" if launched else "running already"
    print(f"Kafka {kafka_version()} at {broker.address}, data in {data}: {seconds}")


@app.command()
def stop(data: Dir = _DATA) -> None:
    """Stop the broker. Its data stay; `start` goes on with them."""
    print("stopped" if _broker(data).stop() else f"no broker runs in {data}")


@app.command()
def status(
    data: Dir = _DATA,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for programs.")
    ] = False,
) -> None:
    """Whether the broker runs and serves; exit 1 if not."""
    broker = _broker(data)
    running = broker.running()
    ready = running is not None and broker.ready()
    pid = running.pid if running else None
    if as_json:
        address = broker.address if running else None
        found = {"running": running is not None, "ready": ready, "pid": pid, "address": address}
        print(json.dumps(found))
    elif running is None:
        print(f"no broker runs in {data}: start one with `evolvent kafka start`")
    else:
        does = "serves" if ready else "runs, but does not serve yet,"
        print(f"the broker {does} at {broker.address} (process {pid}, log {broker.log_file})")
    if not ready:
        raise typer.Exit(1)


@app.command()
def wipe(
    data: Dir = _DATA,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the broker and delete its data: topics, events and positions."""
    if data.exists() and not yes:
        typer.confirm(f"Delete every topic of the broker in {data}?", abort=True)
    print(f"deleted {data}" if _broker(data).wipe() else f"there is no {data}")


def _broker(data: Path, port: int | None = None) -> "Broker":
    """The broker of a folder, at the port it had last unless another is wanted."""
    from evolvent.broker.broker import DEFAULT_PORT, Broker
    from evolvent.broker.state import BrokerState

    known = BrokerState(data).last_known()
    return Broker(data, port or (known.port if known else DEFAULT_PORT))
