"""What could not work is refused before anything starts, with a sentence; what can is not."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from evolvent.errors import UsageError
from evolvent.preflight.preflight import check, positions
from evolvent.recipe.load import load_recipe, shipped
from evolvent.recipe.recipe import Recipe
from trainer.alphabet import FULL, build_tokenizer

BASES = """
description = "numbers of one base in another"
[domain]
type = "reasoning_gym"
dataset = "base_conversion"
levels = [1, 2]
difficulty.1 = { max_value = 9 }
difficulty.2 = { max_value = 99 }
held_out_from = 3
[warmup]
steps = 0
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def bases(tmp_path: Path) -> Callable[..., Recipe]:
    path = tmp_path / "bases.toml"
    path.write_text(BASES)
    return lambda *settings: load_recipe(str(path), settings)


def own(folder: Path, tokenizer: Tokenizer, positions: int = 64, template: str = "") -> Path:
    """What can be seen of a model without loading it."""
    folder.mkdir()
    config = {"model_type": "llama", "max_position_embeddings": positions}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_recipes_pass_and_nothing_is_written(name: str, run: Path) -> None:
    said: list[str] = []
    on_cpu = ("engine.device=cpu", "learner.device=cpu")
    recipe = load_recipe(name, on_cpu if load_recipe(name).learner.device == "cuda" else ())
    check(run, recipe, said.append)
    assert not run.exists()
    assert said[0] == "reading the recipe's domain"
    highest = max(recipe.evaluator.levels or recipe.domain.build().levels)
    assert any(f"level {highest}" in doing for doing in said)


def test_it_may_be_asked_within_a_loop_of_events(run: Path) -> None:
    async def asked() -> None:
        check(run, load_recipe("strings"))

    asyncio.run(asked())


def test_no_model_library_is_loaded() -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from evolvent.preflight.preflight import check\n"
        "from evolvent.recipe.load import load_recipe\n"
        "check(Path('nowhere'), load_recipe('learned'))\n"
        "print([name for name in ('torch', 'transformers', 'vllm') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["model.max_positions=20"],
            r"level 9 of spell_backward needs 21 tokens \(at most 23\), 11 to read and 10 to "
            r"write; the model reads 20: lower domain.levels .* raise model.max_positions",
        ),
        (
            ["model.max_positions=64", "sampler={type='second_look', question='again'}"],
            None,
        ),
        (
            ["model.max_positions=36", "sampler={type='second_look', question='again'}"],
            r"level 9 of spell_backward needs 37 tokens \(at most 40\)",
        ),
        (
            ["model.max_positions=100", "judge={type='model'}"],
            r"the question of judge.type = 'model' on level 1 needs \d+ tokens",
        ),
        (
            ["model.max_positions=24", "domain.max_answer_tokens=16"],
            "level 7 of spell_backward needs 25 tokens",
        ),
        (["model.vocab=64"], None),
        (
            ["model.vocab=64", "sampler.type=second_look"],
            "level 1 of spell_backward cannot be read by the model: .*",
        ),
        (["model.vocab=64", "domain.prompt=R{word}>"], "the model's alphabet lacks 'R', which"),
        (["model.vocab=10"], "model.vocab is 10: the alphabet needs at least 50 ids"),
        (["evaluator.levels=[4, 11]"], "evaluator.levels: 11 is no level of the domain"),
        (["evaluator.count=65"], "has 64 problems per level, not 65: raise held_out_per_level"),
        (["evaluator.count=65", 'run.without=["evaluator"]'], None),
        (
            ["domain.held_out_from=1", "domain.held_out_per_level=600"],
            "level 1 of spell_backward: .* raise held_out_from above it",
        ),
    ],
)
def test_what_could_not_work_is_told(run: Path, settings: list[str], said: str | None) -> None:
    recipe = load_recipe("words", settings)
    if said is None:
        check(run, recipe)
    else:
        with pytest.raises(UsageError, match=said):
            check(run, recipe)
    assert not run.exists()


def test_the_proposers_prompt_and_tasks_are_read_too(run: Path) -> None:
    check(run, load_recipe("learned", ["model.max_positions=32"]))
    settings = ["model.max_positions=15", "domain.levels=[1,2,3,4,5,6]", "evaluator.levels=[1]"]
    check(run, load_recipe("learned", settings))
    settings[0] = "model.max_positions=14"
    with pytest.raises(UsageError, match="level 6 of reverse needs 15"):
        check(run, load_recipe("learned", settings))


def test_whole_questions_are_read_and_the_model_is_made_long_enough(
    run: Path, bases: Callable[..., Recipe]
) -> None:
    recipe = bases()
    check(run, recipe)
    needed = positions(recipe, recipe.domain.build(None))
    assert 128 < needed < 1024
    check(run, bases(f"model.max_positions={needed}"))
    with pytest.raises(UsageError, match="level 1 of base_conversion needs"):
        check(run, bases(f"model.max_positions={needed // 2}"))
    words = load_recipe("words")
    assert positions(words, words.domain.build(None)) == 128


def test_problems_that_cannot_be_made_are_told(run: Path, bases: Callable[..., Recipe]) -> None:
    with pytest.raises(UsageError, match=r"level 1 of base_conversion: .* does not take the param"):
        check(run, bases("domain.difficulty.1.max_value=-5"))
    with pytest.raises(UsageError, match=r"whose metadata fields are .*source_base"):
        check(run, bases("domain.prompt={word}>"))


def test_an_own_models_tokenizer_is_asked(tmp_path: Path, run: Path) -> None:
    words = {name: index for index, name in enumerate(["<unk>", *"r0123456789>"])}
    lacking = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    lacking.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    for name, tokenizer, said in (
        ("whole", build_tokenizer(FULL), None),
        ("lacking", lacking, "alphabet lacks 's', which 's"),
        ("small", build_tokenizer(50), None),
    ):
        recipe = load_recipe("strings", [f"model={{path='{own(tmp_path / name, tokenizer)}'}}"])
        if said is None:
            check(run, recipe)
        else:
            with pytest.raises(UsageError, match=said):
                check(run, recipe)


def test_an_own_models_context_and_template_are_asked(tmp_path: Path, run: Path) -> None:
    template = "{% for m in messages %}User says: {{ m['content'] }}\nAnswer:{% endfor %}"
    folder = own(tmp_path / "own", build_tokenizer(FULL), 60, template)
    recipe = load_recipe("strings", [f"model={{path='{folder}'}}"])
    with pytest.raises(UsageError, match=r"level 20 of .* needs 62 tokens.* reads 60: .* choose a"):
        check(run, recipe)
    (folder / "chat_template.jinja").write_text(
        "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
        "{{ messages[0]['content'] }}"
    )
    check(run, recipe)
    recipe = load_recipe(
        "strings", [f"model={{path='{folder}'}}", "sampler={type='second_look', question='b'}"]
    )
    with pytest.raises(UsageError, match="cannot be read by the model: one turn"):
        check(run, recipe)


def test_a_model_that_lies_elsewhere_is_left_to_those_who_have_it(run: Path) -> None:
    check(run, load_recipe("words", ["model={path='/nowhere/at/all'}"]))


def test_a_plug_in_that_fails_on_what_it_hears_is_passed_over(run: Path) -> None:
    recipe = load_recipe("words")

    class Failing(type(recipe.sampler)):  # type: ignore[misc]
        def build(self, parts: object) -> object:
            class Sampler:
                async def sample(self, task: object, n: int, speak: object) -> object:
                    raise KeyError("not what I wait for")

            return Sampler()

    check(run, recipe.model_copy(update={"sampler": Failing()}))
