"""Checkpoints of instruction models: bytes as tokens, special tokens, a chat template."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, digests
from trainer.seed_model import save_model

VOCAB = 320
EOS = 258

CHATML = """\
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if message.role == 'user' and not message.content.startswith('<tool_response>') %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is not defined or not enable_thinking %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

LLAMA = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
<|im_start|>system<|im_end|>

{% if tools is not none %}
    {{- "Environment: ipython\\n" }}
{% endif %}
Today Date: {{ date_string }}
{{ system_message }}{{ eos_token }}
{%- for message in messages %}
    {%- if not message.role in ['user', 'assistant'] %}
        {{- raise_exception('Only user and assistant roles are supported!') }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '<|im_end|>\\n\\n' }}
    {{- message['content'] | trim + eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant<|im_end|>\\n\\n' }}
{%- endif %}
"""

LOOPS = """\
{{ bos_token }}{% for message in messages %}
  {% if loop.index > 3 %}
    {% break %}
  {% elif message.role == 'tool' %}
    {% continue %}
  {% endif %}
[{{ message.role }}] {{ message | tojson }} {{ message.content }}
  {% generation %}
{{ unk_token }}answers:
  {% endgeneration %}
{% endfor %}
"""

TEMPLATES = {"chatml": CHATML, "llama": LLAMA, "loops": LOOPS}


def chat_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """One token per byte; `<think>` is a token that decoding shows, as with Qwen."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: index for index, name in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>"]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    tokenizer.add_tokens([AddedToken(name) for name in ("<think>", "</think>")])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
    made.chat_template = template
    return made


def save_chat_checkpoint(
    folder: Path, template: str | None = CHATML, seed: int = 0, **generation: Any
) -> Checkpoint:
    """A random model. `generation` goes into generation_config.json."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=EOS,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config.update(**generation)
    save_model(model, chat_tokenizer(template), folder)
    return Checkpoint(folder=folder, files=digests(folder))
