"""An archive in an object store: a real server that speaks S3, of moto."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from observability.archive.place import ArchiveError, place_of
from observability.query.archived import ArchivedTables
from observability.query.query import Query
from tests.observability.archive.archiving import EVENTS, archived, contents, log_of, read, records

ARCHIVE = "s3://runs/words/archive"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store with an empty bucket, as the environment names it."""
    # Flask's globals, imported with the server, are more than vLLM can look through.
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="runs")
    yield address
    server.stop()


@pytest.mark.long
def test_it_is_the_same_as_in_a_folder(store: str, tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS[:100]) as log:
        archived(log, ARCHIVE, block=64)
    with log_of(tmp_path / "log.sqlite", EVENTS[100:]) as log:
        archived(log, ARCHIVE, block=64)
        archived(log, tmp_path / "archive", block=64)
        found = read(ARCHIVE)
        assert records(found) == records(log)
        tables = ArchivedTables(found.archive, found.heads())
        assert tables.ends == {at: end for at, end in log.heads().items() if end}
        asked = "SELECT * FROM success"
        assert Query(found, tables).ask(asked).equals(Query(log).ask(asked))
    place = place_of(ARCHIVE)
    there = {name: bytes(place.read(name)) for name in place.sizes()}
    assert there == contents(tmp_path / "archive")
    place.remove(sorted(there)[1])
    with pytest.raises(ArchiveError, match="is missing"):
        read(ARCHIVE)


@pytest.mark.long
def test_a_store_that_is_not_there_is_one_sentence(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(ArchiveError, match="s3://runs/nowhere cannot be reached") as told:
        read("s3://runs/nowhere")
    assert "\n" not in str(told.value)
    with pytest.raises(ArchiveError, match="cannot be opened"):
        place_of("nonesuch://runs")
