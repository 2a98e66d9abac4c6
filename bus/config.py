"""Which transports there are: what a recipe chooses from. Loads no driver."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.bus import Bus
from bus.errors import BusError
from bus.topics import MAX_PARTITIONS, PARTITIONS

if TYPE_CHECKING:
    from bus.kafka.cluster.cluster import Cluster


class SqliteConfig(BaseModel):
    """One file in the run's folder. At most as many members share the work of a group as there are
    `partitions`. With `synchronous` NORMAL a published version survives a power cut, with all that
    came before it, and the work since is done again; with FULL, at the price of a disk flush per
    commit, every commit does."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["sqlite"] = "sqlite"
    partitions: int = Field(default=PARTITIONS, ge=1, le=MAX_PARTITIONS)
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"

    @property
    def one_machine(self) -> bool:
        """Whether all processes of a run are on one machine."""
        return True

    def named(self, run: Path) -> "SqliteConfig":
        """As it is kept in the folder of a run."""
        return self

    def name(self, run: Path) -> str:
        """What the run is called on its log."""
        return run.resolve().name

    def place(self, run: Path) -> str:
        """Where the log lies, in words."""
        return str(run / "log.sqlite")

    def is_log_of(self, other: "BusConfig") -> bool:
        """Whether a run that said `other` later is still on this log."""
        return isinstance(other, SqliteConfig)

    def build(self, run: Path, *, create: bool = False, read_only: bool = False) -> Bus:
        """The log of a run; raises `BusError`."""
        from bus.sqlite.bus import SqliteBus

        path = run / "log.sqlite"
        return SqliteBus(
            path,
            partitions=self.partitions,
            synchronous=self.synchronous,
            create=create,
            read_only=read_only,
            patience_seconds=None,
        )


class KafkaSecurityConfig(BaseModel):
    """Who we are and how we know the brokers. The password is EVOLVENT_KAFKA_PASSWORD in the
    environment, so that it stands in no file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class KafkaConfig(BaseModel):
    """A Kafka cluster. At most as many members share the work of a group as there are `partitions`.
    `app` stands before the name of every topic, group and writer; it is the name of the run's
    folder when it is empty. A role that is silent for `lease_seconds` loses its partitions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["kafka"] = "kafka"
    bootstrap_servers: str = "127.0.0.1:9092"
    app: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,200}$")
    partitions: int = Field(default=PARTITIONS, ge=1, le=MAX_PARTITIONS)
    replication: int = Field(default=1, ge=1)
    lease_seconds: float = Field(default=10.0, ge=1, le=600)
    security: KafkaSecurityConfig = KafkaSecurityConfig()

    @property
    def one_machine(self) -> bool:
        """Whether all processes of a run are on one machine."""
        return False

    def named(self, run: Path) -> "KafkaConfig":
        """As it is kept in the folder of a run, which may be renamed."""
        return self.model_copy(update={"app": self.name(run)})

    def name(self, run: Path) -> str:
        """What the run is called on its log."""
        return self.app or re.sub(r"[^A-Za-z0-9._-]", "-", run.resolve().name)

    def place(self, run: Path) -> str:
        """Where the log lies, in words."""
        return f"{self.name(run)!r} on Kafka at {self.bootstrap_servers}"

    def is_log_of(self, other: "BusConfig") -> bool:
        """Whether a run that said `other` later is still on this log: brokers may move."""
        return isinstance(other, KafkaConfig) and other.app in ("", self.app)

    def build(self, run: Path, *, create: bool = False, read_only: bool = False) -> Bus:
        """The log of a run; raises `BusError`."""
        cluster = self.cluster(run)
        from bus.kafka.bus import KafkaBus

        return KafkaBus(
            cluster,
            partitions=self.partitions,
            create=create,
            read_only=read_only,
            lease_seconds=self.lease_seconds,
        )

    def cluster(self, run: Path) -> "Cluster":
        """Where the topics of a run lie; raises `BusError`."""
        try:
            from bus.kafka.cluster.cluster import Cluster, Security
        except ModuleNotFoundError as error:
            raise BusError(
                f"Kafka needs the extra `kafka` ({error}): install it with uv sync --extra kafka."
            ) from error
        return Cluster(
            bootstrap_servers=self.bootstrap_servers,
            app=self.name(run),
            replication=self.replication,
            security=Security(**self.security.model_dump()),
        )


BusConfig = Annotated[SqliteConfig | KafkaConfig, Field(discriminator="type")]
"""What a recipe says under `[bus]`."""

_SERVER = r"(?:[^\s/:,\[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}"
_KAFKA_URL = re.compile(rf"kafka://({_SERVER}(?:,{_SERVER})*)(?:/([A-Za-z0-9._-]{{1,200}}))?")


def bus_from_url(url: str) -> SqliteConfig | KafkaConfig:
    """`sqlite`, or `kafka://host:port[,host:port...][/app]`; raises `BusError`."""
    if url in ("sqlite", "sqlite://"):
        return SqliteConfig()
    if found := _KAFKA_URL.fullmatch(url):
        app = {"app": found[2]} if found[2] else {}
        return KafkaConfig(bootstrap_servers=found[1], **app)
    raise BusError(
        f"The bus {url!r} is neither `sqlite` nor kafka://host:port[,host:port...][/app]."
    )
