"""What a process writes into its log, as log records of OpenTelemetry: with the trace and the span
it was written in. Knows no exporter.
"""

import logging

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber

from observability.telemetry import outbox

_SEVERITIES = (
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)


class LogHandler(logging.Handler):
    """Hands lines on to a provider of loggers; what an outbox says of itself goes to none."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__(logging.INFO)
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == outbox.__name__:
            return
        number = next(
            (number for level, number in _SEVERITIES if record.levelno >= level),
            SeverityNumber.DEBUG,
        )
        said = LogRecord(
            timestamp=int(record.created * 1e9),
            severity_number=number,
            severity_text=record.levelname,
            body=record.getMessage(),
        )
        self._provider.get_logger(record.name).emit(said)
