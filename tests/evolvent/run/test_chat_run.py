"""A run whose model is prompted through a chat template."""

import asyncio
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from agents.engines.checkpoint.prompting import PROMPTING, prompting_texts, read_prompting
from bus.events import Attempt
from evolvent.examples import Examples
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from tests.agents.engines.checkpoint.chat_checkpoint import EOS, save_chat_checkpoint
from tests.evolvent.conftest import TINY, evolvent

SIZES = TINY[TINY.index("[model]") : TINY.index("[warmup]")]


def rendered(folder: Path, text: str) -> tuple[int, ...]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return tuple(int(token) for token in ids)


def test_examples_show_what_engines_will_ask(tmp_path: Path) -> None:
    folder = save_chat_checkpoint(tmp_path / "chat").folder
    contents = {name: (folder / name).read_bytes() for name in PROMPTING}
    prompting = read_prompting(prompting_texts(contents))
    domain = load_recipe("words").domain.build()
    examples = Examples(domain, 0, prompting, EOS)
    assert examples.proposal(0).prompt == rendered(folder, domain.proposer_prompt())
    solution = examples.solution(0)
    question = prompting.decode(solution.prompt).removeprefix("user\n").split("\nassistant")[0]
    assert solution.prompt == rendered(folder, question)
    *answer, end = solution.completion
    assert prompting.decode(answer)
    assert end == EOS


@pytest.mark.long
def test_a_run_asks_through_the_template_and_learns_from_it(tmp_path: Path) -> None:
    chat = save_chat_checkpoint(tmp_path / "chat").folder
    recipe, run = tmp_path / "chat.toml", tmp_path / "run"
    recipe.write_text(TINY.replace(SIZES, f'[model]\npath = "{chat}"\n'))
    # So small a model is hardly ever right.
    chance = ("--set", "judge.type=chance")
    done = evolvent("run", "--recipe", str(recipe), "--dir", str(run), *chance)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    async def asked() -> dict[str, tuple[int, ...]]:
        async with RunFolder(run).log() as bus:
            attempts = [record.event() for record in bus.log.read("attempts")]
        return {
            each.task.prompt: each.samples[0].turns[0].prompt_tokens
            for each in attempts
            if isinstance(each, Attempt)
        }

    prompts = asyncio.run(asked())
    assert prompts
    assert all(tokens == rendered(chat, text) for text, tokens in prompts.items())
    audited = evolvent("audit", str(run), "--json")
    found = json.loads(audited.stdout)
    assert found["ok"], found["violations"]
    assert found["counts"]["versions"] > 2
    answered = evolvent("ask", str(run), "12", "--json")
    assert answered.returncode == 0, answered.stderr
