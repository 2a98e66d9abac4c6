"""`evolvent seed`: version 0 alone, made once."""

from pathlib import Path

import pytest

from evolvent.cli import main
from harness.broker import free_port
from tests.evolvent.conftest import evolvent


def seed(tiny: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["seed", "--recipe", str(tiny), "--dir", str(folder)])
    assert not ended.value.code
    return capsys.readouterr().out.strip().splitlines()[-1]


def test_the_seed_model_is_version_0_and_stays_it(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Path(seed(tiny, tmp_path / "r", capsys))
    assert made == tmp_path / "r" / "checkpoints" / "v000000-e0001"
    before = (made / "model.safetensors").read_bytes()
    assert Path(seed(tiny, tmp_path / "r", capsys)) == made
    assert (made / "model.safetensors").read_bytes() == before
    assert [path.name for path in made.parent.iterdir() if path.name.startswith("v")] == [made.name]


def test_the_same_seed_makes_the_same_model(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [Path(seed(tiny, tmp_path / name, capsys)) for name in ("a", "b")]
    assert len({(path / "model.safetensors").read_bytes() for path in made}) == 1


def test_without_a_trainer_there_is_no_version_0(tiny: Path, tmp_path: Path) -> None:
    words = ("--recipe", str(tiny), "--dir", str(tmp_path / "run"))
    done = evolvent("seed", *words, "--set", 'run.without=["trainer"]')
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "leaves out the trainer" in done.stderr
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_a_broker_that_does_not_answer_is_one_sentence(tiny: Path, tmp_path: Path) -> None:
    words = ("--recipe", str(tiny), "--dir", str(tmp_path / "run"))
    done = evolvent("seed", *words, "--bus", f"kafka://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stderr.count("evolvent: ")) == (2, 1), done.stderr
    assert "does not answer" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run" / "recipe.json").exists()
