"""The seed model's alphabet: every text is read and comes back."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from trainer.alphabet import CHARACTERS, FULL, build_tokenizer
from trainer.seed_model import make_tokenizer

WHOLE = build_tokenizer(FULL)


@given(st.text(max_size=40))
def test_any_text_comes_back(text: str) -> None:
    ids = WHOLE.encode(text).ids
    assert WHOLE.decode(ids) == text
    assert max(ids, default=0) < FULL


def test_a_character_of_a_question_is_one_token() -> None:
    for character in string.printable:
        assert len(WHOLE.encode(character).ids) == 1
    assert [len(WHOLE.encode(character).ids) for character in "ë→✅"] == [2, 3, 3]


def test_the_characters_of_the_shipped_recipes_keep_their_ids() -> None:
    ids = list(range(2, 2 + len(CHARACTERS)))
    for vocab in (64, FULL, 300):
        assert build_tokenizer(vocab).encode(CHARACTERS).ids == ids


def test_a_small_vocabulary_reads_its_characters_alone() -> None:
    with pytest.raises(Exception, match="UNK"):
        build_tokenizer(64).encode("Hello")
    with pytest.raises(ValueError, match="needs at least 50 ids"):
        build_tokenizer(49)


def test_every_id_has_a_text_of_its_own_as_transformers_reads_it(tmp_path: Path) -> None:
    made = make_tokenizer(FULL + 2)
    made.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert len(read) == FULL + 2
    assert (read.pad_token_id, read.eos_token_id) == (0, 1)
    text = "What is 3 × 4?\n  (A) 7 → ✅"
    assert read(text).input_ids == build_tokenizer(FULL).encode(text).ids
    assert read.decode(read(text).input_ids) == text
    assert read.decode([FULL]) == f"<spare{FULL}>"
