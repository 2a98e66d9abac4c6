"""A GPU that is named must be there before anything starts, where the role that needs it runs."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evolvent.errors import UsageError
from evolvent.preflight import devices
from evolvent.preflight.devices import check_devices
from evolvent.preflight.gpus import num_gpus
from evolvent.preflight.machine import multiplies_bf16
from evolvent.recipe.load import load_recipe

HERE = torch.cuda.device_count() if torch.cuda.is_available() else 0
ROLES = ["proposer", "solver", "critic", "evaluator", "trainer"]
NOT_HERE = f"cuda:{HERE}"


@pytest.mark.parametrize(
    ("settings", "roles", "said"),
    [
        ([f"learner.device={NOT_HERE}"], ROLES, f"learner.device = {NOT_HERE}"),
        ([f"learner.device={NOT_HERE}"], ["trainer"], f"learner.device = {NOT_HERE}"),
        ([f"engine.device={NOT_HERE}"], ["solver"], f"engine.device = {NOT_HERE}"),
        ([f"engine.device={NOT_HERE}"], ["evaluator"], f"engine.device = {NOT_HERE}"),
        (
            [
                "source={type='learned', policy='previous'}",
                f"policies.previous.engine={{type='local', device='{NOT_HERE}'}}",
            ],
            ["proposer"],
            f"policies.previous.engine.device = {NOT_HERE}",
        ),
    ],
)
def test_a_gpu_that_is_not_there_is_a_sentence(
    settings: list[str], roles: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As torch says in this process: asking another one takes seconds.
    monkeypatch.setattr(devices, "num_gpus", lambda: HERE)
    recipe = load_recipe("words", settings)
    with pytest.raises(UsageError, match=f"{said}: .* on this machine; choose .*auto or cpu"):
        check_devices(recipe, roles)


def test_only_the_devices_of_who_runs_here_must_be_here() -> None:
    recipe = load_recipe("words", [f"learner.device={NOT_HERE}"])
    check_devices(recipe, ["solver", "critic", "evaluator", "proposer"])
    recipe = load_recipe("words", [f"engine.device={NOT_HERE}"])
    check_devices(recipe, ["trainer", "critic"])


def test_torch_is_asked_for_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> int:
        raise AssertionError("nobody named a GPU")

    monkeypatch.setattr(devices, "num_gpus", asked)
    check_devices(load_recipe("words", []), ROLES)
    check_devices(load_recipe("words", ["learner.device=cpu", "engine.device=cpu"]), ROLES)
    check_devices(load_recipe("words", ["engine.type=scripted"]), ROLES)


def test_as_many_are_counted_as_torch_sees() -> None:
    assert num_gpus() == HERE


@pytest.mark.parametrize("device", ["mps", "cuda:", "cuda:x", "gpu", "CPU", ""])
@pytest.mark.parametrize("section", ["learner", "engine"])
def test_what_is_no_device_is_refused(section: str, device: str) -> None:
    with pytest.raises(UsageError, match=rf"{section}.*device.* auto, cpu, cuda or cuda:N"):
        load_recipe("words", [f"{section}.device='{device}'"])


def test_a_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    code = "from evolvent.cli import main; main()"
    words = ["-c", code, "run", "--dir", str(tmp_path / "run")]
    words += ["--set", f"learner.device={NOT_HERE}"]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"evolvent: learner.device = {NOT_HERE}: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx512f avx2", False),
        ("Features\t: fp asimd bf16", True),
        ("Features\t: fp asimd", False),
        ("processor\t: 0", True),
    ],
)
def test_a_cpu_says_whether_it_multiplies_in_16_bits(line: str, has: bool, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert multiplies_bf16(tmp_path) is has
    assert multiplies_bf16(tmp_path / "elsewhere")


def test_bf16_is_refused_on_a_cpu_that_has_it_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "multiplies_bf16", lambda: False)
    slow = load_recipe("words", ["learner.device=cpu", "learner.precision=bf16"])
    with pytest.raises(UsageError, match=r"bf16' would be slower on this CPU.*: choose 'fp32'"):
        check_devices(slow, ["trainer"])
    check_devices(slow, ["solver"])
    check_devices(load_recipe("words", ["learner.device=cpu"]), ROLES)
    monkeypatch.setattr(devices, "multiplies_bf16", lambda: True)
    check_devices(slow, ROLES)
