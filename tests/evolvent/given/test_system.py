"""`model.system`: what a conversation begins with, in the chat template of every version."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from agents.engines.engine import Message
from evolvent.errors import UsageError
from evolvent.given.own_model import load_model
from evolvent.given.tokenizer import read_tokenizer
from evolvent.preflight.reader import reader_of
from evolvent.recipe.load import load_recipe
from tests.agents.engines.checkpoint.chat_checkpoint import save_chat_checkpoint

ODD = "Say \"one\" 'two' {{ three }}\n{% four %} \\n é 😀"


@pytest.mark.parametrize("system", ["", "Answer with the number alone.", ODD])
def test_it_is_said_first_unless_a_conversation_says_its_own(tmp_path: Path, system: str) -> None:
    folder = save_chat_checkpoint(tmp_path / "chat").folder
    plain, own = read_tokenizer(folder).prompting, read_tokenizer(folder, system).prompting
    user = Message(role="user", text="12+3")
    said = Message(role="system", text=system)
    assert own.rendered("12+3") == plain.rendered((said, user))
    other = (Message(role="system", text="sums"), user)
    assert own.encode(other) == plain.encode(other)
    assert plain.rendered("12+3") != own.rendered("12+3")


def test_other_programs_prompt_a_version_alike(tmp_path: Path) -> None:
    folder = save_chat_checkpoint(tmp_path / "chat").folder
    _, tokenizer = load_model(folder, ODD)
    tokenizer.save_pretrained(tmp_path / "first")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "first")
    asked = [{"role": "user", "content": "12+3"}]
    ids = theirs.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert tuple(ids) == tokenizer.prompting.encode("12+3")
    assert read_tokenizer(tmp_path / "first").prompting.encode("12+3") == tuple(ids)


def test_what_is_asked_is_counted_with_it(tmp_path: Path) -> None:
    folder = save_chat_checkpoint(tmp_path / "chat").folder
    at = [f"model={{path='{folder}', system='of many words'}}", "warmup.steps=0"]
    reader = reader_of(tmp_path / "run", load_recipe("strings", at))
    assert reader is not None and "of many words" in reader.prompting.rendered("12")


def test_without_a_template_it_could_not_be_said(tmp_path: Path) -> None:
    folder = save_chat_checkpoint(tmp_path / "plain", template=None).folder
    with pytest.raises(UsageError, match=r"no chat template that could say model\.system"):
        load_model(folder, "")
    with pytest.raises(UsageError, match="system is for a model with a chat template"):
        load_recipe("strings", ["model.system=Hello"])
