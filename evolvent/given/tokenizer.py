"""The tokenizer of a user's model, byte for byte: no library rebuilds it by rules of its own.
Loads no torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.engines.checkpoint.prompting import (
    CHAT_TEMPLATE,
    TOKENIZER,
    TOKENIZER_CONFIG,
    Prompting,
    prompting_texts,
    read_prompting,
)
from agents.engines.engine import SwapRefused
from evolvent.given.folder import unfit

_SPECIAL_TOKENS = "special_tokens_map.json"
_OWN_SYSTEM = (
    "{%%- if messages[0]['role'] != 'system' -%%}"
    "{%%- set messages = [{'role': 'system', 'content': %s}] + messages -%%}{%%- endif -%%}\n"
)
_FILES = (TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE, _SPECIAL_TOKENS)


@dataclass(slots=True, kw_only=True)
class GivenTokenizer:
    """`files` by name, as they will lie in version 0, and how they prompt a model."""

    files: dict[str, bytes]
    prompting: Prompting
    eos_token: str | None

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends an answer, where the tokenizer names one."""
        name = self.eos_token
        return None if name is None else self.prompting.tokenizer.token_to_id(name)

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def read_tokenizer(folder: Path, system: str | None = None) -> GivenTokenizer:
    """With a `system` message of its own in its chat template. Raises `UsageError` where it could
    not be used as it is."""
    files = {name: (folder / name).read_bytes() for name in _FILES if (folder / name).is_file()}
    try:
        described = _described(folder, files)
        prompting = prompting_of(folder, files, system)
    except SwapRefused as error:
        raise unfit(folder, str(error).rstrip(".")) from None
    for token, name in _named(described):
        if (known := prompting.tokenizer.token_to_id(name)) is None or token not in (None, known):
            raise unfit(
                folder,
                f"{TOKENIZER_CONFIG} names a token {name!r} that {TOKENIZER} has not, or under "
                "another number",
            )
    return GivenTokenizer(
        files=files, prompting=prompting, eos_token=prompting.named_tokens.get("eos_token")
    )


def prompting_of(folder: Path, files: dict[str, bytes], system: str | None) -> Prompting:
    """How `files` say that a model is prompted; with a `system` message, that is written into their
    chat template. Raises `SwapRefused` and `UsageError`."""
    prompting = read_prompting(prompting_texts(files))
    if system is None:
        return prompting
    if prompting.source is None:
        raise unfit(folder, "it has no chat template that could say model.system; leave that out")
    files[CHAT_TEMPLATE] = (_OWN_SYSTEM % json.dumps(system, ensure_ascii=False)).encode() + (
        prompting.source.encode()
    )
    return read_prompting(prompting_texts(files))


def _described(folder: Path, files: dict[str, bytes]) -> dict[str, Any]:
    """tokenizer_config.json; in `files` with what older folders name elsewhere."""
    described = _json(folder, TOKENIZER_CONFIG, files)
    elsewhere = {
        name: token
        for name, token in _json(folder, _SPECIAL_TOKENS, files).items()
        if name.endswith("_token") and described.get(name) is None
    }
    if elsewhere:
        described |= elsewhere
        files[TOKENIZER_CONFIG] = json.dumps(described, ensure_ascii=False, indent=2).encode()
    return described


def _json(folder: Path, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    try:
        read = json.loads(files.get(name, b"{}"))
    except ValueError:
        raise unfit(folder, f"{name} is not JSON") from None
    if not isinstance(read, dict):
        raise unfit(folder, f"{name} is not a JSON object")
    return read


def _named(described: dict[str, Any]) -> list[tuple[int | None, str]]:
    """The tokens that a description counts on, with their numbers where it gives them."""
    named: list[tuple[int | None, str]] = []
    added = described.get("added_tokens_decoder")
    for number, token in (added if isinstance(added, dict) else {}).items():
        if isinstance(token, dict) and isinstance(token.get("content"), str) and number.isdigit():
            named.append((int(number), token["content"]))
    for name in ("bos_token", "eos_token", "pad_token"):
        token = described.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            named.append((None, token))
    return named
