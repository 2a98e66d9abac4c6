"""Why no connection to a broker can be made, in words for a user. Knows no topic and no client."""

import asyncio
import ssl
from collections.abc import Mapping
from socket import gaierror
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

ANSWER_SECONDS = 5.0

LASTING = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    ssl.SSLError,
)
"""What waiting does not mend."""


async def refusal(servers: str, options: Mapping[str, Any]) -> Exception | None:
    """What the first server that refuses says; None when every one can be talked to."""
    for host, port, _ in collect_hosts(servers):
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await create_conn(host, port, **options)
            connection.close()
        except (KafkaError, OSError, TimeoutError) as error:
            return error
    return None


class Announced(Exception):
    """A broker tells clients to come to an address, and nobody is there: the address and why."""


async def unreachable_announced(servers: str, options: Mapping[str, Any]) -> Announced | None:
    """Of the brokers that a server names, the first that cannot be talked to; None when every one
    can."""
    client = AIOKafkaClient(bootstrap_servers=servers, **options)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
        named = [f"{broker.host}:{broker.port}" for broker in client.cluster.brokers()]
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        await client.close()
    for address in named:
        if (error := await refusal(address, options)) is not None:
            return Announced(address, in_words(error))
    return None


def is_passing(error: BaseException) -> bool:
    """Whether a broker that has been away, or busy, would explain this error."""
    if isinstance(error, LASTING):
        return False
    if isinstance(error, KafkaError):
        return bool(error.retriable) or isinstance(error, KafkaTimeoutError)
    return isinstance(error, OSError | TimeoutError)


def in_words(error: BaseException) -> str:
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return str(error) or type(error).__name__


_WORDS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    gaierror: "no such host",
    ssl.SSLCertVerificationError: "its certificate is not signed by what ca_file names",
    ssl.SSLError: "TLS does not come about",
    UnsupportedSaslMechanismError: "it does not take this mechanism",
    AuthenticationFailedError: "it does not take this username and password",
    SaslAuthenticationFailed: "it does not take this username and password",
    KafkaTimeoutError: "no answer",
    TimeoutError: "no answer",
    KafkaConnectionError: "the connection was broken",
}
