"""The words of reasoning-gym's `spell_backward` in plain form, and problems from any word.
Knows no level and no prompt."""

from copy import copy
from itertools import product
from random import Random
from string import ascii_lowercase
from typing import Any

MAX_LISTED = 20_000


def is_plain(text: str) -> bool:
    return text != "" and all(character in ascii_lowercase for character in text)


def plain_words(words: list[str], length: int) -> list[str]:
    """`words` in lower case, letters only, each once. Where the dictionary has none, as for
    1, 2 or more than 10 letters, random letters take their place."""
    lowered = {word.lower() for word in words}
    return sorted(word for word in lowered if is_plain(word)) or letter_strings(length)


def letter_strings(length: int) -> list[str]:
    """All strings of `length` letters, or a fixed choice of them if they are too many."""
    if len(ascii_lowercase) ** length <= MAX_LISTED:
        return ["".join(letters) for letters in product(ascii_lowercase, repeat=length)]
    random = Random(f"letters {length}")
    return ["".join(random.choices(ascii_lowercase, k=length)) for _ in range(MAX_LISTED)]


def entry_of(dataset: Any, word: str) -> dict[str, Any]:
    """The entry that the dataset itself makes of `word`, its answer included."""
    single = copy(dataset)
    single.words = [word]
    entry: dict[str, Any] = single[0]
    return entry
