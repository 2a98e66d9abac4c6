"""How to reach a Kafka cluster: every setting of every client in one place, its errors in plain
sentences. Knows no event and no group.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from bus.codec import MAX_VALUE_BYTES
from bus.errors import BusError, Unreachable
from bus.kafka.cluster.refusal import (
    LASTING,
    Announced,
    in_words,
    refusal,
    unreachable_announced,
)

PASSWORD = "EVOLVENT_KAFKA_PASSWORD"
"""The environment variable of the password: it stands in no file."""

MAX_MESSAGE_BYTES = MAX_VALUE_BYTES + (1 << 20)
"""Of a record with its headers, on every topic."""

START_SECONDS = 20.0
STOP_SECONDS = 5.0
REQUEST_SECONDS = 10.0

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who we are and how we know the brokers. The password comes from the environment."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """What every client of aiokafka takes; raises `BusError`."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            if not (password := os.environ.get(PASSWORD)):
                raise BusError(f"Kafka wants a password: set {PASSWORD} in the environment.")
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": password,
            }
        if self.protocol.endswith("SSL"):
            try:
                options["ssl_context"] = create_ssl_context(
                    cafile=self.ca_file, certfile=self.cert_file, keyfile=self.key_file
                )
            except OSError as error:
                raise BusError(
                    f"The certificates for Kafka cannot be read ({error}): check ca_file, "
                    "cert_file and key_file."
                ) from error
        return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The brokers, and the name `app` that stands before every topic, group and writer. New
    topics are kept `replication` times."""

    bootstrap_servers: str
    app: str
    replication: int = 1
    security: Security = field(default_factory=Security)

    def topic(self, name: str) -> str:
        return f"{self.app}.{name}"

    def producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._common(),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=1 << 20,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
            retry_backoff_ms=10,
        )

    def consumer(
        self,
        *,
        max_wait_seconds: float = 0.5,
        group: str | None = None,
        page_bytes: int = MAX_MESSAGE_BYTES,
    ) -> AIOKafkaConsumer:
        """Is told what to read and from where; `group` is whose offsets it keeps at Kafka.
        Earlier programs wrote in transactions: what these took back is not read."""
        return AIOKafkaConsumer(
            **self._common(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=int(max_wait_seconds * 1000),
            fetch_max_bytes=4 * MAX_MESSAGE_BYTES,
            max_partition_fetch_bytes=page_bytes,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
        )

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Raises `BusError` for whatever goes wrong on the way to the broker."""
        client = AIOKafkaAdminClient(
            **self._common(), request_timeout_ms=int(REQUEST_SECONDS * 1000)
        )
        try:
            await self.start(client)
            yield client
        except (KafkaError, OSError, TimeoutError) as error:
            raise await self.explained(error) from error
        finally:
            await _at_most(STOP_SECONDS, client.close())

    async def start(
        self, client: AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient
    ) -> None:
        """Raises `BusError`, or `Unreachable` when waiting may help."""
        settled = _settling_bootstrap(_inner(client))
        try:
            async with asyncio.timeout(START_SECONDS):
                await client.start()
        except BaseException as error:
            await settled()
            if not isinstance(client, AIOKafkaAdminClient):
                await self.stop(client)
            if isinstance(error, KafkaError | OSError | TimeoutError):
                raise await self.explained(error) from error
            raise

    async def look(self, consumer: AIOKafkaConsumer, names: Iterable[str]) -> None:
        """Learn at once where these topics lie; the client itself would ask for one at a time, with
        a pause after each."""
        client = consumer._client
        await client.set_topics({*client._topics, *(self.topic(name) for name in names)})

    async def stop(self, client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
        """A client that cannot say good-bye goes without: the broker forgets it by itself."""
        if await _at_most(STOP_SECONDS, client.stop()):
            return
        if isinstance(client, AIOKafkaProducer) and client._sender.sender_task is not None:
            # It would go on sending what it still has as soon as the broker is back.
            client._sender.sender_task.cancel()
        await _at_most(STOP_SECONDS, _inner(client).close())

    async def refusal(self) -> Exception | None:
        """Why no connection can be made, or none to where the brokers say they are; None when all
        can."""
        options = self._common()
        servers = options.pop("bootstrap_servers")
        refused = await refusal(servers, options)
        return refused or await unreachable_announced(servers, options)

    async def explained(self, error: BaseException) -> BusError:
        """An error on the way to the broker, with its cause where connections show one."""
        return self.unreachable(await self.refusal() or error)

    def unreachable(self, error: BaseException) -> BusError:
        if isinstance(error, Announced):
            address, why = error.args
            return Unreachable(
                f"Kafka at {self.bootstrap_servers} announces a broker at {address}, where this "
                f"machine cannot reach it ({why}): set advertised.listeners of that broker to an "
                "address that clients reach."
            )
        return (BusError if isinstance(error, LASTING) else Unreachable)(
            f"Kafka at {self.bootstrap_servers} does not answer as it should ({in_words(error)}): "
            "check that the broker runs, its address and the security settings."
        )

    def _common(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.app,
            **self.security.options(),
        }


def _inner(client: AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient) -> AIOKafkaClient:
    return client.client if isinstance(client, AIOKafkaProducer) else client._client


def _settling_bootstrap(client: AIOKafkaClient) -> Callable[[], Awaitable[None]]:
    """Let the bootstrap of this client end when its start is cancelled; await what is returned
    before the client is closed. aiokafka 0.14 forgets the open connection of a bootstrap that is
    cancelled while it asks for metadata.
    """
    bootstrap, begun = client.bootstrap, []

    async def shielded() -> None:
        begun.append(asyncio.ensure_future(bootstrap()))
        await asyncio.shield(begun[0])

    async def settled() -> None:
        for task in begun:
            await _at_most(STOP_SECONDS, task)

    client.bootstrap = shielded
    return settled


async def _at_most(seconds: float, work: Awaitable[None]) -> bool:
    """Whether the work ended by itself in time, be it with an error."""
    # In a task of its own: a client that stops may hand on the cancellation of its own tasks.
    task = asyncio.ensure_future(work)
    _, late = await asyncio.wait([task], timeout=seconds)
    if late:
        task.cancel()
        await asyncio.wait([task], timeout=seconds)
    elif not task.cancelled():
        task.exception()
    return not late


def quiet_client_log() -> None:
    """The client reports as a warning what it retries by itself: not for a user's eyes."""
    logger = logging.getLogger("aiokafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
