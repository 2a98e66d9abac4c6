"""Turns, verdicts and samples as the page shows them: every token as its text with its
log-probability. Knows no route."""

from collections.abc import Callable, Sequence
from typing import Any

from bus.events import Sample, Turn, Verdict
from observability.lineage.lineage import versions_of

Pieces = Callable[[Sequence[int]], list[str] | None]


def turn_as_json(turn: Turn, pieces: Pieces) -> dict[str, Any]:
    texts, known = _texts(turn.tokens, pieces)
    prompt = turn.learned_prompt if turn.learned_prompt is not None else turn.prompt_tokens
    read, is_read = _texts(prompt, pieces)
    return {
        "text": turn.text,
        "seat": turn.seat,
        "policy": turn.policy,
        "trainable": turn.trainable,
        "finish_reason": turn.finish_reason,
        "temperature": turn.temperature,
        "versions": sorted(versions_of(turn)),
        "prompt": "".join(read) if is_read else None,
        "tokens": list(zip(texts, turn.logprobs, strict=False)),
        "pieces_known": known,
        "num_prompt_tokens": len(turn.prompt_tokens),
        "logprob": sum(turn.logprobs),
    }


def _texts(tokens: Sequence[int], pieces: Pieces) -> tuple[list[str], bool]:
    found = pieces(tokens)
    if found is None or len(found) != len(tokens):
        return [f"⟨{token}⟩" for token in tokens], False
    return found, True


def verdict_as_json(verdict: Verdict, pieces: Pieces) -> dict[str, Any]:
    said = verdict.turn.text if verdict.turn else verdict.call.answer if verdict.call else None
    return {
        "reward": verdict.reward,
        "right": verdict.right,
        "known": verdict.known,
        "reason": verdict.reason,
        "judge": verdict.provenance,
        "scores": verdict.scores,
        "seats": verdict.seats,
        "words": said,
        "turn": None if verdict.turn is None else turn_as_json(verdict.turn, pieces),
        "call": None if verdict.call is None else verdict.call.model_dump(),
        "combined": [verdict_as_json(one, pieces) for one in verdict.combined],
    }


def sample_as_json(sample: Sample, verdict: Verdict | None, pieces: Pieces) -> dict[str, Any]:
    return {
        "answer": sample.answer,
        "ended": sample.ended,
        "hinted": sample.hinted,
        "tokens": sample.num_tokens,
        "versions": sorted({one for turn in sample.turns for one in versions_of(turn)}),
        "turns": [turn_as_json(turn, pieces) for turn in sample.turns],
        "verdict": None if verdict is None else verdict_as_json(verdict, pieces),
    }
