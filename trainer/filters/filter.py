"""What of a batch is learned from: the `Filter` protocol. A filter knows judgments and no model."""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from bus.events import Judgment


class Filter(Protocol):
    def choose(self, judgments: Sequence[Judgment], random: Random) -> Sequence[Judgment]:
        """The judgments to learn from, whole or with fewer of their samples; the same for the same
        `random`. What is left out is consumed all the same and never comes again."""
        ...


def chosen_for(
    version: int, filter: Filter, judgments: Sequence[Judgment], seed: int
) -> Sequence[Judgment]:
    """What a filter leaves of the batch of a version, the same whoever asks."""
    return filter.choose(judgments, Random(f"{seed}/filter/{version}"))
