"""What has to be learned: where a seed of each recipe may start and must end. Knows no run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A seed passes when it starts at most at `at_most` and ends at least at `at_least`.

    `needed` of five seeds must; None where nothing is promised. What needs a `given` model is
    measured where it is asked for.
    """

    recipe: str
    levels: range
    at_most: float
    at_least: float
    budget: str | None = None
    needed: int | None = 5
    until: float | None = None
    """The run's own held-out mean from which on it is certain to pass."""
    given: bool = False


PROOFS = {
    "words": Proof(recipe="words", levels=range(5, 11), at_most=0.20, at_least=0.95, until=0.97),
    "strings": Proof(recipe="strings", levels=range(5, 13), at_most=0.30, at_least=0.95),
    "strings-20": Proof(
        recipe="strings",
        levels=range(5, 21),
        at_most=0.30,
        at_least=0.90,
        budget="5m",
        until=0.93,
    ),
    "learned": Proof(
        recipe="learned",
        levels=range(5, 13),
        at_most=0.30,
        at_least=0.80,
        budget="180s",
        needed=4,
        until=0.85,
    ),
    "chat-sums": Proof(
        recipe="chat-sums", levels=range(2, 4), at_most=0.30, at_least=0.80, given=True, until=0.85
    ),
    "chat-letters": Proof(
        recipe="chat-letters",
        levels=range(4, 9),
        at_most=0.10,
        at_least=0.80,
        given=True,
        until=0.85,
    ),
    "grpo": Proof(
        recipe="grpo", levels=range(5, 11), at_most=0.20, at_least=0.95, needed=None, until=0.97
    ),
    "vote": Proof(
        recipe="vote", levels=range(5, 11), at_most=0.20, at_least=0.95, needed=None, until=0.97
    ),
}
