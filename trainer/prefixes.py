"""Rows that begin alike, read as trees: what a chat template puts before all of them, and the
prompt that the samples of a group share, are read once. Knows no model.

    rows     a b c x .      tree     a b c x
             a b c y .                     y      a token sees what lies on its way from the root

Shape legend: U trees, T tokens of the largest, N completion tokens of all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from trainer.rows import Row

_MOST_TOKENS = 256
"""Of a tree, unless one row has more: attention compares each token with each."""


@dataclass(slots=True)
class Tree:
    """Tokens of several rows and who comes before each, -1 at the root; `paths` are the places of
    the tokens of each of `rows`. Rows are added in the order of their tokens."""

    tokens: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    def takes(self, read: Sequence[int]) -> bool:
        new = len(read) - self._shared(read)
        return not self.rows or len(self.tokens) + new <= _MOST_TOKENS

    def add(self, row: int, read: Sequence[int]) -> None:
        path = self.paths[-1][: self._shared(read)] if self.paths else []
        for token in read[len(path) :]:
            self.before.append(path[-1] if path else -1)
            path.append(len(self.tokens))
            self.tokens.append(token)
        self.rows.append(row)
        self.paths.append(path)

    def _shared(self, read: Sequence[int]) -> int:
        """How many tokens the last row begins with that `read` begins with."""
        last = self.paths[-1] if self.paths else []
        differ = (i for i, (at, token) in enumerate(zip(last, read, strict=False))
                  if self.tokens[at] != token)  # fmt: skip
        return next(differ, min(len(last), len(read)))

    def seen(self) -> tuple[Tensor, list[int]]:
        """[T, T], whether a token sees another; and how deep each lies."""
        seen_TT = torch.eye(len(self.tokens), dtype=torch.bool)
        depths: list[int] = []
        for place, before in enumerate(self.before):
            depths.append(0 if before < 0 else depths[before] + 1)
            if before >= 0:
                seen_TT[place] |= seen_TT[before]
        return seen_TT, depths


def trees_of(rows: Sequence[Row]) -> list[Tree]:
    """Every row but its last token, which nothing follows, in some tree."""
    trees: list[Tree] = []
    reads = [(*row.prompt, *row.completion)[:-1] for row in rows]
    for index in sorted(range(len(rows)), key=lambda index: reads[index]):
        if not trees or not trees[-1].takes(reads[index]):
            trees.append(Tree())
        trees[-1].add(index, reads[index])
    return trees


def parts_of_trees(rows: Sequence[Row], tokens: int) -> list[list[int]]:
    """Places of rows: parts of whole trees, of at most `tokens` tokens each, pads included."""
    parts: list[list[int]] = []
    count = width = 0
    for tree in trees_of(rows):
        width = max(width, len(tree.tokens))
        count += 1
        if not parts or width * count > tokens:
            parts.append([])
            count, width = 1, len(tree.tokens)
        parts[-1] += tree.rows
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Trees as tensors, padded on the right; `before_N` are the places, among all U x T, of what
    comes before each completion token, row by row."""

    tokens_UT: Tensor
    seen_U1TT: Tensor
    depths_UT: Tensor
    before_N: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> Self:
        trees = trees_of(rows)
        length = max(len(tree.tokens) for tree in trees)
        tokens_UT = torch.zeros(len(trees), length, dtype=torch.long)
        depths_UT = torch.zeros_like(tokens_UT)
        # A pad sees itself, or its softmax would have nothing to sum over.
        seen_U1TT = torch.eye(length, dtype=torch.bool).repeat(len(trees), 1, 1, 1)
        before: list[list[int]] = [[] for _ in rows]
        for number, tree in enumerate(trees):
            size = len(tree.tokens)
            seen_TT, depths = tree.seen()
            tokens_UT[number, :size] = torch.tensor(tree.tokens)
            depths_UT[number, :size] = torch.tensor(depths)
            seen_U1TT[number, 0, :size, :size] = seen_TT
            for row, path in zip(tree.rows, tree.paths, strict=True):
                made = path[len(rows[row].prompt) - 1 :] if rows[row].completion else []
                before[row] = [number * length + place for place in made]
        return cls(
            tokens_UT=tokens_UT.to(device),
            seen_U1TT=seen_U1TT.to(device),
            depths_UT=depths_UT.to(device),
            before_N=torch.tensor([place for each in before for place in each], device=device),
        )
