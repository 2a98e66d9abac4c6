"""What the memory of the machine cannot hold is refused, with the largest part of it; what was
counted is what there is."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from evolvent.errors import UsageError
from evolvent.preflight.machine import free_bytes
from evolvent.preflight.memory import check_memory, check_records
from evolvent.preflight.preflight import check
from evolvent.preflight.rehearsal import Need
from evolvent.preflight.sizes import Sizes
from evolvent.recipe.load import load_recipe
from trainer.config import ModelConfig
from trainer.seed_model import make_model

ROLES = ("solver", "evaluator", "trainer")
NEEDS = [Need(what="level 10", level=10, reads=12, writes=11, room=12)]
GIB = 1 << 30


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(vocab=400, layers=5, heads=3)])
def test_parameters_are_counted_as_they_are(config: ModelConfig, tmp_path: Path) -> None:
    model = make_model(config)
    true = sum(value.numel() for value in model.parameters())
    assert Sizes.fresh(config).parameters == pytest.approx(true, rel=1e-3)
    model.config.save_pretrained(tmp_path)
    save_file(dict(model.named_parameters()), tmp_path / "model.safetensors")
    found = Sizes.of_folder(tmp_path)
    assert found.parameters == true
    fresh = Sizes.fresh(config)
    assert (found.cached_bytes, found.muon_operations) == (
        fresh.cached_bytes,
        fresh.muon_operations,
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["model.hidden=200000"], "choose a smaller model, or lora.rank"),
        (["model.intermediate=100000000"], "weights, gradients, averages and momenta of 57,600,"),
        (["model.vocab=2000000000"], "choose a smaller model"),
        (["trainer.size=100000", "solver.samples=100000"], "samples of a version"),
        (["solver.samples=200000", "engine.max_rows=1000000"], "lower engine.max_rows"),
        (["learner.micro_batch_tokens=2000000000", "warmup.batch=1000000",
          "trainer.size=400000", "solver.samples=1", "engine.max_rows=1",
          "model.layers=50"], "lower learner.micro_batch_tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_told_by_its_largest_part(settings: list[str], said: str) -> None:
    recipe = load_recipe("words", ["learner.device=cpu", "engine.device=cpu", *settings])
    sizes = Sizes.fresh(recipe.model)
    with pytest.raises(UsageError, match=rf"needs at least .* GiB of memory, 4.0 GiB are .*{said}"):
        check_memory(recipe, ROLES, sizes, NEEDS, 4 * GIB)
    check_memory(recipe, ["critic"], sizes, NEEDS, 1)


def test_the_default_needs_little() -> None:
    recipe = load_recipe("words", ["learner.device=cpu", "engine.device=cpu"])
    check_memory(recipe, ROLES, Sizes.fresh(recipe.model), NEEDS, GIB // 8)


def test_a_group_that_no_record_holds_is_told(tmp_path: Path) -> None:
    check_records(load_recipe("words", ["solver.samples=90000"]), NEEDS)
    with pytest.raises(UsageError, match=r"make an attempt of at least 17 MiB, 16 are allowed"):
        check_records(load_recipe("words", ["solver.samples=100000"]), NEEDS)


def test_free_memory_is_that_of_the_machine_or_of_its_container(tmp_path: Path) -> None:
    here = free_bytes()
    assert here is None or 1 << 20 < here < 1 << 50
    assert free_bytes(tmp_path) is None
    (tmp_path / "proc").mkdir()
    said = "MemFree: 1 kB\nMemAvailable: 3000 kB\nSwapFree: 5 kB\n"
    (tmp_path / "proc/meminfo").write_text(said)
    assert free_bytes(tmp_path) == 3005 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, value in (("max", "1000000"), ("current", "900000"), ("stat", "anon 7\nfile 500000")):
        (group / f"memory.{name}").write_text(value)
    assert free_bytes(tmp_path) == 600_000
    (group / "memory.max").write_text("max")
    assert free_bytes(tmp_path) == 3005 * 1024


def test_a_model_that_is_too_large_is_refused_by_the_command(tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = Path(sys.executable).with_name("evolvent")
    large = ("model.hidden=1000000", "optimizer.type=adamw", "warmup.optimizer.type=adamw")
    settings = [f"--set={setting}" for setting in large]
    for command in ("run", "seed"):
        done = subprocess.run(
            [program, command, "--recipe", "strings", "--dir", run, *settings],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, "GiB of memory" in done.stderr) == (2, True), done.stderr
        assert not run.exists()


def test_nothing_is_refused_that_fits(tmp_path: Path) -> None:
    check(tmp_path / "run", load_recipe("strings", ["model.hidden=256", "model.layers=6"]))
