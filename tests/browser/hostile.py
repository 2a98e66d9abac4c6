"""A run in which all that a model can say is hostile: markup, what hides, what is too long."""

from collections.abc import Iterator

from bus.events import Attempt, DeadLetter, Event, Judgment
from tests.observability.story import Story, dead_letter, judgment

MARKUP = (
    "<script>window.taken = true</script><img src=x onerror='window.taken = true'>"
    "<svg onload='window.taken = true'></svg><a href='javascript:window.taken = true'>here</a>"
    "</pre></div><style>* { display: none }</style><iframe src='http://example.com'></iframe>"
    "&lt;b&gt; ${1} <!-- "
)
ODD = "\u202edrawkcab\u202c a\u200bb \x00\x1b[31m \u2066isolate \ufeff \U0001f469\u200d\U0001f467 "
SHOWN = "⟨U+202E⟩drawkcab⟨U+202C⟩ a⟨U+200B⟩b ␀␛[31m ⟨U+2066⟩isolate ⟨U+FEFF⟩ "
HOSTILE = MARKUP + ODD + "long" * 2_000


def hostile() -> Iterator[Event]:
    """Two versions, and a task of which all that can be said is hostile."""
    yield from Story(versions=1).of_version(0)
    said: Judgment = judgment(0, 5, wrong=HOSTILE)
    task = said.attempt.task.model_copy(
        update={"question": HOSTILE, "answer": HOSTILE, "metadata": {HOSTILE[:90]: HOSTILE}}
    )
    attempt: Attempt = said.attempt.model_copy(update={"task": task})
    verdicts = tuple(
        one.model_copy(update={"reason": HOSTILE, "provenance": MARKUP}) for one in said.verdicts
    )
    judged = said.model_copy(update={"attempt": attempt, "verdicts": verdicts, "critic": MARKUP})
    letter: DeadLetter = dead_letter(HOSTILE)
    yield from (task, attempt, judged, letter)
