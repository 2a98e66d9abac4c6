"""Keys and values of rows in flight, where rows of one prompt share what it says. A step looks at
the prompts' by matrix products over all rows of each, at what was drawn since row by row.

    rows of a prompt: 7  ->  blocks of 4, 2 and 1 rows (all prompts with as many rows: one block)

Shapes: L layers, P prompts, R rows, K heads of keys and values, G heads that look at each, T
positions of prompts, N new ones, D of a head.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_FEW = 400
"""Below so many products a row and head, a sum over elements is quicker than a matrix product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What distinct prompts have left: keys and values [L, P, K, T, D], and the lengths of those
    that are shorter than the longest (None where all are alike)."""

    keys: Tensor
    values: Tensor
    lengths_P: Tensor | None

    def chosen(self, prompts: Sequence[int]) -> "Prompts":
        if list(prompts) == list(range(self.keys.shape[1])):
            return self
        index = torch.tensor(prompts, device=self.keys.device)
        return Prompts(
            keys=self.keys.index_select(1, index),
            values=self.values.index_select(1, index),
            lengths_P=None if self.lengths_P is None else self.lengths_P[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The rows from `begin` to `end`: `share` after one another have one of `prompts`. `bias_TP`
    keeps them from looking at padding."""

    begin: int
    end: int
    share: int
    prompts: Prompts
    bias_TP: Tensor | None


class Shared:
    """Keys and values of rows; `room` new tokens fit. Rows lie in the order `order_R` of those that
    it was given."""

    def __init__(self, prompts: Prompts, prompt_of_row: Sequence[int], room: int) -> None:
        self.prompts = prompts
        num_layers, _, heads, _, head_dim = prompts.keys.shape
        self._arrange(prompt_of_row)
        size = (num_layers, room, len(prompt_of_row), heads, head_dim)
        # Where nothing is written, no memory is taken: positions come first.
        self.new_keys, self.new_values = prompts.keys.new_empty(size), prompts.keys.new_empty(size)
        self.num_new = 0

    def _arrange(self, prompt_of_row: Sequence[int]) -> None:
        order, parts = arranged(prompt_of_row)
        self.order_R = torch.tensor(order, device=self.prompts.keys.device)
        self.prompt_of_row = [prompt_of_row[row] for row in order]
        self.blocks, begin = [], 0
        for share, chosen in parts:
            end = begin + share * len(chosen)
            prompts = self.prompts.chosen(chosen)
            bias_TP = _bias(prompts)
            block = Block(begin=begin, end=end, share=share, prompts=prompts, bias_TP=bias_TP)
            self.blocks.append(block)
            begin = end

    def keep(self, rows: Tensor) -> None:
        """These rows alone; `order_R` is of all that there were."""
        left = [self.prompt_of_row[row] for row in rows.tolist()]
        prompts = sorted(set(left))
        place = {prompt: index for index, prompt in enumerate(prompts)}
        self.prompts = self.prompts.chosen(prompts)
        self._arrange([place[prompt] for prompt in left])
        self.order_R = rows[self.order_R]
        self.new_keys = self._selected(self.new_keys)
        self.new_values = self._selected(self.new_values)

    def add(self, part: slice, keys_LBKND: Tensor, values_LBKND: Tensor) -> None:
        """Put down what some rows have drawn before the next step."""
        num_new = keys_LBKND.shape[3]
        self.new_keys[:, :num_new, part] = keys_LBKND.permute(0, 3, 1, 2, 4)
        self.new_values[:, :num_new, part] = values_LBKND.permute(0, 3, 1, 2, 4)

    def _selected(self, old: Tensor) -> Tensor:
        num_layers, room, _, heads, head_dim = old.shape
        new = old.new_empty(num_layers, room, len(self.order_R), heads, head_dim)
        new[:, : self.num_new] = old[:, : self.num_new].index_select(2, self.order_R)
        return new

    def attend(self, layer: int, q_RHD: Tensor, k_RKD: Tensor, v_RKD: Tensor) -> Tensor:
        """See `Attend`; `num_new` counts the step that the keys and values are of."""
        end = self.num_new
        keys_NRKD, values_NRKD = self.new_keys[layer, :end], self.new_values[layer, :end]
        keys_NRKD[-1], values_NRKD[-1] = k_RKD, v_RKD
        num_rows, heads, head_dim = k_RKD.shape
        q_RKGD = q_RHD.reshape(num_rows, heads, -1, head_dim)
        width, group = self.prompts.keys.shape[3], q_RKGD.shape[2]
        scores_TRKG = q_RKGD.new_empty(width + end, num_rows, heads, group)
        for block in self.blocks:
            _look(block, layer, q_RKGD, scores_TRKG[:width])
        few = group == 1 and end * head_dim < _FEW
        scores_TRKG[width:] = _by_sums(q_RKGD, keys_NRKD) if few else _by_product(q_RKGD, keys_NRKD)
        weights_TRKG = torch.softmax(scores_TRKG, 0)
        new_NRKG = weights_TRKG[width:]
        mixed_RKGD = _summed(new_NRKG, values_NRKD) if few else _multiplied(new_NRKG, values_NRKD)
        for block in self.blocks:
            _mix(block, layer, weights_TRKG[:width], mixed_RKGD)
        return mixed_RKGD.view(num_rows, -1)


