"""What was learned before, to be learned again: queues of rows, and running means beside them."""

from collections import deque
from collections.abc import Mapping
from random import Random

import torch
from torch import Tensor

from trainer.rows import Row

WARMUP = "warm-up/"
"""The queues of the warm-up's examples begin so."""

_ROWS = "replay.rows."
_WEIGHTS = "replay.weights."
_RATES = "replay.rates."


class Replay:
    """The last `capacity` rows of every queue, and named running means in `rates`.

    Kept over a restart: prompts, completions and weights; behaviour log-probabilities are not.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queues: dict[str, deque[Row]] = {}
        self.rates: dict[str, float] = {}

    def add(self, queue: str, row: Row) -> None:
        self._queues.setdefault(queue, deque(maxlen=self._capacity)).append(row)

    def forget(self) -> None:
        """Everything but what version 0 knew: the examples of the warm-up."""
        kept = self.names(WARMUP)
        self._queues = {name: self._queues[name] for name in kept}
        self.rates.clear()

    def names(self, kind: str) -> list[str]:
        """The queues of a kind, in an order that does not depend on how they came about."""
        return sorted(name for name in self._queues if name.startswith(kind))

    def draw(self, queue: str, random: Random) -> Row:
        rows = self._queues[queue]
        return rows[random.randrange(len(rows))]

    def sample(self, count: int, random: Random, kind: str) -> list[Row]:
        """`count` rows: the queue uniformly, then a row of it; none if there is no queue."""
        names = self.names(kind)
        return [self.draw(random.choice(names), random) for _ in range(count if names else 0)]

    def state(self) -> dict[str, Tensor]:
        """Per queue [rows, 2 + width] int32: prompt and completion length, then the tokens. In the
        main memory."""
        with torch.device("cpu"):
            return self._state()

    def _state(self) -> dict[str, Tensor]:
        tensors = {}
        for name, rows in self._queues.items():
            width = max(len(row.prompt) + len(row.completion) for row in rows)
            packed = torch.zeros(len(rows), width + 2, dtype=torch.int32)
            for index, row in enumerate(rows):
                tokens = (len(row.prompt), len(row.completion), *row.prompt, *row.completion)
                packed[index, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
            tensors[_ROWS + name] = packed
            tensors[_WEIGHTS + name] = torch.tensor([row.weight for row in rows])
        for name, rate in self.rates.items():
            tensors[_RATES + name] = torch.tensor(rate, dtype=torch.float64)
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            if name.startswith(_RATES):
                self.rates[name.removeprefix(_RATES)] = float(tensor)
            elif name.startswith(_ROWS):
                queue = name.removeprefix(_ROWS)
                weights = tensors[_WEIGHTS + queue].tolist()
                for (prompt, completion, *tokens), weight in zip(
                    tensor.tolist(), weights, strict=True
                ):
                    row = Row(
                        prompt=tuple(tokens[:prompt]),
                        completion=tuple(tokens[prompt : prompt + completion]),
                        weight=weight,
                    )
                    self.add(queue, row)
