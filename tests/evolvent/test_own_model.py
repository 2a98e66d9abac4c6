"""A run from a model of one's own, and one that learns an adapter: started by the console entry,
asked, audited, gone on with; and folders that hold no model to learn from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from bus.memory.bus import MemoryBus
from evolvent.errors import UsageError
from evolvent.given.own_model import check_model, end_of_answer, load_model
from evolvent.recipe.load import load_recipe
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from tests.evolvent.conftest import TINY, evolvent
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest
from trainer.seed_model import make_tokenizer

SIZES = TINY[TINY.index("[model]") : TINY.index("[warmup]")]


def save_own(folder: Path, **settings: Any) -> Path:
    """A random Llama in several files, as its library saves it."""
    torch.manual_seed(0)
    fields = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "eos_token_id": 1,
        "bos_token_id": None,
        **settings,
    }
    model = LlamaForCausalLM(LlamaConfig(**fields)).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="4KB")
    make_tokenizer().save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return save_own(tmp_path / "own")


@pytest.fixture
def recipe(tmp_path: Path, own: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(TINY.replace(SIZES, f'[model]\npath = "{own}"\n'))
    return path


def check(run: Path) -> None:
    """The run proves itself, and every kind of reader can use its versions."""
    done = evolvent("audit", str(run), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["ok"], found["violations"]
    assert found["counts"]["versions"] > 2
    done = evolvent("ask", str(run), "12", "--version", "0", "--version", "1", "--json")
    assert [each["version"] for each in json.loads(done.stdout)] == [0, 1], done.stderr
    done = evolvent("evaluate", str(run), "--version", "1", "--count", "2", "--json")
    assert json.loads(done.stdout)["weights_version"] == 1, done.stderr


@pytest.mark.long
def test_a_run_begins_with_a_folder_and_needs_it_no_more(
    tmp_path: Path, own: Path, recipe: Path
) -> None:
    run = tmp_path / "run"
    begun = ("--recipe", str(recipe), "--dir", str(run))
    done = evolvent("run", *begun, "--set", "warmup.steps=0")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    first = next(checkpoint_folders(run))
    assert [path.name for path in first.glob("*.safetensors")] == ["model.safetensors"]
    begin = AutoModelForCausalLM.from_pretrained(own, dtype=torch.float32).state_dict()
    kept = load_file(first / "model.safetensors")
    assert kept.keys() == begin.keys()
    assert all(torch.equal(kept[name], value) for name, value in begin.items())
    shutil.rmtree(own)
    check(run)
    done = evolvent("run", *begun, "--set", "warmup.steps=0", "--budget", "2s")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.long
def test_a_run_learns_an_adapter(tmp_path: Path, tiny: Path) -> None:
    run = tmp_path / "run"
    done = evolvent(
        *("run", "--recipe", str(tiny), "--dir", str(run), "--set", "lora.rank=4"),
        # So small a model is hardly ever right.
        *("--set", "judge.type=chance"),
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    check(run)
    folders = list(checkpoint_folders(run))
    assert {read_manifest(folder).weights.format for folder in folders} == {"lora"}
    assert len({(folder / "model.safetensors").stat().st_ino for folder in folders}) == 1
    ids = torch.arange(2, 20)[None]
    said = []
    for folder in (folders[0], folders[-1]):
        base = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            plain = base(ids).logits
            said.append(PeftModel.from_pretrained(base, str(folder / "adapter"))(ids).logits)
    assert torch.equal(said[0], plain), "version 0 is its base"
    assert not torch.equal(said[1], plain)


def test_a_tied_model_is_loaded_whole_and_its_end_is_found(tmp_path: Path) -> None:
    model, tokenizer = load_model(save_own(tmp_path / "tied", tie_word_embeddings=True))
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert model.dtype == torch.float32 and not model.training
    assert end_of_answer(model, tokenizer) == 1
    tokenizer.eos_token = None
    model.generation_config.eos_token_id = [7, 8]
    assert end_of_answer(model, tokenizer) == 7
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    with pytest.raises(UsageError, match=r"set eos_token_id in its config\.json"):
        end_of_answer(model, tokenizer)


def edit_config(**fields: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return edit


def remove(pattern: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return edit


def lose_a_tensor(folder: Path) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    path = folder / index["model.norm.weight"]
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


AT_ONCE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing there": (shutil.rmtree, "is no folder: name one"),
    "no configuration": (remove("config.json"), "config.json cannot be read"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
    "no description": (lambda folder: (folder / "config.json").write_text("[]"), "no model_type"),
    "code": (edit_config(auto_map={"AutoConfig": "evil.Evil"}), "config.json sets auto_map"),
    "quantised": (edit_config(quantization_config={"quant_method": "x"}), "quantization_config"),
    "pickles": (remove("*.safetensors"), "it holds no safetensors"),
    "no tokenizer": (remove("tokenizer*"), r"it has no tokenizer.json"),
    "an adapter": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "merge it"),
}
WHEN_LOADED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an unknown architecture": (edit_config(model_type="martian"), "language model 'martian'"),
    "no language model": (edit_config(model_type="vit"), "language model 'vit'"),
    "another size": (edit_config(hidden_size=32), r"have no lm_head\.weight as"),
    "a tensor less": (lose_a_tensor, r"have no model\.norm\.weight as"),
    "a file less": (remove("*-00002-of-*.safetensors"), "model-00002-of-"),
}


@pytest.mark.parametrize("fault", AT_ONCE)
def test_a_folder_that_holds_no_model_starts_no_run(
    tmp_path: Path, own: Path, recipe: Path, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from evolvent.cli import main

    edit, why = AT_ONCE[fault]
    edit(own)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--recipe", str(recipe), "--dir", str(tmp_path / "run")])
    said = capfd.readouterr().err
    assert ended.value.code == 2
    assert why in said and str(own) in said and said.count("\n") == 1
    assert not (tmp_path / "run" / "recipe.json").exists()


@pytest.mark.parametrize("fault", WHEN_LOADED)
def test_a_model_that_cannot_be_loaded_is_one_sentence(own: Path, fault: str) -> None:
    edit, why = WHEN_LOADED[fault]
    edit(own)
    check_model(own)
    with pytest.raises(UsageError, match=why) as raised:
        load_model(own)
    assert str(own) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_model_that_the_trainer_cannot_load_ends_the_run(
    tmp_path: Path, own: Path, recipe: Path
) -> None:
    edit_config(model_type="martian")(own)
    done = evolvent("run", "--recipe", str(recipe), "--dir", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "transformers knows no causal language model 'martian'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_targets_that_are_not_there_end_the_run(tmp_path: Path, tiny: Path) -> None:
    done = evolvent(
        *("run", "--recipe", str(tiny), "--dir", str(tmp_path / "run")),
        *("--set", "lora.rank=2", "--set", 'lora.targets=["query"]'),
    )
    assert done.returncode == 2
    assert "the model has no layer query: there are down_proj" in done.stderr


def test_an_example_that_the_model_cannot_read_is_one_sentence(tmp_path: Path, own: Path) -> None:
    from evolvent.learning import make_seed

    edit_config(max_position_embeddings=6)(own)
    recipe = load_recipe("strings", ["warmup.batch=8", f"model={{path='{own}'}}"])
    place = Workplace(tmp_path, "run", recipe, MemoryBus(), LogVoice())
    with pytest.raises(UsageError, match=r"has \d+ tokens, the model reads 6: lower domain"):
        make_seed(recipe, place.parts, tmp_path / "seed", lambda *_: None)


def test_a_given_model_is_warmed_up_as_an_adapter(tmp_path: Path, own: Path) -> None:
    """What a run begins with is the model as it was given, and an adapter that has learned."""
    from evolvent.learning import make_seed

    settings = [
        "warmup={batch=8, steps=20, rise_steps=1}",
        "lora.rank=4",
        f"model={{path='{own}'}}",
    ]
    recipe = load_recipe("strings", [*settings, "warmup.optimizer.adamw_lr=0.02"])
    place = Workplace(tmp_path, "run", recipe, MemoryBus(), LogVoice())
    seeded = make_seed(recipe, place.parts, tmp_path / "seed", lambda *_: None)
    given = AutoModelForCausalLM.from_pretrained(own, dtype=torch.float32).state_dict()
    kept = load_file(tmp_path / "seed" / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    moved = seeded.learner.published()
    assert moved and all(".lora_" in name for name in moved)
    assert all(bool(value.any()) for value in moved.values()), "both matrices have moved"
    untaught = load_recipe("strings", [*settings, "warmup.optimizer.adamw_lr=1e-12"])
    before = make_seed(untaught, place.parts, tmp_path / "other", lambda *_: None)
    assert seeded.metrics["warmup_loss"] < before.metrics["warmup_loss"] - 0.05
    assert not seeded.learner.optimizer.state(), "learning begins with a fresh optimiser"


def test_a_folder_has_its_own_size(recipe: Path, own: Path) -> None:
    with pytest.raises(UsageError, match=rf"the model in {own} has its own size: leave out hidden"):
        load_recipe(str(recipe), ["model.hidden=32"])
    stored = load_recipe(str(recipe))
    assert type(stored).model_validate(stored.model_dump(mode="json")) == stored