def arranged(
    prompt_of_row: Sequence[int],
) -> tuple[list[int], list[tuple[int, list[int]]]]:
    """Rows in an order in which every so many share a prompt; how many, and whose, part by part."""
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompt_of_row):
        rows_of[prompt].append(row)
    alike = len({len(rows) for rows in rows_of.values()}) == 1
    parts: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for prompt, rows in rows_of.items():
        begin = 0
        for share in [len(rows)] if alike else _powers(len(rows)):
            parts[share].append((prompt, rows[begin : begin + share]))
            begin += share
    order = [row for part in parts.values() for _, rows in part for row in rows]
    return order, [(share, [prompt for prompt, _ in part]) for share, part in parts.items()]


def _powers(count: int) -> Iterator[int]:
    """The powers of two that a number is the sum of, the largest first."""
    while count:
        power = 1 << (count.bit_length() - 1)
        yield power
        count -= power


def _bias(prompts: Prompts) -> Tensor | None:
    if prompts.lengths_P is None:
        return None
    width = prompts.keys.shape[3]
    bias_TP = prompts.keys.new_zeros(width, len(prompts.lengths_P))
    steps_T = torch.arange(width, device=bias_TP.device)
    return bias_TP.masked_fill_(steps_T[:, None] >= prompts.lengths_P, -torch.inf)


def _look(block: Block, layer: int, q_RKGD: Tensor, scores_TRKG: Tensor) -> None:
    """Write the scores that the rows of a block give to their prompts."""
    keys_PKTD = block.prompts.keys[layer]
    num_prompts, heads, width, head_dim = keys_PKTD.shape
    group, share = q_RKGD.shape[2], block.share
    q = q_RKGD[block.begin : block.end].view(num_prompts, share, heads, group, head_dim)
    q = q.transpose(1, 2).reshape(num_prompts * heads, share * group, head_dim)
    scores = torch.bmm(q, keys_PKTD.view(-1, width, head_dim).mT)
    scores = scores.view(num_prompts, heads, share, group, width).permute(4, 0, 2, 1, 3)
    to = scores_TRKG[:, block.begin : block.end].view(width, num_prompts, share, heads, group)
    if block.bias_TP is None:
        to.copy_(scores)
    else:
        torch.add(scores, block.bias_TP[:, :, None, None, None], out=to)


def _mix(block: Block, layer: int, weights_TRKG: Tensor, mixed_RKGD: Tensor) -> None:
    """Add what the rows of a block take from their prompts."""
    values_PKTD = block.prompts.values[layer]
    num_prompts, heads, width, head_dim = values_PKTD.shape
    group, share = mixed_RKGD.shape[2], block.share
    weights = weights_TRKG[:, block.begin : block.end]
    weights = weights.view(width, num_prompts, share, heads, group).permute(1, 3, 2, 4, 0)
    weights = weights.reshape(num_prompts * heads, share * group, width)
    mixed = torch.bmm(weights, values_PKTD.view(-1, width, head_dim))
    mixed = mixed.view(num_prompts, heads, share, group, head_dim).transpose(1, 2)
    mixed_RKGD[block.begin : block.end].view(mixed.shape).add_(mixed)


def _by_sums(q_RKGD: Tensor, keys_NRKD: Tensor) -> Tensor:
    return (keys_NRKD * q_RKGD[:, :, 0]).sum(-1)[..., None]


def _summed(weights_NRKG: Tensor, values_NRKD: Tensor) -> Tensor:
    return (weights_NRKG * values_NRKD).sum(0)[:, :, None]


def _by_product(q_RKGD: Tensor, keys_NRKD: Tensor) -> Tensor:
    num_new, num_rows, heads, head_dim = keys_NRKD.shape
    keys = keys_NRKD.view(num_new, -1, head_dim).permute(1, 2, 0)
    scores = torch.bmm(q_RKGD.view(num_rows * heads, -1, head_dim), keys)
    return scores.permute(2, 0, 1).view(num_new, num_rows, heads, -1)


def _multiplied(weights_NRKG: Tensor, values_NRKD: Tensor) -> Tensor:
    num_new, num_rows, heads, head_dim = values_NRKD.shape
    values = values_NRKD.view(num_new, -1, head_dim).transpose(0, 1)
    weights = weights_NRKG.reshape(num_new, num_rows * heads, -1).permute(1, 2, 0)
    return torch.bmm(weights, values).view(num_rows, heads, -1, head_dim)
