"""Runs a role: takes records, lets the role answer them, commits. Knows no role and no driver.

    subscription -take-> up to `concurrency` handlers -results-> committer -complete-> subscription

Handlers finish in any order; whatever has finished while one commit was under way goes into
the next one, so a slow handler holds nobody and many quick ones share a commit. What cannot be
written is a dead letter of its own record, and so is a record that ends its process (`hands`).
"""

import asyncio
import base64
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from time import time_ns
from typing import Any, Generic, Protocol, TypeVar, cast

from opentelemetry.trace import Span, Status, StatusCode

from bus.bus import Subscription
from bus.control import Switch
from bus.errors import Unreadable, Unwritable, first_of
from bus.events import DeadLetter, Event, derive_id
from bus.faults import fault_point
from bus.hands import Hands, hand_of
from bus.records import Delivery
from bus.tracing import context as trace
from bus.tracing.account import Account
from bus.tracing.attributes import ERROR_TYPE
from bus.tracing.processing import invoking, processing
from bus.tracing.sending import Making, Sending, finished

MAX_DEAD_BYTES = 4 * 1024 * 1024
"""A dead letter keeps this much of a record, so that it can itself be written."""

_LOOK_SECONDS = 0.2
"""A role that waits for records notices within this time that it has been paused."""

_MAX_HEADERS = 64
_MAX_TEXT = 2000

_log = logging.getLogger(__name__)

In = TypeVar("In", bound=Event)
In_contra = TypeVar("In_contra", bound=Event, contravariant=True)


class Rejected(Exception):
    """The event is at fault: the role will never be able to answer it; the reason."""


class Role(Protocol[In_contra]):
    """Takes one event and returns the events that follow.

    Raises `Rejected` when the event is at fault. Any other exception means that the world is:
    nothing is committed for the event and the process stops.
    """

    async def handle(self, event: In_contra) -> Sequence[Event]: ...


@dataclass(slots=True, kw_only=True)
class Counters:
    """Of one runner, since its start. `in_flight` are taken and not yet committed."""

    handled: int = 0
    rejected: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    delivery: Delivery
    event: Event | None
    outputs: Sequence[Event]
    rejected: bool
    making: Making


