"""Text out of tokens, piece by piece."""

from collections.abc import Sequence

from agents.engines.openai.choice import Choice

WORDS = [b"ab", b"cd", b"ef", "é".encode()[:1], "é".encode()[1:]]


def decode(tokens: Sequence[int]) -> str:
    return b"".join(WORDS[token] for token in tokens).decode("utf-8", "replace")


def test_a_token_that_holds_the_stop_is_shown_up_to_it() -> None:
    choice = Choice(decode, ("de",))
    shown = []
    for token in (0, 1, 2, 0):
        choice.hear([token], [-1.0])
        shown.append(choice.take())
    choice.end("length")
    assert "".join(text for text, _ in shown) == "abc"
    assert [piece.text for _, pieces in shown for piece in pieces] == ["ab", "c"]
    assert (choice.finish, choice.num_tokens) == ("stop", 4)


def test_half_a_character_waits_for_the_other_half() -> None:
    choice = Choice(decode)
    choice.hear([0, 3], [-1.0, -1.0])
    assert choice.take()[0] == "ab"
    choice.hear([4], [-1.0])
    assert choice.take()[0] == "é"
