"""One answer as it grows: tokens become text, which ends before the first text that stops it. What
is shown in parts is what is shown at once. Knows no network and no engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

_UNFINISHED = "�"
Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A token: its text, where that starts in the answer, and its log-probability."""

    text: str
    start: int
    logprob: float


class Choice:
    """Hears the tokens of one sample; `take` hands out what has become certain."""

    def __init__(self, decode: Decode, stops: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stops = tuple(stops)
        self._tokens: list[int] = []
        self._before, self._read = 0, 0
        self._text = ""
        self._pieces: list[Piece] = []
        self._shown, self._taken = 0, 0
        self._certain = 0
        self.finish = ""

    @property
    def num_tokens(self) -> int:
        return len(self._tokens)

    def hear(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """The tokens that come next. After a text that stops it nothing more is heard."""
        for token, logprob in zip(tokens, logprobs, strict=True):
            self._tokens.append(token)
            if self.finish:
                continue
            text = self._next_text(final=False)
            self._pieces.append(Piece(text=text, start=len(self._text), logprob=logprob))
            self._text += text
            self._look_for_stops(len(text))

    def end(self, finish: str) -> None:
        """No more tokens come."""
        if self.finish:
            return
        if rest := self._next_text(final=True):
            last = self._pieces[-1]
            self._pieces[-1] = Piece(text=last.text + rest, start=last.start, logprob=last.logprob)
            self._text += rest
            self._look_for_stops(len(rest))
        if not self.finish:
            self.finish = finish
            self._certain = len(self._text)
            if finish == "stop" and self._pieces and not self._pieces[-1].text:
                self._pieces.pop()  # the token that ended it stands for no text

    def take(self) -> tuple[str, list[Piece]]:
        """The text and the pieces that are certain and were not taken before."""
        text, self._shown = self._text[self._shown : self._certain], self._certain
        upto = self._taken
        while upto < len(self._pieces) and self._is_certain(self._pieces[upto]):
            upto += 1
        pieces, self._taken = self._pieces[self._taken : upto], upto
        return text, pieces

    def _is_certain(self, piece: Piece) -> bool:
        ends = piece.start + len(piece.text)
        return bool(self.finish) or (bool(piece.text) and ends <= self._certain)

    def _next_text(self, *, final: bool) -> str:
        """What the last tokens add. Bytes of a character wait for the rest of it."""
        before = self._decode(self._tokens[self._before : self._read])
        now = self._decode(self._tokens[self._before :])
        if len(now) <= len(before) or (now.endswith(_UNFINISHED) and not final):
            return ""
        self._before, self._read = self._read, len(self._tokens)
        return now[len(before) :]

    def _look_for_stops(self, added: int) -> None:
        longest = max(map(len, self._stops), default=0)
        since = max(0, len(self._text) - added - longest)
        found = [at for stop in self._stops if (at := self._text.find(stop, since)) >= 0]
        if not found:
            self._certain = max(self._certain, len(self._text) - max(0, longest - 1))
            return
        self.finish = "stop"
        self._text = self._text[: min(found)]
        self._certain = len(self._text)
        self._pieces = [
            replace(piece, text=piece.text[: self._certain - piece.start])
            for piece in self._pieces
            if piece.start < self._certain
        ]
