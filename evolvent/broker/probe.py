"""Whose broker serves a port, and whether a client can rely on it yet."""

import asyncio
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

_REQUEST_MILLISECONDS = 5000


def cluster_at(port: int) -> str | None:
    """The id of the cluster that serves 127.0.0.1:`port`; None while none takes clients."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    # In a thread, so that a caller may have an event loop running in its own.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_probe, f"127.0.0.1:{port}").result()


def _probe(address: str) -> str | None:
    # A broker that does not answer yet is an answer; the client would log it as an error.
    here = threading.get_ident()
    log = logging.getLogger("aiokafka")

    def is_from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    log.addFilter(is_from_elsewhere)
    try:
        return asyncio.run(_cluster(address))
    finally:
        log.removeFilter(is_from_elsewhere)


async def _cluster(address: str) -> str | None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=_REQUEST_MILLISECONDS)
    try:
        await admin.start()
        found = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        await admin.close()
    # A registered broker is listed only when the controller lets clients at it.
    return str(found["cluster_id"]) if found["brokers"] else None
