"""What topics owe follows from what `bus.topics` says of them."""

from bus.topics import TOPICS
from observability.audit import duties


def test_causes_are_read_before_what_answers_them_and_letters_last() -> None:
    order = sorted(TOPICS, key=duties.reading_order)
    for topic in TOPICS.values():
        if topic.answers not in ("", topic.name):
            assert order.index(topic.answers) < order.index(topic.name)
    letters = [name.endswith(".dead") for name in order]
    assert letters == sorted(letters)


def test_every_record_that_somebody_owes_an_end_is_answered_once_or_learned_from() -> None:
    owed = {topic.name for topic in TOPICS.values() if topic.completed_by}
    answered = {topic.answers for topic in TOPICS.values() if topic.once}
    assert owed == answered | duties.LEARNED_FROM
    assert not answered & duties.LEARNED_FROM
    assert {duties.completer(name) for name in owed} == duties.COMPLETERS


def test_what_the_audit_demands() -> None:
    """Said apart from the facts that it is derived from: none of this may be weakened."""
    assert {
        "judgments",
        "refusals",
        "tasks.dead",
        "attempts.dead",
        "judgments.dead",
    } <= duties.LEARNED_FROM
    assert {name for name in TOPICS if duties.is_once(name)} >= {"attempts", "judgments"}
    assert (duties.answers("attempts"), duties.answers("judgments")) == ("tasks", "attempts")
    for topic in ("tasks", "refusals", "weights", "curricula", "evaluations", "promotions"):
        assert duties.answers(topic) == "weights"


def test_nobody_owes_anything_for_a_topic_that_is_not_ours() -> None:
    assert duties.answers("foreign") == duties.completer("foreign") == ""
    assert not duties.is_once("foreign") and "foreign" not in duties.LEARNED_FROM
