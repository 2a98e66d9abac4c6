"""How weights move: Muon for the matrices of the hidden layers, AdamW for all else, and for all of
an adapter; or AdamW for everything.

Muon (Jordan et al. 2024): Nesterov momentum, orthogonalised by five quintic Newton-Schulz
steps. Batched over equal shapes; in bf16 on a GPU, in fp32 on a CPU, which may have no fast bf16.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainer.config import NEWTON_SCHULZ_STEPS, OptimizerConfig

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learning moves, by name; tied ones once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def orthogonalise(matrices_BMN: Tensor, steps: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values between 0.7 and 1.2."""
    wide = matrices_BMN.shape[1] > matrices_BMN.shape[2]
    X = matrices_BMN.mT if wide else matrices_BMN
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    X = X.bfloat16() if X.is_cuda else X
    a, b, c = _NEWTON_SCHULZ
    for _ in range(steps):
        # The smaller Gram matrix: X has at least as many rows as columns.
        gram = X.mT @ X
        X = a * X + X @ (b * gram + c * gram @ gram)
    result: Tensor = X.mT if wide else X
    return result.to(matrices_BMN.dtype)


class Optimizer:
    """One optimiser over a model. Its state is a flat dict of tensors."""

    def __init__(self, model: nn.Module, config: OptimizerConfig) -> None:
        self._config = config
        named = list(trainable(model).items())
        matrices = [item for item in named if config.is_hidden(item[0], item[1].shape)]
        hidden = {name for name, _ in matrices}
        rest = [item for item in named if item[0] not in hidden]
        by_muon = config.type == "muon"
        self._parameters = [parameter for _, parameter in named]
        groups: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for _, parameter in matrices if by_muon else ():
            groups[parameter.shape].append(parameter)
        self._groups = list(groups.values())
        self._momenta = [
            torch.zeros(len(group), *group[0].shape, device=group[0].device)
            for group in self._groups
        ]
        kinds = [(rest, 0.0), ([] if by_muon else matrices, config.weight_decay)]
        self._rest_names = [name for items, _ in kinds for name, _ in items]
        self._adamw = torch.optim.AdamW(
            [
                {"params": [parameter for _, parameter in items], "weight_decay": decay}
                for items, decay in kinds
            ],
            lr=config.adamw_lr,
            betas=(0.9, 0.98),
            eps=1e-8,
            # One pass over memory; what Muon stands beside goes on as it began.
            fused=None if by_muon else True,
        )

    def step(self, scale: float = 1.0) -> float:
        """One step at `scale` times the learning rates; returns the gradient's global norm.

        A gradient that is not finite moves nothing. Gradients are cleared.
        """
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.grad_clip))
        if norm < float("inf"):
            self._step_muon(self._config.muon_lr * scale)
            for group in self._adamw.param_groups:
                group["lr"] = self._config.adamw_lr * scale
            self._adamw.step()
        for parameter in self._parameters:
            parameter.grad = None
        return norm

    @torch.no_grad()
    def _step_muon(self, lr: float) -> None:
        for group, momentum in zip(self._groups, self._momenta, strict=True):
            gradient = torch.stack(
                [torch.zeros_like(p) if p.grad is None else p.grad for p in group]
            )
            momentum.lerp_(gradient, 1 - self._config.momentum)
            update = orthogonalise(gradient.lerp(momentum, self._config.momentum))
            rows, columns = group[0].shape
            size = lr * max(1.0, rows / columns) ** 0.5
            for parameter, direction in zip(group, update, strict=True):
                parameter.mul_(1 - self._config.weight_decay * lr)
                parameter.add_(direction, alpha=-size)

    def restart(self) -> None:
        """As if no step had ever been made."""
        for momentum in self._momenta:
            momentum.zero_()
        self._adamw.state.clear()

    def state(self) -> dict[str, Tensor]:
        tensors = {f"muon.{index}": momentum for index, momentum in enumerate(self._momenta)}
        for index, moments in self._adamw.state_dict()["state"].items():
            for kind, value in moments.items():
                tensors[f"adamw.{self._rest_names[index]}.{kind}"] = value
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for index, momentum in enumerate(self._momenta):
            momentum.copy_(tensors[f"muon.{index}"])
        state = {
            index: {
                kind: tensors[f"adamw.{name}.{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")
            }
            for index, name in enumerate(self._rest_names)
            if f"adamw.{name}.step" in tensors
        }
        groups = self._adamw.state_dict()["param_groups"]
        self._adamw.load_state_dict({"state": state, "param_groups": groups})
