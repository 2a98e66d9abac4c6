"""Checkpoints that no engine may serve, each wrong in one way, their digests right."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NORM = "model.norm.weight"


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return edit


def edit_config(**fields: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return edit


def edit_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] = {
        name.upper(): index for name, index in tokenizer["model"]["vocab"].items()
    }
    path.write_text(json.dumps(tokenizer))


BAD: dict[str, Callable[[Path], object]] = {
    "another shape": edit_tensors(lambda t: t.update({NORM: torch.ones(65)})),
    "another dtype": edit_tensors(lambda t: t.update({NORM: torch.ones(64).bfloat16()})),
    "not a number": edit_tensors(lambda t: t[NORM].__setitem__(3, float("nan"))),
    "infinite": edit_tensors(lambda t: t[NORM].__setitem__(3, float("inf"))),
    "a tensor less": edit_tensors(lambda t: t.update({"other": t.pop(NORM)})),
    "a tensor more": edit_tensors(lambda t: t.update({"extra": torch.ones(1)})),
    "no safetensors": lambda folder: torch.save({}, folder / "model.safetensors"),
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b"") and None,
    "another architecture": edit_config(num_hidden_layers=2),
    "positions encoded": edit_config(no_rope_layers=[1, 1, 1]),
    "code in the configuration": edit_config(auto_map={"AutoConfig": "evil.Evil"}),
    "configuration no JSON": lambda folder: (folder / "config.json").write_text("{") and None,
    "another tokenizer": edit_tokenizer,
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
}
