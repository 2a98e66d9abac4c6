"""Asks the broker, all the time, where the journal ends. Whoever needs an answer waits through any
outage, and the log says why. Knows no entry.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from bus.errors import BusError
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import in_words

ASK_SECONDS = 1.0
MAX_ASK_SECONDS = 5.0
SAY_SECONDS = 4.0
"""The log gets a line about an outage not more often than that."""

_log = logging.getLogger(__name__)


class Watch:
    def __init__(self, cluster: Cluster, place: TopicPartition) -> None:
        self.trouble: str | None = None
        """Why the broker does not answer; None while it does."""
        self.listeners: list[Callable[[], None]] = []
        """Called at the end of an outage."""
        self._cluster, self._place = cluster, place
        self._client: AIOKafkaConsumer | None = None
        self._answers = asyncio.Event()
        self._began = self._said = 0.0

    async def start(self) -> None:
        """Raises `BusError` when no broker answers."""
        client = self._cluster.consumer()
        await self._cluster.start(client)
        self._client = client
        self._answers.set()

    async def run(self) -> None:
        """For ever."""
        pause = ASK_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                if self._client is None:
                    await self.start()
                assert self._client is not None
                await self._client.end_offsets([self._place])
            except (KafkaError, BusError, OSError, TimeoutError) as error:
                # A connection may be dead without knowing it: the next try takes a new one.
                await self.stop()
                pause = min(2 * pause, MAX_ASK_SECONDS)
                self._lose(in_words(await self._cluster.refusal() or error), pause)
            else:
                pause = ASK_SECONDS
                self._find()

    async def end(self) -> int:
        """Where the journal ends for those who read what is committed."""
        while True:
            await self._answers.wait()
            with suppress(KafkaError):
                if (client := self._client) is not None:
                    return int((await client.end_offsets([self._place]))[self._place])
            await asyncio.sleep(ASK_SECONDS / 10)

    async def over(self) -> None:
        """Return when the broker answers."""
        await self._answers.wait()

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await self._cluster.stop(client)

    def _lose(self, reason: str, pause: float) -> None:
        now = time.monotonic()
        if self.trouble is None:
            self._began, self._said = now, 0.0
        self.trouble = reason
        self._answers.clear()
        if now - self._said >= SAY_SECONDS:
            self._said = now
            _log.warning(
                "Kafka at %s does not answer (%s): waiting, next try in %.0f s",
                self._cluster.bootstrap_servers,
                reason,
                pause,
            )

    def _find(self) -> None:
        if self.trouble is None:
            return
        _log.warning(
            "Kafka at %s answers again, after %.0f s",
            self._cluster.bootstrap_servers,
            time.monotonic() - self._began,
        )
        self.trouble = None
        self._answers.set()
        for listener in list(self.listeners):
            listener()
