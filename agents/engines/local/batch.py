"""Rows in flight: one static batch from prompts to completions. Knows no thread and no event.

    prompts --prefill once each--> K, V, logits --repeat n times--> rows
    rows: sample -> (swap? recompute : forward) -> sample -> ...    finished rows are gathered away

Shapes: R rows, T positions of a prompt, N new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache

from agents.engines.engine import Completion, Request
from agents.engines.local.cache import reserve, select
from agents.engines.local.kinds import takes
from agents.engines.local.sampling import Sampling
from agents.engines.local.served import Served
from agents.engines.stopping import length_until, stopped
from bus.events import Span

_COMPACT_BELOW = 0.7
_READ_EVERY = 8
"""Steps after which the texts of rows are looked at that may stop in mid-text."""


class Batch:
    """Decodes whole groups together. Between two calls of `sample`, exactly one of `forward`
    and `recompute` is called, until `num_live` is 0."""

    def __init__(
        self, served: Served, requests: Sequence[Request], generator: torch.Generator
    ) -> None:
        self._requests = requests
        self._device = served.model.device
        owners = [index for index, request in enumerate(requests) for _ in range(request.n)]
        self._owners = torch.tensor(owners, device=self._device)
        self._rows = torch.arange(len(owners), device=self._device)
        self._limits = torch.tensor([requests[i].max_tokens for i in owners], device=self._device)
        self._live = torch.ones(len(owners), dtype=torch.bool, device=self._device)
        self._room = max(request.max_tokens for request in requests)
        self._tokens_RN = self._owners.new_zeros(len(owners), self._room)
        self._logprobs_RN = torch.zeros(len(owners), self._room, device=self._device)
        self._stop_ids = torch.tensor(served.stop_ids, dtype=torch.long, device=self._device)
        self._decode = served.prompting.decode
        self._texts = any(request.stop for request in requests)
        self._sampling = Sampling(requests, self._room, generator, self._device, served.unknown_V)
        self._own_masks = served.way == "rows"
        self._takes = takes(served.model)
        self._marks = [(served.version, 0)]
        self._spans_by_length: dict[int, tuple[Span, ...]] = {}
        self._collected: set[int] = set()
        self.num_live = len(owners)
        self.num_steps = 0
        self._prefill(served.model)

    @torch.inference_mode()
    def _prefill(self, model: Any) -> None:
        distinct = list(dict.fromkeys(request.prompt_tokens for request in self._requests))
        place = {prompt: index for index, prompt in enumerate(distinct)}
        prompt_of_request = torch.tensor(
            [place[request.prompt_tokens] for request in self._requests], device=self._device
        )
        prompt_of_row = prompt_of_request[self._owners]
        width = max(map(len, distinct))
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in distinct]
        ids_BT = torch.tensor(padded, device=self._device)
        padding_B = torch.tensor([width - len(prompt) for prompt in distinct], device=self._device)
        self._ragged = bool(padding_B.any())
        self._width = width
        self._padding = padding_B[prompt_of_row]
        self._prompts_RT = ids_BT[prompt_of_row]
        cache, logits_BV = self._read(model, ids_BT, padding_B, width)
        self._cache: Cache = select(cache, prompt_of_row, width + self._room)
        self._logits_RV = logits_BV[prompt_of_row]
        self._model = model

    def _read(
        self, model: Any, ids_BT: torch.Tensor, padding_B: torch.Tensor, capacity: int
    ) -> tuple[Cache, torch.Tensor]:
        """Keys, values and last logits of whole sequences, padded on the left."""
        cache = reserve(model.config.num_hidden_layers, capacity)
        length = ids_BT.shape[1]
        steps = torch.arange(length, device=self._device)
        mask, positions = None, steps[None]
        if self._ragged or not self._own_masks:
            valid = steps >= padding_B[:, None]
            causal = steps[:, None] >= steps
            # A padded position sees itself, or its softmax would have nothing to sum over.
            mask = (causal & valid[:, None, :] | (steps[:, None] == steps))[:, None]
            mask = mask if self._own_masks else valid.long()
            positions = (steps - padding_B[:, None]).clamp_min(0)
        return cache, self._asked(model, ids_BT, mask, positions, cache)

    def _asked(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        positions: torch.Tensor,
        cache: Cache,
    ) -> torch.Tensor:
        """The logits after the last of `ids`; of masks and positions what the kind can be given."""
        given = {"attention_mask": mask, "position_ids": positions, "logits_to_keep": 1}
        taken = {name: value for name, value in given.items() if name in self._takes}
        read = model(input_ids=ids, past_key_values=cache, use_cache=True, **taken)
        logits: torch.Tensor = read.logits[:, -1]
        return logits

    @torch.inference_mode()
    def sample(self) -> bool:
        """Draw the next token of every row; whether it is worth while to `collect`."""
        tokens_R, logprobs_R = self._sampling.draw(self._logits_RV, self._rows, self.num_steps)
        self._tokens_RN[self._rows, self.num_steps] = tokens_R
        self._logprobs_RN[self._rows, self.num_steps] = logprobs_R
        self.num_steps += 1
        ended = torch.isin(tokens_R, self._stop_ids) | (self._limits[self._rows] <= self.num_steps)
        self._live &= ~ended
        if self._texts and self.num_steps % _READ_EVERY == 0:
            self._end_what_is_said()
        self._last_R = tokens_R
        self.num_live = int(self._live.sum())
        if self.num_live >= _COMPACT_BELOW * len(self._rows):
            return False
        if self.num_live:
            self._compact()
        return True

    def _end_what_is_said(self) -> None:
        """End the rows that hold a text that stops them; what comes after it is cut off later."""
        so_far = self._tokens_RN[self._rows, : self.num_steps].tolist()
        owners = self._owners[self._rows].tolist()
        said = [
            length_until(tokens, self._requests[owner].stop, self._decode) is not None
            for tokens, owner in zip(so_far, owners, strict=True)
        ]
        said_R = torch.tensor(said, device=self._device)
        self._limits[self._rows[said_R & self._live]] = self.num_steps
        self._live &= ~said_R

    def _compact(self) -> None:
        kept = self._live.nonzero().squeeze(1)
        self._cache = select(self._cache, kept, self._width + self._room)
        self._rows = self._rows[kept]
        self._last_R = self._last_R[kept]
        self._live = self._live[kept]

    @torch.inference_mode()
    def forward(self) -> None:
        """Read the tokens just drawn."""
        length = self._width + self.num_steps
        mask, positions = None, torch.full((1, 1), length - 1, device=self._device)
        if self._ragged or not self._own_masks:
            padding_R = self._padding[self._rows]
            steps = torch.arange(length, device=self._device)
            valid = steps >= padding_R[:, None]
            mask = valid[:, None, None] if self._own_masks else valid.long()
            positions = (length - 1 - padding_R)[:, None]
        self._logits_RV = self._asked(
            self._model, self._last_R[:, None], mask, positions, self._cache
        )

    @torch.inference_mode()
    def recompute(self, served: Served) -> None:
        """Go on under other weights: read prompts and tokens so far anew, so that every later
        token is exactly what these weights say."""
        self._model = served.model
        self._marks.append((served.version, self.num_steps))
        self._spans_by_length.clear()
        so_far = self._tokens_RN[self._rows, : self.num_steps]
        ids_RT = torch.cat([self._prompts_RT[self._rows], so_far], dim=1)
        self._cache, self._logits_RV = self._read(
            served.model, ids_RT, self._padding[self._rows], self._width + self._room
        )

    def drop(self, request: int) -> None:
        """Nobody waits for this request any more."""
        self._collected.add(request)
        self._live &= self._owners[self._rows] != request
        self.num_live = int(self._live.sum())

    def just_drawn(self, requests: Sequence[int]) -> list[tuple[int, int, int, float]]:
        """The last token of every row of `requests` that goes on: whose, of which sample, the token
        and its log-probability."""
        wanted = self._live & torch.isin(
            self._owners[self._rows], torch.tensor(requests, device=self._device)
        )
        rows = self._rows[wanted]
        owners = self._owners[rows]
        samples = rows - torch.searchsorted(self._owners, owners)
        drawn = self._last_R[wanted], self._logprobs_RN[rows, self.num_steps - 1]
        columns = (column.tolist() for column in (owners, samples, *drawn))
        return list(zip(*columns, strict=True))

    def collect(self) -> list[tuple[int, list[Completion]]]:
        """The requests that have ended since the last call, with their completions."""
        busy = self._collected.union(self._owners[self._rows[self._live]].tolist())
        ended = [i for i in range(len(self._requests)) if i not in busy]
        if not ended:
            return []
        self._collected.update(ended)
        chosen = torch.isin(self._owners, torch.tensor(ended, device=self._device))
        tokens_RN = self._tokens_RN[chosen, : self.num_steps]
        stops = torch.isin(tokens_RN, self._stop_ids)
        first_stop = torch.where(stops.any(1), stops.int().argmax(1), self._room)
        rows = zip(
            self._limits[chosen].tolist(),
            first_stop.tolist(),
            tokens_RN.tolist(),
            self._logprobs_RN[chosen, : self.num_steps].tolist(),
            strict=True,
        )
        return [
            (i, [self._completion(self._requests[i], *next(rows)) for _ in range(request.n)])
            for i, request in enumerate(self._requests)
            if i in set(ended)
        ]

    def _completion(
        self,
        request: Request,
        limit: int,
        first_stop: int,
        tokens: list[int],
        logprobs: list[float],
    ) -> Completion:
        ended = first_stop < limit
        length = first_stop + 1 if ended else limit
        if length not in self._spans_by_length:
            self._spans_by_length[length] = self._spans(length)
        made = Completion(
            tokens=tuple(tokens[:length]),
            logprobs=tuple(logprobs[:length]),
            finish_reason="stop" if ended else "length",
            spans=self._spans_by_length[length],
        )
        return stopped(made, request.stop, self._decode)

    def _spans(self, length: int) -> tuple[Span, ...]:
        ends = [start for _, start in self._marks[1:]] + [length]
        return tuple(
            Span(version=version, start=start, end=min(end, length))
            for (version, start), end in zip(self._marks, ends, strict=True)
            if start < min(end, length)
        )
