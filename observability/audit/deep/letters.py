"""A dead letter against the record that it is about."""

import base64

from bus.errors import BusError
from bus.events import DeadLetter
from bus.log import Log
from observability.audit.findings import Findings


def check_letter(log: Log, letter: DeadLetter, place: str, findings: Findings) -> None:
    """It holds the bytes of the record, or the first of them."""
    at = (letter.origin_topic, letter.origin_partition, letter.origin_offset)
    try:
        record = next(log.read(*at, letter.origin_offset + 1), None)
        kept = base64.b64decode(letter.value)
    except (BusError, ValueError):
        return
    if record is not None and not record.value.startswith(kept):
        findings.gather(
            "I12",
            "the dead letter at {example} holds other bytes than the record that it is about",
            "{number} dead letters hold other bytes than the records that they are about: "
            "{examples}",
            place,
        )
