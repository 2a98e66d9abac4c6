"""What a user can get wrong: one sentence that says what to do, exit code 2, nothing changed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from evolvent.cli import main
from evolvent.run.folder import RunFolder
from tests.evolvent.conftest import Refused


def contents(folder: Path) -> dict[str, str]:
    """Digests of all that matters; the lock may be new."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", "log.sqlite-shm", "log.sqlite-wal")
    }


def test_an_unknown_recipe(refused: Refused, tmp_path: Path) -> None:
    said = refused("run", "--recipe", "nonesuch", "--dir", tmp_path / "r")
    assert "there is no recipe nonesuch" in said and "words" in said and "strings" in said
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["warmup.stepz=3"], ["warmup.stepz", "steps", "batch"]),
        (["trainr.size=3"], ["trainr", "trainer"]),
        (["loss.foo=3"], ["loss.foo", "fresh_rows"]),
        (["source.foo=3"], ["source.foo", "advance_at"]),
        (["domain.foo=3"], ["domain.foo", "levels"]),
        (["trainer.size=0"], ["trainer.size", "0", "greater than 0"]),
        (["trainer.size=many"], ["trainer.size", "many", "integer"]),
        (["loss.type=ppo"], ["loss", "ppo", "nll", "grpo"]),
        (["judge.type=oracle"], ["judge", "oracle", "exact", "vote", "chance"]),
        (["domain.type=chess"], ["domain", "chess", "strings", "reasoning_gym"]),
        (["domain.families=['turn']"], ["domain.families", "turn", "reverse", "sort"]),
        (["proposer.ahead=9"], ["proposer.ahead", "trainer.max_staleness"]),
        (["run.processes=[['solver']]"], ["run.processes", "trainer", "exactly once"]),
        (["name=Not A Name"], ["name", "Not A Name"]),
        (["trainer"], ["--set trainer", "section.field=value"]),
        (["trainer.=3"], ["section.field=value"]),
        (["seed.deep=3"], ["seed"]),
        (["description.deep=3"], ["description is not a section"]),
    ],
)
def test_a_wrong_setting(
    refused: Refused, tmp_path: Path, settings: list[str], words: list[str]
) -> None:
    flags = [part for each in settings for part in ("--set", each)]
    said = refused("run", "--recipe", "strings", "--dir", tmp_path / "r", *flags)
    for word in words:
        assert word in said, said
    assert not (tmp_path / "r" / "recipe.json").exists()


@pytest.mark.parametrize("text", ["description = ", "= 3", "[domain\n", "\xff\xfe"])
def test_a_recipe_that_is_no_toml(refused: Refused, tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("latin-1"))
    assert "mine.toml is not " in refused("run", "--recipe", path, "--dir", tmp_path / "r")


