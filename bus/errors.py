"""What can go wrong between a program and its log. Knows no driver."""


class BusError(Exception):
    """The bus cannot be used: one sentence that says what is wrong and what to do."""


class Unreachable(BusError):
    """No broker answers: it may later."""


class Unwritable(BusError):
    """An event that no log takes, being too large or no text: nothing was written."""


class Trimmed(BusError):
    """The beginning of a partition was removed, up to `first`: an archive has it."""

    def __init__(self, topic: str, partition: int, first: int) -> None:
        super().__init__(
            f"{topic}/{partition} begins at {first}: what lay before was trimmed; read it from the "
            "run's archive."
        )
        self.first = first


class Outage(Exception):
    """The world is at fault, not the event that was handled."""


class Fenced(Exception):
    """Another owner has taken these partitions over: this one must stop writing."""


class Unreadable(Exception):
    """A record is not a valid event; the reason."""


def first_of(group: BaseException) -> BaseException:
    """One failure often strikes many tasks at once: the first says what is wrong."""
    error = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
