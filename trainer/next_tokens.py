"""What a model says of the tokens that follow, without all its logits at once. Knows no row.

    tokens --decoder--> hidden states --some at a time: output layer, softmax--> log-probabilities

The logits of a part are made again when its gradient is wanted, so that those of one part alone
are ever in memory. Shape legend: see `forward`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from trainer.config import Precision

_LOGITS = 1 << 24
"""At most so many logits at once; on a GPU four times as many."""

_TOLERANCE = 1e-4


class NextTokens(nn.Module):
    """A model whose output layer is asked in parts. One of which that cannot be done gives its
    logits whole; which it is, is tried on a few tokens. Nothing is left for the tokens of
    `unknown`, which are never drawn. In bf16 all below the output layer is multiplied so."""

    def __init__(
        self, model: Any, unknown: Sequence[int] = (), precision: Precision = "fp32"
    ) -> None:
        super().__init__()
        self.model = model
        self._precision = precision
        self._unknown = torch.tensor(unknown, dtype=torch.long)
        # The layers of a low-rank adapter lie within the model it stands on.
        causal = model.get_base_model() if hasattr(model, "peft_config") else model
        self._vocab = int(causal.get_input_embeddings().num_embeddings)
        # In a tuple: they are parts of `model`, and no other modules.
        self._parts = (causal, causal.get_decoder())
        self._divisible = self._parts[1] not in (None, causal) and self._agrees()

    def forward(
        self,
        asked: Mapping[str, Tensor],
        before_N: Tensor,
        targets_N: Tensor,
        temperature_N: Tensor,
    ) -> Tensor:
        """[N]: log-probabilities of `targets_N`, each at its temperature, after what lies at
        `before_N` among all that the model is `asked`."""
        if not self._divisible:
            with self._casting():
                logits_BTV = self.model(**asked, use_cache=False).logits
            return self._logprobs(logits_BTV.flatten(0, 1)[before_N], targets_N, temperature_N)
        with self._casting():
            hidden_BTH = self._parts[1](**asked, use_cache=False)[0]
        hidden_NH = hidden_BTH.flatten(0, 1)[before_N].float()
        limit = _LOGITS * (4 if hidden_NH.is_cuda else 1)
        num_parts = ceil(len(targets_N) * self._vocab / limit)
        if num_parts <= 1:
            return self._said(hidden_NH, targets_N, temperature_N)
        parts = zip(
            *(each.tensor_split(num_parts) for each in (hidden_NH, targets_N, temperature_N)),
            strict=True,
        )
        return torch.cat(
            [
                checkpoint(self._said, *part, use_reentrant=False, preserve_rng_state=False)
                for part in parts
            ]
        )

    def _said(self, hidden_NH: Tensor, targets_N: Tensor, temperature_N: Tensor) -> Tensor:
        return self._logprobs(self._logits(hidden_NH), targets_N, temperature_N)

    def _logprobs(self, logits_NV: Tensor, targets_N: Tensor, temperature_N: Tensor) -> Tensor:
        logits_NV = logits_NV.float()
        if len(self._unknown):
            # One that was drawn all the same, by an engine that did not know, keeps its share.
            drawn_N1 = targets_N[:, None]
            known_NV = logits_NV.index_fill(1, self._unknown.to(logits_NV.device), -torch.inf)
            logits_NV = known_NV.scatter(1, drawn_N1, logits_NV.gather(1, drawn_N1))
        if bool((temperature_N != 1).any()):
            logits_NV = logits_NV / temperature_N[:, None]
        return -F.cross_entropy(logits_NV, targets_N, reduction="none")

    def _logits(self, hidden_NH: Tensor) -> Tensor:
        """[N, V]: the model's own way from hidden states to logits, its decoder left out."""
        causal, decoder = self._parts
        placeholder = torch.zeros(1, len(hidden_NH), dtype=torch.long, device=hidden_NH.device)
        with _answering(decoder, hidden_NH[None]):
            logits_NV: Tensor = causal(input_ids=placeholder, use_cache=False).logits[0]
        return logits_NV

    @torch.no_grad()
    def _agrees(self) -> bool:
        """Whether hidden states and output layer alone say what the whole model says."""
        causal, decoder = self._parts
        tokens_BT = torch.arange(2, device=causal.device)[None]
        was_training = causal.training
        causal.eval()
        try:
            whole = causal(input_ids=tokens_BT, use_cache=False).logits[0]
            parts = self._logits(decoder(input_ids=tokens_BT, use_cache=False)[0][0])
        except Exception:  # whatever a model of another build makes of it
            return False
        finally:
            causal.train(was_training)
        return whole.shape == parts.shape and torch.allclose(
            whole.float(), parts.float(), rtol=_TOLERANCE, atol=_TOLERANCE
        )

    def _casting(self) -> AbstractContextManager[object]:
        """Within it products are made in the chosen precision."""
        kind = self._parts[0].device.type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self._precision == "bf16")

    @property
    def has_windows(self) -> bool:
        """Whether some layers look back over so many places only, or may."""
        config = self._parts[0].config
        kinds = set(getattr(config, "layer_types", None) or ())
        windows = ("sliding_window", "attention_chunk_size", "window_size")
        return bool(kinds - {"full_attention"}) or any(
            getattr(config, name, None) is not None for name in windows
        )

    @property
    def bytes_per_token(self) -> int:
        """What the decoder keeps of one token for its gradient, measured on a few in 32 bits."""
        own = {parameter.data_ptr() for parameter in self.model.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in own:
                kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        length = 8
        tokens_BT = torch.zeros(2, length, dtype=torch.long, device=self._parts[0].device)
        module = self._parts[1] if self._divisible else self.model
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
            module(input_ids=tokens_BT, use_cache=False)
        return max(1, sum(kept.values()) // (2 * length))


@contextmanager
def _answering(module: nn.Module, hidden_BTH: Tensor) -> Iterator[None]:
    """For a while `module` answers with these hidden states, whatever it is asked."""
    said = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_BTH)
    before = module.forward
    module.forward = lambda *_, **__: said
    try:
        yield
    finally:
        module.forward = before
