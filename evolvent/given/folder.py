"""What can be seen of a user's model without loading it: its configuration, the names and types of
its tensors, which files are there. Loads no torch.
"""

import json
from pathlib import Path
from typing import Any

from evolvent.errors import UsageError

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
SMOLLM2 = "smollm2"
"""What `evolvent model` makes is called so by recipes."""
_SLOW = ("tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt")
_EXACT_IN_32_BITS = ("F32", "BF16", "F16")
_HEADER_LIMIT = 100 << 20


def unfit(folder: Path, why: str) -> UsageError:
    return UsageError(f"the model in {folder} cannot be learned: {why}")


def check_folder(folder: Path) -> dict[str, Any]:
    """What config.json says. Raises `UsageError`."""
    if not folder.is_dir():
        mend = "name one with a Hugging Face model"
        if folder.name == SMOLLM2:
            mend = f"make it: evolvent model {SMOLLM2} --out {folder}"
        raise UsageError(f"model.path = {folder} is no folder: {mend}")
    config = _config(folder)
    for name in ("auto_map", "quantization_config"):
        if config.get(name):
            raise unfit(folder, f"{CONFIG} sets {name}; only plain models are learned")
    if config.get("is_encoder_decoder"):
        raise unfit(folder, f"{CONFIG} sets is_encoder_decoder; only models that go on with a text")
    if isinstance(config.get("text_config"), dict):
        raise unfit(
            folder, f"{CONFIG} has a text_config: it reads more than text; take its text part"
        )
    if (folder / "adapter_config.json").exists():
        raise unfit(folder, "it holds an adapter; merge it into the model first")
    _check_tensors(folder)
    if not (folder / TOKENIZER).is_file():
        others = [name for name in _SLOW if (folder / name).exists()]
        has = f"only {others[0]}; make one with" if others else "no other; save it with"
        raise unfit(
            folder,
            f"it has no {TOKENIZER}, {has} AutoTokenizer.from_pretrained(...).save_pretrained(...)",
        )
    return config


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except OSError as error:
        raise unfit(folder, f"{CONFIG} cannot be read ({error.strerror})") from None
    except ValueError:
        raise unfit(folder, f"{CONFIG} is not JSON") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise unfit(folder, f"{CONFIG} names no model_type")
    return config


def _check_tensors(folder: Path) -> None:
    """Every tensor has an equal in 32 bits."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = [name for name in _PICKLES if (folder / name).exists()]
        other = f" but {pickles[0]}, which could run code" if pickles else ""
        raise unfit(folder, f"it holds no safetensors{other}; save the model in that format")
    for path in files:
        for name, described in _header(folder, path).items():
            kind = described.get("dtype") if isinstance(described, dict) else None
            if name != "__metadata__" and kind not in _EXACT_IN_32_BITS:
                raise unfit(
                    folder,
                    f"{name} in {path.name} is of type {kind}, which 32 bits would change; save it "
                    "as float32, bfloat16 or float16",
                )


def _header(folder: Path, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _HEADER_LIMIT else None
    except OSError as error:
        raise unfit(folder, f"{path.name} cannot be read ({error.strerror})") from None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise unfit(folder, f"{path.name} is no safetensors file")
    return header
