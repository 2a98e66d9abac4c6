"""Rows in flight: one static batch from prompts to completions. Knows no thread and no event.

    prompts --each read once--> rows: sample -> (swap? recompute : forward) -> sample -> ...
    finished rows are gathered away

Shapes: R rows, N new tokens, V vocabulary.
"""

from collections.abc import Sequence

import torch

from agents.engines.engine import Completion, Request
from agents.engines.local.model import Model, Rows
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
        self._drawn: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._shortest = min(request.max_tokens for request in requests)
        self._decode = served.prompting.decode
        self._texts = any(request.stop for request in requests)
        self._sampling = Sampling(requests, self._room, generator, self._device, served.unknown_V)
        self._marks = [(served.version, 0)]
        self._spans_by_length: dict[int, tuple[Span, ...]] = {}
        self._collected: set[int] = set()
        self.num_live = len(owners)
        self.num_steps = 0
        prompts = dict.fromkeys(request.prompt_tokens for request in requests)
        place = {prompt: index for index, prompt in enumerate(prompts)}
        of_rows = [place[requests[owner].prompt_tokens] for owner in owners]
        self._prompts = list(prompts)
        self._prompt_of_row = torch.tensor(of_rows, device=self._device)
        self._last_R, self._last_logprobs_R = self._rows, self._logprobs_RN[:, 0]
        self._read = self._open(served.model)

    @torch.inference_mode()
    def _open(self, model: Model) -> Rows:
        self._write_down()
        read = model.open(
            self._prompts,
            self._prompt_of_row[self._rows],
            self._tokens_RN[self._rows, : self.num_steps],
            self._room,
        )
        self._arrange(read.order_R)
        return read

    def _arrange(self, order: torch.Tensor) -> None:
        self._rows = self._rows[order]
        self._last_R, self._last_logprobs_R = self._last_R[order], self._last_logprobs_R[order]
        self._live = self._live[order]

    @torch.inference_mode()
    def sample(self) -> bool:
        """Draw the next token of every row; whether it is worth while to `collect`."""
        tokens_R, logprobs_R = self._sampling.draw(self._read.logits_RV, self._rows, self.num_steps)
        self._drawn.append((tokens_R, logprobs_R))
        self.num_steps += 1
        self._last_R, self._last_logprobs_R = tokens_R, logprobs_R
        for stop_id in self._stop_ids:
            self._live &= tokens_R != stop_id
        if self.num_steps >= self._shortest:
            self._live &= self._limits[self._rows] > self.num_steps
        if self._texts and self.num_steps % _READ_EVERY == 0:
            self._end_what_is_said()
        self.num_live = int(self._live.sum())
        if self.num_live >= _COMPACT_BELOW * len(self._rows):
            return False
        self._write_down()
        if self.num_live:
            self._compact()
        return True

    def _write_down(self) -> None:
        """What was drawn for the rows as they lie now: many steps at once."""
        if self._drawn:
            steps = slice(self.num_steps - len(self._drawn), self.num_steps)
            tokens, logprobs = zip(*self._drawn, strict=True)
            self._tokens_RN[self._rows, steps] = torch.stack(tokens, 1)
            self._logprobs_RN[self._rows, steps] = torch.stack(logprobs, 1)
            self._drawn = []

    def _end_what_is_said(self) -> None:
        """End the rows that hold a text that stops them; what comes after it is cut off later."""
        self._write_down()
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
        self._read.keep(self._live.nonzero().squeeze(1))
        self._arrange(self._read.order_R)

    @torch.inference_mode()
    def forward(self) -> None:
        """Read the tokens just drawn."""
        self._read.step(self._last_R)

    def recompute(self, served: Served) -> None:
        """Go on under other weights: read prompts and tokens so far anew, so that every later
        token is exactly what these weights say."""
        self._marks.append((served.version, self.num_steps))
        self._spans_by_length.clear()
        self._read = self._open(served.model)

    @torch.inference_mode()
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
        drawn = self._last_R[wanted], self._last_logprobs_R[wanted]
        columns = (column.tolist() for column in (owners, samples, *drawn))
        return list(zip(*columns, strict=True))

    @torch.inference_mode()
    def collect(self) -> list[tuple[int, list[Completion]]]:
        """The requests that have ended since the last call, with their completions."""
        busy = self._collected.union(self._owners[self._rows[self._live]].tolist())
        ended = [i for i in range(len(self._requests)) if i not in busy]
        if not ended:
            return []
        self._collected.update(ended)
        self._write_down()
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
