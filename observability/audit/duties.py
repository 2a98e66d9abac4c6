"""What the records of a topic owe, as `bus.topics` says it: whom they answer, who must bring them
to an end, and whether an answer or a version shows that. Knows no log and no role.
"""

from bus.topics import DEAD_SUFFIX, TOPICS

_ANSWERED_ONCE = {topic.answers for topic in TOPICS.values() if topic.once}

LEARNED_FROM = frozenset(
    topic.name
    for topic in TOPICS.values()
    if topic.completed_by and topic.name not in _ANSWERED_ONCE
)
"""Topics whose records must come to an end that no event shows: a version has to name them."""

ANSWERS_ALL = "proposer"
"""The group of which every version must have an answer: the state of its source."""

ANSWERS_SOME = "evaluator"
"""The group of which those versions must have one that the recipe has measured, or somebody asks
for."""

ONCE_PER_AGENT = {"curricula": ANSWERS_ALL, "evaluations": ANSWERS_SOME}
"""What one agent says of a version once, and whose duty it is."""

COMPLETERS = frozenset(topic.completed_by for topic in TOPICS.values() if topic.completed_by)
"""The groups that owe something."""


def answers(topic: str) -> str:
    """The topic of the events that those of `topic` answer, "" for roots and unknown topics."""
    return TOPICS[topic].answers if topic in TOPICS else ""


def is_once(topic: str) -> bool:
    """Whether an event is answered by one of `topic` at most."""
    return topic in TOPICS and TOPICS[topic].once


def completer(topic: str) -> str:
    """The group that must bring every record of `topic` to an end, "" where nobody must."""
    return TOPICS[topic].completed_by if topic in TOPICS else ""


def reading_order(topic: str) -> tuple[bool, int, str]:
    """Sorts causes before answers, and what died before the letters about it."""
    return topic.endswith(DEAD_SUFFIX), _depth(topic), topic


def _depth(topic: str) -> int:
    cause = answers(topic)
    return 0 if cause in ("", topic) else 1 + _depth(cause)
