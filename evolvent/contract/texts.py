"""Texts that a part must bear: odd ones, neighbours of a right one, hostile ones. Knows no kind."""

from collections.abc import Iterator
from random import Random

ODD_TEXTS = ("", " ", "\n", "0", "-1", "\u0661", "\u20ac", "a" * 300, "{}", "P>", "b013", "\x00")
HUGE = 300_000
"""Characters of a text that is to take long."""


def hostile(text: str) -> Iterator[str]:
    """What nobody writes by mistake: endless forms of a text, others' digits and letters, what
    cannot be seen or encoded."""
    yield text * (HUGE // len(text))
    for character in dict.fromkeys(text):
        place = text.index(character)
        yield text[:place] + character * HUGE + text[place:]
    for odd in (
        "\u0661",
        "\uff11",
        "\u00b2",
        "\u200b",
        "\u202e",
        "\ud800",
        "\x00",
        "\n",
        "\U0001f600",
    ):
        yield from (odd + text, text + odd, text[:1] + odd + text[1:], odd * HUGE)


def neighbours(text: str) -> Iterator[str]:
    """Neighbours of a text: pieces of it, doubled, with odd characters in it."""
    random = Random(text)
    for _ in range(24):
        start, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
        yield text[:start] + random.choice(("", "x", "0", ">", " ", "\u00e9")) + text[end:]
    yield text * 2
