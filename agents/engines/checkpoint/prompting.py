"""How the text of a prompt becomes tokens, through the model's chat template where it has one, and
tokens become text. Knows no model and loads no model library.

    messages -> chat template, up to where the assistant answers -> tokenizer
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Scope
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from agents.engines.checkpoint.verified import read_json
from agents.engines.engine import Prompt, SwapRefused, messages_of

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
PROMPTING = (TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE)
"""The files of a checkpoint that say how to prompt it; only the first one must be there."""

_NAMED_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_WORD = "word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """How one model is prompted. `known` are the tokens that the tokenizer has, `special` those
    that stand for no text; `source` is the chat template as it is written; `texts` are the files
    that say so."""

    tokenizer: Tokenizer
    known: frozenset[int]
    special: frozenset[int]
    template: Template | None
    source: str | None
    named_tokens: Mapping[str, str]
    texts: Mapping[str, str]

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """See `Engine`. What a template writes holds all special tokens, so none are added."""
        if self.template is not None:
            return self._tokens(self.rendered(prompt), special=False)
        tokens: tuple[int, ...] = ()
        for message in messages_of(prompt):
            own = tuple(token for token in message.tokens if token not in self.special)
            tokens += own or self._tokens(message.text, special=not tokens)
        return tokens

    def plain(self, text: str) -> tuple[int, ...]:
        """A text as it is, through no template."""
        return self._tokens(text, special=True)

    def _tokens(self, text: str, *, special: bool) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=special).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def unknown(self, vocab: int) -> tuple[int, ...]:
        """Of so many tokens of a model those that stand for nothing: they are never drawn."""
        return tuple(token for token in range(vocab) if token not in self.known)

    def rendered(self, prompt: Prompt) -> str:
        """The prompt as the tokenizer reads it."""
        messages = messages_of(prompt)
        if self.template is None:
            return "".join(message.text for message in messages)
        return self.template.render(
            **self.named_tokens,
            messages=[{"role": message.role, "content": message.text} for message in messages],
            # Templates tell what is none from what is not there.
            tools=None,
            documents=None,
            add_generation_prompt=True,
        )


def prompting_texts(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Those files of a checkpoint that say how to prompt it. Raises `SwapRefused`."""
    texts = {}
    for name in PROMPTING:
        if name in contents:
            try:
                texts[name] = contents[name].decode()
            except UnicodeDecodeError:
                raise SwapRefused(f"{name} is not UTF-8 text") from None
    return texts


def check_unchanged(served: Mapping[str, str], texts: Mapping[str, str], folder: Path) -> None:
    """Raises `SwapRefused` if `folder` with its `texts` is to be prompted in another way."""
    for name in PROMPTING:
        if texts.get(name) != served.get(name):
            raise SwapRefused(f"{name} in {folder} differs from the served model's")


def read_prompting(texts: Mapping[str, str]) -> Prompting:
    """Raises `SwapRefused` where a prompt could not be made, now and not when one is asked for."""
    described = read_json(TOKENIZER_CONFIG, texts.get(TOKENIZER_CONFIG, "{}"))
    source = texts.get(CHAT_TEMPLATE, _template(described.get("chat_template")))
    tokenizer = _tokenizer(texts[TOKENIZER])
    added = tokenizer.get_added_tokens_decoder()
    prompting = Prompting(
        tokenizer=tokenizer,
        known=frozenset(tokenizer.get_vocab(with_added_tokens=True).values()),
        special=frozenset(token for token, known in added.items() if known.special),
        template=None if source is None else _compiled(source),
        source=source,
        named_tokens=_named_tokens(described),
        texts=dict(texts),
    )
    if prompting.template is not None:
        _check(prompting)
    return prompting


def _tokenizer(text: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more specific
        raise SwapRefused(f"{TOKENIZER} cannot be read: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _template(found: Any) -> str | None:
    """The template in tokenizer_config.json: a text, or several with names."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        found = {each.get("name"): each.get("template") for each in found}
    if isinstance(found, dict) and isinstance(found.get("default"), str):
        return str(found["default"])
    raise SwapRefused(f"{TOKENIZER_CONFIG} has several chat templates and none is the default")


def _named_tokens(described: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for kind in _NAMED_TOKENS:
        name = f"{kind}_token"
        token = described.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            found[name] = token
    return found


class _Generation(Extension):
    """`{% generation %}` shows a trainer what an assistant said; a prompt takes no notice."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Scope:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return Scope(body, lineno=line)


def _compiled(source: str) -> Template:
    """What templates are written for: the environment that transformers gives them."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    try:
        return environment.from_string(source)
    except Exception as error:  # the library's, or the compiler's that it hands Python to
        why = str(error).rstrip(".")
        raise SwapRefused(f"the checkpoint's chat template cannot be read: {why}") from None


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes what HTML would misread."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _check(prompting: Prompting) -> None:
    try:
        rendered = prompting.rendered(_WORD)
        prompting.encode(_WORD)
    except Exception as error:  # whatever a template or a tokenizer raises
        why = str(error).rstrip(".")
        raise SwapRefused(f"the checkpoint's chat template renders no prompt: {why}") from None
    if _WORD not in rendered:
        raise SwapRefused("the checkpoint's chat template renders a prompt without its text")
