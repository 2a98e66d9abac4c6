"""Made-up files, as users have them."""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

WORDS = {
    "type": "dataset",
    "path": str(Path(__file__).parent / "words.jsonl"),
    "by_length": 2,
    "held_out": 0.5,
}
"""A recipe's section: 300 words to reverse, about as many of either level held out."""


def words(count: int, seed: int = 5) -> list[str]:
    """So many different words of 3 to 8 letters."""
    random, found = Random(seed), dict[str, None]()
    while len(found) < count:
        found["".join(random.choices(ascii_lowercase, k=random.randint(3, 8)))] = None
    return list(found)


def reversed_words(count: int, seed: int = 5) -> list[dict[str, Any]]:
    return [
        {"prompt": f"{word}>", "answer": word[::-1], "letters": len(word)}
        for word in words(count, seed)
    ]


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