class Runner(Generic[In]):
    """One role on one subscription. While its `switch` is not open nothing new is taken. `hands`
    remember what is in hand beyond the end of the process."""

    def __init__(
        self,
        role: Role[In],
        subscription: Subscription,
        *,
        group: str,
        run: str,
        concurrency: int = 1,
        grace_seconds: float = 30.0,
        switch: Switch | None = None,
        hands: Hands | None = None,
    ) -> None:
        self.counters = Counters()
        self._role = role
        self._subscription = subscription
        self._group = group
        self._run = run
        self._concurrency = concurrency
        self._grace_seconds = grace_seconds
        self._switch = switch or Switch()
        self._hands = hands or Hands()
        self._account = Account(group)
        self._room = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()
        self._results: asyncio.Queue[_Result | None] = asyncio.Queue()

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Work until `stop` is set or something fails. The caller closes the subscription.

        After `stop` nothing more is taken; handlers have `grace_seconds` to finish and are
        committed, those that do not are cancelled and their records are delivered again.
        Cancelling this coroutine cancels the handlers; a commit under way is waited for.
        Raises what a handler or the bus raised: `Fenced`, `BusError`, the role's own.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                taker = tasks.create_task(self._take(tasks))
                committer = tasks.create_task(self._commit())
                await (stop or asyncio.Event()).wait()
                taker.cancel()
                await asyncio.wait([taker])
                await self._finish_handlers()
                self._results.put_nowait(None)
                await committer
        except BaseExceptionGroup as group:
            raise first_of(group) from None

    async def _take(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            while (room := self._concurrency - self.counters.in_flight) <= 0:
                self._room.clear()
                await self._room.wait()
            await self._switch.opened()
            taken = await self._subscription.take(room, _LOOK_SECONDS)
            self.counters.in_flight += len(taken)
            waiting = {self._hand(delivery): delivery for delivery in taken}
            for some in self._hands.together(list(waiting)):
                await self._hands.hold(some)
                for hand in some:
                    handler = tasks.create_task(self._handle(waiting[hand]))
                    self._handlers.add(handler)
                    handler.add_done_callback(self._handlers.discard)

    def _hand(self, delivery: Delivery) -> str:
        return hand_of(self._group, delivery)

    async def _handle(self, delivery: Delivery) -> None:
        hand = self._hand(delivery)
        began = time_ns()
        with processing(delivery, self._group) as span, self._hands.at(hand):
            rejected, event = False, None
            try:
                if (why := self._hands.condemned(hand)) is not None:
                    raise Rejected(why)
                event = delivery.event()
                if event.channel != delivery.topic:
                    raise Rejected(f"{event.type()} does not belong on topic {delivery.topic}")
                with invoking(self._group, delivery):
                    outputs = await self._role.handle(cast(In, event))
            except (Unreadable, Rejected) as error:
                rejected = True
                _mark(span, error)
                outputs = [dead_letter(delivery, error, group=self._group, run=self._run)]
            making = Making(
                agent=self._group,
                maker=span.get_span_context(),
                recorded=span.is_recording(),
                began=began,
            )
        self._results.put_nowait(
            _Result(
                delivery=delivery, event=event, outputs=outputs, rejected=rejected, making=making
            )
        )

    async def _commit(self) -> None:
        while (first := await self._results.get()) is not None:
            await asyncio.sleep(0)  # handlers that finish in this turn of the loop come along
            results = [first]
            last = False
            while not self._results.empty() and not last:
                result = self._results.get_nowait()
                if result is None:
                    last = True
                else:
                    results.append(result)
            await self._complete(results)
            if last:
                return

    async def _complete(self, results: Sequence[_Result]) -> None:
        outputs = [output for result in results for output in result.outputs]
        sending = Sending()
        for result in results:
            sending.add(result.making, result.outputs, rejected=result.rejected)
        with trace.made_by(sending.makers):
            done = [result.delivery for result in results]
            fault_point(f"{self._group}.completing")
            try:
                await _whole(self._subscription.complete(done, outputs))
            except Exception as error:
                sending.end(error)
                if not isinstance(error, Unwritable):
                    raise
                await self._apart(results, error)
                return
        sending.end()
        for result in results:
            self._account.add(result.delivery, result.outputs, rejected=result.rejected)
            if result.making.recorded:
                finished(result.event, result.delivery.topic, result.outputs, result.rejected)
        fault_point(f"{self._group}.completed")
        self._hands.release([self._hand(result.delivery) for result in results])
        rejected = sum(result.rejected for result in results)
        self.counters.rejected += rejected
        self.counters.handled += len(results) - rejected
        self.counters.in_flight -= len(results)
        self._room.set()

    async def _apart(self, results: Sequence[_Result], error: Unwritable) -> None:
        """Of results that cannot be written together: each alone, or a dead letter."""
        if len(results) > 1:
            for one in results:
                await self._complete([one])
            return
        [result] = results
        if result.rejected:
            raise error
        _log.warning("group %s rejects %s: %s", self._group, self._hand(result.delivery), error)
        letter = dead_letter(result.delivery, error, group=self._group, run=self._run)
        await self._complete([replace(result, outputs=[letter], rejected=True)])

    async def _finish_handlers(self) -> None:
        if handlers := set(self._handlers):
            _, late = await asyncio.wait(handlers, timeout=self._grace_seconds)
            for handler in late:
                handler.cancel()
            if late:
                await asyncio.wait(late)


def dead_letter(delivery: Delivery, error: Exception, *, group: str, run: str) -> DeadLetter:
    """The record that `group` cannot work on, with the reason. The same record gives the
    same id; more than `MAX_DEAD_BYTES` of it is cut off, and the reason says so."""
    record = delivery.record
    reason = str(error) or type(error).__name__
    if len(record.value) > MAX_DEAD_BYTES:
        reason += f"; kept {MAX_DEAD_BYTES:,} of {len(record.value):,} bytes"
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return DeadLetter(
        id=derive_id(run, group, place),
        run=run,
        agent=group,
        origin_topic=record.topic,
        origin_partition=record.partition,
        origin_offset=record.offset,
        group=group,
        reason=_text(reason),
        value=base64.b64encode(record.value[:MAX_DEAD_BYTES]).decode("ascii"),
        headers={
            _text(name): _text(value) for name, value in list(record.headers.items())[:_MAX_HEADERS]
        },
    )


async def _whole(commit: Coroutine[Any, Any, None]) -> None:
    """Wait for the commit to its end even when cancelled: half-way its outcome is unknown."""
    task = asyncio.ensure_future(commit)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


def _mark(span: Span, error: Exception) -> None:
    span.set_attribute(ERROR_TYPE, type(error).__name__)
    span.set_status(Status(StatusCode.ERROR, _text(str(error))))


def _text(text: str) -> str:
    """Short, and without the lone surrogates that JSON cannot carry."""
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