def test_a_recipe_that_names_no_domain(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"')
    assert "domain is missing" in refused("run", "--recipe", path, "--dir", tmp_path / "r")


@pytest.mark.parametrize("budget", ["", "0s", "-3s", "soon", "nan", "5y"])
def test_a_budget_that_is_no_time(refused: Refused, tmp_path: Path, budget: str) -> None:
    assert "90s, 5m or 2h" in refused("run", "--dir", tmp_path / "r", "--budget", budget)


@pytest.mark.parametrize("command", ["status", "ask", "audit", "curve", "evaluate", "report"])
def test_a_folder_that_is_no_run(refused: Refused, tmp_path: Path, command: str) -> None:
    extra = ["12"] if command == "ask" else []
    for folder in (tmp_path, tmp_path / "nothing"):
        said = refused(command, folder, *extra)
        assert f"{folder} is not a run" in said and "evolvent run" in said
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_runs_that_cannot_be_drawn(
    refused: Refused, copied: Path, tmp_path: Path
) -> None:
    before = contents(copied)
    for name in (copied / "log.sqlite", tmp_path / "none" / "c.png", tmp_path / "c.pdf"):
        assert "ends in .png, in a folder that is there" in refused("curve", copied, "--png", name)
    (tmp_path / "folder.png").mkdir()
    assert "Is a directory" in refused("curve", copied, "--png", tmp_path / "folder.png")
    said = refused("curve", copied, tmp_path, "--png", tmp_path / "c.png")
    assert f"{tmp_path} is not a run" in said
    assert "of one run" in refused("curve", copied, copied, "--archive", tmp_path)
    assert contents(copied) == before
    assert [path.name for path in tmp_path.glob("*.png")] == ["folder.png"]


def test_a_folder_with_other_things_in_it(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    said = refused("run", "--recipe", "strings", "--dir", tmp_path)
    assert "is not empty and no run: choose another --dir" in said
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "recipe.json").exists()


def test_a_file_where_the_folder_should_be(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("mine")
    assert str(tmp_path / "r") in refused("run", "--recipe", "strings", "--dir", tmp_path / "r")
    assert str(tmp_path / "r") in refused("status", tmp_path / "r")


def test_an_unknown_command(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evolve"])
    said = capfd.readouterr().err
    assert ended.value.code == 2 and "evolve" in said and "--help" in said


def test_the_run_of_another_recipe(refused: Refused, copied: Path, tiny: Path) -> None:
    before = contents(copied)
    for wanted in (["--recipe", "strings"], ["--recipe", tiny, "--set", "seed=9"]):
        said = refused("run", "--dir", copied, *wanted)
        assert "another recipe or other settings" in said and "tiny" in said
    assert contents(copied) == before


def test_a_second_run_in_the_same_folder(refused: Refused, copied: Path) -> None:
    before = contents(copied)
    with RunFolder(copied).locked():
        assert "another evolvent is running" in refused("run", "--dir", copied)
    assert contents(copied) == before


def set_recipe(run: Path, content: str) -> None:
    (run / "recipe.json").write_text(content)


def newer_recipe(run: Path) -> None:
    stored = json.loads((run / "recipe.json").read_text())
    set_recipe(run, json.dumps(stored | {"format": stored["format"] + 1}))


def newer_log(run: Path) -> None:
    connection = apsw.Connection(str(run / "log.sqlite"))
    connection.pragma("user_version", int(connection.pragma("user_version")) + 1)
    connection.close()


def newer_manifest(run: Path) -> None:
    path = last_checkpoint(run) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))


def last_checkpoint(run: Path) -> Path:
    return max((run / "checkpoints").glob("v*"))


def cut_log(run: Path) -> None:
    path = run / "log.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 // 4096 * 4096])


def foreign_log(run: Path) -> None:
    (run / "log.sqlite").write_text("this is no database, whatever its name says" * 100)


def foreign_database(run: Path) -> None:
    (run / "log.sqlite").unlink()
    connection = apsw.Connection(str(run / "log.sqlite"))
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (newer_recipe, "was written by a newer evolvent"),
        (lambda run: set_recipe(run, "{"), "recipe.json is damaged"),
        (lambda run: set_recipe(run, "[]"), "recipe.json is damaged"),
        (lambda run: set_recipe(run, '{"format": "x"}'), "recipe.json is damaged"),
        (lambda run: set_recipe(run, '{"format": 1, "recipe": {}}'), "recipe.json is damaged"),
        (newer_log, "was written by a newer evolvent"),
        (newer_manifest, "was written by a newer evolvent"),
        (cut_log, "log.sqlite"),
        (foreign_log, "log.sqlite is not a log of evolvent"),
        (foreign_database, "another program"),
        (lambda run: (run / "log.sqlite").unlink(), "There is no log at"),
        (lambda run: (last_checkpoint(run) / "manifest.json").unlink(), "manifest.json is missing"),
    ],
)
def test_a_damaged_or_newer_run_is_not_gone_on_with(
    refused: Refused, copied: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(copied)
    before = contents(copied)
    said = refused("run", "--dir", copied)
    assert words in said, said
    assert contents(copied) == before


def test_a_version_that_is_not_there(refused: Refused, copied: Path) -> None:
    for command in (["ask", copied, "12"], ["evaluate", copied]):
        said = refused(*command, "--version", "9999")
        assert "there is no version 9999: there are 0 to" in said


def test_an_input_that_is_no_task(refused: Refused, copied: Path) -> None:
    assert "'hello' is not 1 to 60 digits" in refused("ask", copied, "hello")
    assert "family" in refused("ask", copied, "12", "--family", "sort")


def test_more_held_out_problems_than_there_are(refused: Refused, copied: Path) -> None:
    assert "held-out" in refused("evaluate", copied, "--count", "100000")


@pytest.mark.parametrize("command", ["ask", "evaluate"])
def test_a_damaged_version_is_not_asked(refused: Refused, copied: Path, command: str) -> None:
    path = last_checkpoint(copied) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    said = refused(command, copied, *(["12"] if command == "ask" else []))
    assert "model.safetensors" in said and "sha256" in said


def test_a_recipe_to_show_that_is_not_there(refused: Refused) -> None:
    said = refused("recipes", "--show", "nonesuch")
    assert "there is no recipe nonesuch" in said and "words" in said
