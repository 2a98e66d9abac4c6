"""Which requests are decoded together: whole groups of neighbouring lengths, as many rows as are
allowed and as fit the memory. Knows no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.engines.engine import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a batch may take: rows, and bytes where `num_bytes` is set; a position of one row takes
    `per_token` of keys and values, drawing the next token of one `per_row`."""

    max_rows: int
    num_bytes: int | None
    per_token: int
    per_row: int

    def holds(self, num_rows: int, length: int) -> bool:
        """Whether so many rows of so many tokens, prompt and answer together, fit."""
        taken = num_rows * (length * self.per_token + self.per_row)
        return num_rows <= self.max_rows and (self.num_bytes is None or taken <= self.num_bytes)


def cut(requests: Sequence[Request], room: Room) -> list[list[int]]:
    """The places of the requests, batch by batch; a request that is too large goes alone."""
    batches: list[list[int]] = []
    num_rows = most = 0
    lengths = [len(request.prompt_tokens) for request in requests]
    for index in sorted(range(len(requests)), key=lengths.__getitem__):
        request = requests[index]
        num_rows, most = num_rows + request.n, max(most, request.max_tokens)
        if not batches or not room.holds(num_rows, lengths[index] + most):
            batches.append([])
            num_rows, most = request.n, request.max_tokens
        batches[-1].append(index)
    return batches
