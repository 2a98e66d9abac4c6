"""What OpenAI's API answers: the shapes of completions, chats and errors. Knows no network."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.engines.openai.asked import Wrong
from agents.engines.openai.choice import Piece

_LOWEST = -9999.0
"""JSON has no minus infinity."""


def label_of(versions: Iterable[int]) -> str:
    """The versions that spoke, as a client may name them again: v7, or v7+v8."""
    return "+".join(f"v{version}" for version in sorted(set(versions)))


def error_body(wrong: Wrong) -> dict[str, Any]:
    return {
        "error": {
            "message": str(wrong),
            "type": wrong.kind,
            "param": wrong.param,
            "code": wrong.code,
        }
    }


def usage(num_prompt: int, num_completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_completion,
        "total_tokens": num_prompt + num_completion,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How one kind of answer looks. `id` and `created` are the same in all parts of a stream."""

    chat: bool
    id: str
    created: int
    logprobs: bool

    def whole(
        self, model: str, choices: Sequence[dict[str, Any]], used: dict[str, int]
    ) -> dict[str, Any]:
        kind = "chat.completion" if self.chat else "text_completion"
        return self._around(kind, model, choices) | {"usage": used}

    def part(self, model: str, choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return self._around(kind, model, choices)

    def choice(
        self, index: int, text: str, pieces: Sequence[Piece], finish: str | None
    ) -> dict[str, Any]:
        """One whole answer."""
        own = self._chat_text("message", text) if self.chat else {"text": text}
        return self._choice(index, own, pieces, finish)

    def first(self, index: int) -> dict[str, Any]:
        """What a streamed chat says before its text."""
        return self._choice(index, self._chat_text("delta", ""), (), None)

    def more(
        self, index: int, text: str, pieces: Sequence[Piece], finish: str | None
    ) -> dict[str, Any]:
        """The next part of a streamed answer."""
        own: dict[str, Any] = {"text": text}
        if self.chat:
            own = {"delta": {"content": text} if text or pieces else {}}
        return self._choice(index, own, pieces, finish)

    def _around(self, kind: str, model: str, choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": model,
            "system_fingerprint": f"evolvent-{model}",
            "choices": list(choices),
        }

    def _chat_text(self, name: str, text: str) -> dict[str, Any]:
        return {name: {"role": "assistant", "content": text, "refusal": None}}

    def _choice(
        self, index: int, own: dict[str, Any], pieces: Sequence[Piece], finish: str | None
    ) -> dict[str, Any]:
        shown = (_chat_logprobs if self.chat else _logprobs)(pieces) if self.logprobs else None
        return {"index": index, **own, "logprobs": shown, "finish_reason": finish}


def _logprobs(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {
        "tokens": [piece.text for piece in pieces],
        "token_logprobs": [_finite(piece.logprob) for piece in pieces],
        "top_logprobs": None,
        "text_offset": [piece.start for piece in pieces],
    }


def _chat_logprobs(pieces: Sequence[Piece]) -> dict[str, Any]:
    content = [
        {
            "token": piece.text,
            "logprob": _finite(piece.logprob),
            "bytes": list(piece.text.encode()),
            "top_logprobs": [],
        }
        for piece in pieces
    ]
    return {"content": content, "refusal": None}


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _LOWEST
