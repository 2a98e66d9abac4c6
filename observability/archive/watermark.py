"""What a log says of its archives. Knows no file."""

from bus.errors import Unreadable
from bus.events import Watermark
from bus.log import Log

_PAGE = 64


def newest_watermark(log: Log, location: str | None = None) -> Watermark | None:
    """What was said last of an archive, of the one at `location` where that is named."""
    stream = (Watermark.topic, 0)
    end = log.heads().get(stream, 0)
    while end > 0:
        start = max(0, end - _PAGE)
        for record in reversed(list(log.read(*stream, start, end))):
            try:
                event = record.event()
            except Unreadable:
                continue
            if isinstance(event, Watermark) and location in (None, event.location):
                return event
        end = start
    return None
