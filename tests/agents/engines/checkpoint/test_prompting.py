"""Prompts through chat templates are what transformers makes of them, in every engine; what could
not be prompted is not served."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from agents.engines.checkpoint.prompting import (
    CHAT_TEMPLATE,
    TOKENIZER,
    TOKENIZER_CONFIG,
    Prompting,
    prompting_texts,
    read_prompting,
)
from agents.engines.engine import EngineUnusable, SwapRefused
from agents.engines.server.engine import ServerEngine
from agents.engines.server.vllm_link import VllmLink
from tests.agents.engines.checkpoint.chat_checkpoint import (
    EOS,
    LLAMA,
    TEMPLATES,
    VOCAB,
    save_chat_checkpoint,
)
from tests.agents.engines.checkpoint.tiny_checkpoint import Open, digests, local_engine, request
from tests.agents.engines.conftest import open_keeping, open_server, open_vllm, open_vllm_server
from tests.agents.engines.serving import agent, serving

PROMPTS = [
    "2+2=",
    "Reverse: héllo\n  ",
    'a "quoted" <|im_end|> and\n\n<think>\u4f60\u597d</think> {{ messages }}',
    " ",
]
ENGINES = [
    open_keeping,
    open_server,
    pytest.param(open_vllm, marks=pytest.mark.vllm),
    pytest.param(open_vllm_server, marks=pytest.mark.vllm),
]


def transformers_says(folder: Path, text: str) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return [int(token) for token in ids]


def prompting_of(folder: Path) -> Prompting:
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    return read_prompting(prompting_texts(contents))


def in_one_file(folder: Path) -> None:
    """The template as older checkpoints have it."""
    path = folder / TOKENIZER_CONFIG
    template = folder / CHAT_TEMPLATE
    written = {**json.loads(path.read_text()), "chat_template": template.read_text()}
    path.write_text(json.dumps(written))
    template.unlink()


def among_others(folder: Path) -> None:
    in_one_file(folder)
    path = folder / TOKENIZER_CONFIG
    written = json.loads(path.read_text())
    named = [
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": written["chat_template"]},
    ]
    path.write_text(json.dumps({**written, "chat_template": named}))


def in_both(folder: Path) -> None:
    path = folder / TOKENIZER_CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": "older"}))


@pytest.mark.parametrize("place", [None, in_one_file, among_others, in_both])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_what_transformers_makes_of_it(
    tmp_path: Path, name: str, place: Callable[[Path], None] | None
) -> None:
    checkpoint = save_chat_checkpoint(tmp_path / "chat", TEMPLATES[name])
    if place is not None:
        place(checkpoint.folder)
    prompting = prompting_of(checkpoint.folder)
    for text in PROMPTS:
        tokens = prompting.encode(text)
        assert list(tokens) == transformers_says(checkpoint.folder, text)
        assert len(tokens) > len(text)


def test_without_a_template_a_prompt_is_its_text(tmp_path: Path) -> None:
    checkpoint = save_chat_checkpoint(tmp_path / "plain", template=None)
    prompting = prompting_of(checkpoint.folder)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
    for text in PROMPTS:
        assert list(prompting.encode(text)) == tokenizer(text).input_ids


@pytest.mark.parametrize("open_chat", ENGINES)
def test_every_engine_prompts_and_stops_as_the_model_wants(open_chat: Open, tmp_path: Path) -> None:
    # The model ends with tokens that only generation_config.json names.
    ends = [*range(0, VOCAB, 4), EOS]
    checkpoint = save_chat_checkpoint(tmp_path / "chat", eos_token_id=ends[:-1])

    async def scenario() -> None:
        async with open_chat() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            for text in PROMPTS:
                assert list(engine.encode(text)) == transformers_says(checkpoint.folder, text)
            answer = [*engine.encode("2+2=")[-6:], EOS]
            assert engine.decode(answer) == "<think>\n\n</think>\n\n"
            made = await engine.generate(request(engine, "2+2=", n=16, max_tokens=100))
            for completion in made:
                assert completion.finish_reason == "stop"
                *before, last = completion.tokens
                assert last in ends
                assert not set(before) & set(ends)

    asyncio.run(scenario())


@pytest.mark.parametrize("open_chat", ENGINES)
def test_a_later_version_is_prompted_in_the_same_way(open_chat: Open, tmp_path: Path) -> None:
    first = save_chat_checkpoint(tmp_path / "0", seed=0)
    others = [save_chat_checkpoint(tmp_path / "1", LLAMA), save_chat_checkpoint(tmp_path / "2")]
    in_one_file(others[1].folder)
    plain = save_chat_checkpoint(tmp_path / "3", template=None)
    later = save_chat_checkpoint(tmp_path / "4", seed=1)

    async def scenario() -> None:
        async with open_chat() as engine:
            await engine.swap(0, first.folder, first.files)
            said = engine.encode("2+2=")
            for folder in (others[0].folder, others[1].folder, plain.folder):
                with pytest.raises(
                    SwapRefused, match=r"(template.jinja|config.json) in .* differs"
                ):
                    await engine.swap(1, folder, digests(folder))
            assert engine.version == 0
            await engine.swap(2, later.folder, later.files)
            assert engine.version == 2
            assert engine.encode("2+2=") == said

    asyncio.run(scenario())


BAD = {
    "no template": ("{% for %}", "cannot be read"),
    "an unknown tag": ("{% nonsense %}{{ messages[0].content }}", "cannot be read"),
    "nested too deep": ("{% for a in b %}" * 25 + "{% endfor %}" * 25, "cannot be read"),
    "an exception": ("{{ raise_exception('tools are needed') }}", "tools are needed"),
    "another shape": ("{{ messages[0].content[0].text }}", "without its text"),
    "an operation": ("{{ messages[0].content + 1 }}", "renders no prompt"),
    "out of the sandbox": ("{{ ''.__class__.__mro__ }}", "renders no prompt"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_template_that_cannot_be_rendered_is_refused_at_the_swap(
    tmp_path: Path, name: str
) -> None:
    template, complaint = BAD[name]
    checkpoint = save_chat_checkpoint(tmp_path / "bad", template)

    async def scenario() -> None:
        with local_engine() as local, pytest.raises(SwapRefused, match=complaint):
            await local.swap(0, checkpoint.folder, checkpoint.files)
        own = ServerEngine([VllmLink("http://127.0.0.1:9")])
        with pytest.raises(SwapRefused, match=complaint):
            await own.swap(0, checkpoint.folder, checkpoint.files)
        await own.close()

    asyncio.run(scenario())


def test_several_templates_need_a_default(tmp_path: Path) -> None:
    checkpoint = save_chat_checkpoint(tmp_path / "chat")
    among_others(checkpoint.folder)
    path = checkpoint.folder / TOKENIZER_CONFIG
    path.write_text(path.read_text().replace('"default"', '"rag"'))
    with pytest.raises(SwapRefused, match="none is the default"):
        prompting_of(checkpoint.folder)


@pytest.mark.parametrize("name", [CHAT_TEMPLATE, TOKENIZER_CONFIG, TOKENIZER])
@pytest.mark.parametrize("sent", [None, "{}", "{{ messages[0].content }}"])
def test_agents_take_only_the_published_files(tmp_path: Path, name: str, sent: str | None) -> None:
    checkpoint = save_chat_checkpoint(tmp_path / "chat")

    async def scenario() -> None:
        async with serving() as server, agent(server.url) as engine:
            await server.swap(0, checkpoint)
            del server.host.texts[name]
            if sent is not None:
                server.host.texts[name] = sent
            with pytest.raises(EngineUnusable, match=f"serves another {name} than the run's"):
                await engine.swap(0, checkpoint.folder, checkpoint.files)
            assert engine.version == -1

    asyncio.run(scenario())
