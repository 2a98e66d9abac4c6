"""Nobody who puts waits, and all that is lost is counted."""

from collections.abc import Sequence
from threading import Event
from time import monotonic

from observability.telemetry.outbox import Outbox


def test_what_was_put_arrives_in_order_and_at_the_end() -> None:
    got: list[int] = []

    def send(items: Sequence[int]) -> bool:
        got.extend(items)
        return True

    outbox = Outbox("numbers", send, lambda: None, most=7, pause_seconds=60)
    for number in range(100):
        outbox.put(number)
    outbox.close(5)
    assert got == list(range(100))
    assert (outbox.sent, outbox.lost) == (100, 0)


def test_what_is_refused_is_counted() -> None:
    def broken(items: Sequence[int]) -> bool:
        raise ConnectionError

    for send in (broken, lambda items: False):
        outbox = Outbox("numbers", send, lambda: None, pause_seconds=60)
        for number in range(10):
            outbox.put(number)
        outbox.close(5)
        assert (outbox.sent, outbox.lost) == (0, 10)


def test_a_collector_that_hangs_costs_what_finds_no_room_and_no_time() -> None:
    hanging, entered = Event(), Event()

    def send(items: Sequence[int]) -> bool:
        entered.set()
        return hanging.wait(30)

    outbox = Outbox("numbers", send, lambda: None, room=20, most=5, pause_seconds=60)
    for number in range(5):
        outbox.put(number)
    assert entered.wait(10)
    began = monotonic()
    for number in range(1000):
        outbox.put(number)
    outbox.close(0.2)
    assert monotonic() - began < 5
    assert (outbox.sent, outbox.lost) == (0, 1005)
    outbox.put(1)
    assert outbox.lost == 1006
    hanging.set()
