"""What a batch asks of a model in memory, however its kind is computed. Knows no sampling.

    open(prompts) -> rows: step -> keep -> step ...    their keys and values, and the next logits

Shapes: R rows, N new tokens, B texts, T positions, V vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Rows(Protocol):
    """Rows that have read their prompts, and what was drawn for them since."""

    @property
    def order_R(self) -> Tensor:
        """Which of the rows that were last given each row is: they may come back in another
        order."""
        ...

    @property
    def logits_RV(self) -> Tensor:
        """Of what comes next."""
        ...

    def step(self, tokens_R: Tensor) -> None:
        """Read one token more of every row."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, once `step` is done."""
        ...


class Model(Protocol):
    """The weights of one version."""

    @property
    def device(self) -> torch.device: ...

    @property
    def num_bytes_per_token(self) -> int:
        """What the keys and values of one position take."""
        ...

    def logits(self, ids_BT: Tensor) -> Tensor:
        """[B, T, V]: a plain forward pass over texts of one length."""
        ...

    def open(
        self,
        prompts: Sequence[tuple[int, ...]],
        prompt_of_row: Tensor,
        so_far_RN: Tensor,
        room: int,
    ) -> Rows:
        """Rows that have read each its prompt and what was drawn for it so far, with room for
        `room` new tokens."""
        ...
