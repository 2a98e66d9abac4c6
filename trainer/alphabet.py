"""The seed model's alphabet: what each token id stands for, as a tokenizer. Loads no torch.

Every byte has an id of its own, so that any text is read, written and comes back. A character of
ASCII is one token: letters of both cases, digits, space, newline, punctuation; others are their
bytes in UTF-8.
"""

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

PAD, EOS = "<pad>", "<eos>"
CHARACTERS = "0123456789+-*=:abcdefghijklmnopqrstuvwxyz,;>PS#|"
"""What the ids from 2 on stand for; the other bytes follow in ascending order."""

_BYTES = bytes(dict.fromkeys([*CHARACTERS.encode(), *range(256)]))
FULL = 2 + len(_BYTES)
"""So many ids read every text. With fewer the model reads `CHARACTERS` alone."""


def build_tokenizer(vocab: int) -> Tokenizer:
    """A tokenizer of `vocab` ids: one per byte, or below `FULL` one for each of `CHARACTERS`, any
    other being an error. Spare ids have visible names, so that a stray one in an answer is not
    overlooked. Raises `ValueError` for fewer than 50."""
    known = _visible(_BYTES) if vocab >= FULL else list(CHARACTERS)
    names = [PAD, EOS, *known]
    if vocab < len(names):
        raise ValueError(f"vocab is {vocab}: the alphabet needs at least {len(names)} ids")
    names += [f"<spare{index}>" for index in range(len(names), vocab)]
    ids = {name: index for index, name in enumerate(names)}
    if vocab >= FULL:
        tokenizer = Tokenizer(models.BPE(ids, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer = Tokenizer(models.WordLevel(ids))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in (PAD, EOS)])
    return tokenizer


def _visible(ordered: bytes) -> list[str]:
    """The character by which byte-level tokenizers (GPT-2) name each byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    names = {byte: chr(byte) for byte in shown}
    names |= {byte: chr(0x100 + place) for place, byte in enumerate(hidden)}
    return [names[byte] for byte in ordered]
