"""Whose broker serves an address, and since when a client can rely on it."""

import asyncio
import logging
import socket
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
        return pool.submit(asyncio.run, _cluster(f"127.0.0.1:{port}")).result()


async def _cluster(address: str) -> str | None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    # A broker that is still starting is no error; the client would log it as one.
    logging.getLogger("aiokafka.client").addFilter(_is_no_failed_try)
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=_REQUEST_MILLISECONDS)
    try:
        await admin.start()
        found = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        await admin.close()
        logging.getLogger("aiokafka.client").removeFilter(_is_no_failed_try)
    # A registered broker is listed only when the controller lets clients at it.
    return str(found["cluster_id"]) if found["brokers"] else None


def _is_no_failed_try(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR
