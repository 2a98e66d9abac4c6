"""Kinds built like Llama in steps of the engine's own: few products, and what prompts share is
computed once. Knows no sampling.

    prompts -> what all begin with: once a version -> the rest: once a prompt -> rows, step by step

Shapes: L layers, B texts, P prompts, R rows, T positions, N new ones, V vocabulary, K heads of keys
and values, D of a head, X hidden.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile

import torch
from torch import Tensor

from agents.engines.checkpoint.adapter import LowRank
from agents.engines.local.reading import Reading, Texts
from agents.engines.local.shared import Prompts, Shared
from agents.engines.local.stack import Stack

_MOST_TOKENS = 8192
"""So many are read at once at most, since what a layer makes of them takes memory."""
_LEAST_SAVED, _MOST_KEPT = 64, 4
"""How many tokens a beginning must spare a batch to be kept, and how many beginnings are."""

Tokens = tuple[int, ...]


class OwnModel:
    """One version; see `Model`. What its prompts begin with stays read for as long as it lives."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._beginnings: dict[Tokens, Prompts] = {}

    def adapted(self, adapter: Mapping[str, LowRank]) -> "OwnModel":
        """Another version on the same weights, which are not copied."""
        return OwnModel(self.stack.adapted(adapter))

    @property
    def device(self) -> torch.device:
        return self.stack.embedding.device

    @property
    def num_bytes_per_token(self) -> int:
        shape = self.stack.shape
        return 2 * 4 * len(shape.rotated) * shape.kv_heads * shape.head_dim

    @torch.inference_mode()
    def logits(self, ids_BT: Tensor) -> Tensor:
        """See `Model`."""
        count, length = ids_BT.shape
        keys, values = self._room(count, length)
        reading = Reading(Texts.of(ids_BT), keys, values)
        return self.stack.logits(reading.ended(self.stack, last_only=False)).view(count, length, -1)

    @torch.inference_mode()
    def open(
        self, prompts: Sequence[Tokens], prompt_of_row: Tensor, so_far_RN: Tensor, room: int
    ) -> "OwnRows":
        """See `Model`."""
        asked = prompt_of_row.tolist()
        wanted = sorted(set(asked))
        place = {prompt: index for index, prompt in enumerate(wanted)}
        chosen = [prompts[each] for each in wanted]
        self.stack.reach(max(map(len, chosen)) + room)
        read, ended_PX = self._read_prompts(chosen)
        lengths_P = torch.tensor([len(prompt) for prompt in chosen], device=self.device)
        shared = Shared(read, [place[each] for each in asked], room)
        prompts_R = torch.tensor(shared.prompt_of_row, device=self.device)
        lengths_R = lengths_P[prompts_R]
        if so_far_RN.shape[1]:
            ended_RX = self._read_drawn(shared, so_far_RN[shared.order_R], lengths_R)
            return OwnRows(self.stack, shared, lengths_R, self.stack.logits(ended_RX))
        return OwnRows(self.stack, shared, lengths_R, self.stack.logits(ended_PX)[prompts_R])

    def _read_prompts(self, prompts: Sequence[Tokens]) -> tuple[Prompts, Tensor]:
        """Keys and values of whole prompts, and what the layers end with after each: [P, X]."""
        begun, beginning = self._beginning(prompts)
        rests = [prompt[begun:] for prompt in prompts]
        lengths = [len(rest) for rest in rests]
        longest = max(lengths)
        keys, values = self._room(len(prompts), begun + longest)
        if beginning is not None:
            keys[:, :, :, :begun] = beginning.keys
            values[:, :, :, :begun] = beginning.values
        padded = [[*rest, *[0] * (longest - len(rest))] for rest in rests]
        ids_PT = torch.tensor(padded, device=self.device)
        lengths_P = torch.tensor(lengths, device=self.device)
        ragged = min(lengths) < longest
        ended = []
        for part in _parts(len(prompts), _MOST_TOKENS // longest):
            texts = Texts.of(ids_PT[part], begun, lengths_P[part] if ragged else None)
            reading = Reading(texts, keys[:, part], values[:, part])
            ended.append(reading.ended(self.stack, last_only=True))
        of_prompts = lengths_P + begun if ragged else None
        return Prompts(keys=keys, values=values, lengths_P=of_prompts), torch.cat(ended)

    def _beginning(self, prompts: Sequence[Tokens]) -> tuple[int, Prompts | None]:
        """What all prompts begin with and has been read, or is worth to be: how long, and its keys
        and values."""
        # The last token of each prompt is always read with the rest of it.
        columns = zip(*(prompt[:-1] for prompt in prompts), strict=False)
        alike = takewhile(lambda column: len({*column}) == 1, columns)
        shared: Tokens = tuple(column[0] for column in alike)
        known = [each for each in self._beginnings if each == shared[: len(each)]]
        best = max(known, key=len, default=())
        if (len(prompts) - 1) * (len(shared) - len(best)) >= _LEAST_SAVED:
            self._beginnings[shared] = self._read_beginning(shared, best)
            best = shared
        if not best:
            return 0, None
        # The one that was used last is the last to go.
        found = self._beginnings.pop(best)
        self._beginnings[best] = found
        for oldest in [*self._beginnings][:-_MOST_KEPT]:
            del self._beginnings[oldest]
        return len(best), found

    def _read_beginning(self, tokens: Tokens, known: Tokens) -> Prompts:
        keys, values = self._room(1, len(tokens))
        if known:
            keys[:, :, :, : len(known)] = self._beginnings[known].keys
            values[:, :, :, : len(known)] = self._beginnings[known].values
        ids_1T = torch.tensor([tokens[len(known) :]], device=self.device)
        reading = Reading(Texts.of(ids_1T, len(known)), keys, values)
        reading.ended(self.stack, last_only=True)
        return Prompts(keys=keys, values=values, lengths_P=None)

    def _read_drawn(self, shared: Shared, so_far_RN: Tensor, lengths_R: Tensor) -> Tensor:
        """What the layers end with after what was drawn for each row: [R, X]."""
        num_rows, num_new = so_far_RN.shape
        prompts = shared.prompts
        width = prompts.keys.shape[3]
        before_R = None if prompts.lengths_P is None else lengths_R
        ended = []
        for part in _parts(num_rows, _MOST_TOKENS // (width + num_new)):
            chosen = prompts.chosen(shared.prompt_of_row[part])
            keys, values = self._room(len(chosen.keys[0]), width + num_new)
            keys[:, :, :, :width], values[:, :, :, :width] = chosen.keys, chosen.values
            texts = Texts(ids_BT=so_far_RN[part], lengths_B=None, starts_B=lengths_R[part])
            before_B = None if before_R is None else before_R[part]
            reading = Reading(texts, keys, values, before_B)
            ended.append(reading.ended(self.stack, last_only=True))
            shared.add(part, keys[:, :, :, width:], values[:, :, :, width:])
        shared.num_new = num_new
        return torch.cat(ended)

    def _room(self, count: int, length: int) -> tuple[Tensor, Tensor]:
        """For keys and values: [L, B, K, T, D]."""
        shape = self.stack.shape
        size = (len(shape.rotated), count, shape.kv_heads, length, shape.head_dim)
        self.stack.reach(length)
        both = torch.empty(2, *size, device=self.device)
        return both[0], both[1]


class OwnRows:
    """See `Rows`."""

    def __init__(self, stack: Stack, shared: Shared, lengths_R: Tensor, logits_RV: Tensor) -> None:
        self._stack = stack
        self._shared = shared
        self._lengths_R = lengths_R
        self.logits_RV = logits_RV

    @property
    def order_R(self) -> Tensor:
        return self._shared.order_R

    @torch.inference_mode()
    def step(self, tokens_R: Tensor) -> None:
        positions_R = self._lengths_R + self._shared.num_new
        self._shared.num_new += 1
        ended_RX = self._stack.run(tokens_R, positions_R, self._shared.attend)
        self.logits_RV = self._stack.logits(ended_RX)

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        self._shared.keep(rows)
        self._lengths_R = self._lengths_R[self._shared.order_R]


def _parts(count: int, size: int) -> list[slice]:
    size = max(1, size)
    return [slice(begin, begin + size) for begin in range(0, count, size)]
