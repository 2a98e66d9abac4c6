"""Draft, critique, revise, until the critique lets an answer pass or the rounds are over.

user: PROMPT   assistant: draft   user: ASK   assistant: critique   user: REVISE   assistant: answer

Self-Refine (Madaan et al. 2023, arXiv 2303.17651), trained: a revised answer is learned after the
plain prompt, so that the next draft is what the last revision was. Every round reads the newest
answer alone.
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from agents.domains.domain import Problem
from agents.domains.wrong import goes_along, right_until
from agents.engines.engine import Message
from agents.parts import Example, PartConfig, Parts
from agents.samplers.sampler import Speak
from agents.together import together
from bus.events import CURRENT, Sample, Task, Turn


class RefineConfig(PartConfig):
    """The weights of `critic` are asked `ask` about an answer and say at most `max_tokens` tokens;
    where these do not begin with `approve` the solver is asked to `revise`, for at most `rounds`;
    both texts may repeat the {prompt}.
    What was revised may be learned from ("revised"), or the drafts as well ("all"). `reject` is
    what the warm-up shows as a critique of a wrong answer. With a `rationale` it is the end of a
    critique that counts; before it stands the answer as far as it is right."""

    hints: ClassVar[bool] = True

    type: Literal["refine"] = "refine"
    critic: str = CURRENT
    ask: str = "Is this answer right? Begin with yes or no, then say what is wrong with it."
    approve: str = Field(default="yes", min_length=1)
    reject: str = "no"
    rationale: bool = False
    revise: str = "Give the answer again, without what is wrong with it, and nothing else."
    rounds: int = Field(default=1, gt=0, le=8)
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=64, gt=0)
    learn: Literal["revised", "all"] = "all"

    @model_validator(mode="after")
    def _tells_right_from_wrong(self) -> "RefineConfig":
        if self.reject.lower().startswith(self.approve.lower()):
            raise ValueError(f"reject = {self.reject!r} begins with approve = {self.approve!r}")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.critic,)

    def example(self, problem: Problem, wrong: str, random: Random) -> Example:
        """A right answer is approved, a wrong one rejected, and a rejected one set right."""
        shown = random.choice(("right", "wrong", "revised"))
        draft = Message(role="assistant", text=problem.answer if shown == "right" else wrong)
        asked = self.asked(problem.prompt, draft)
        critique = right_until(problem.answer, draft.text) if self.rationale else ""
        critique += self.approve if shown == "right" else self.reject
        if shown == "revised":
            said = Message(role="assistant", text=critique)
            return Example(prompt=self.to_revise(asked, said), answer=problem.answer)
        return Example(prompt=asked, answer=critique)

    def asked(self, prompt: str, draft: Message) -> tuple[Message, ...]:
        """What the critic reads."""
        return (
            Message(role="user", text=prompt),
            draft,
            Message(role="user", text=_written(self.ask, prompt)),
        )

    def to_revise(self, asked: tuple[Message, ...], said: Message) -> tuple[Message, ...]:
        """What the solver reads after a critique."""
        return (*asked, said, Message(role="user", text=_written(self.revise, asked[0].text)))

    def passes(self, critique: str, answer: str) -> bool:
        """Whether a critique lets an answer stand: with a rationale only if that is the answer."""
        said, approved = critique.strip().lower(), self.approve.lower()
        if not self.rationale:
            return said.startswith(approved)
        before = said.removesuffix(approved)
        return said.endswith(approved) and goes_along(before, answer, whole=True)

    def build(self, parts: Parts) -> "Refine":
        return Refine(parts, self)


class Refine:
    """Every draft is a sample of its own: what the model says without a second look. Beside it
    stands one more for every draft that was revised: its critiques and revisions, of which the last
    one is learned after the prompt of the draft."""

    def __init__(self, parts: Parts, config: RefineConfig) -> None:
        self._critic = parts.policy(config.critic)
        self._config = config

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        learned = self._config.learn == "all"
        drafts = await speak(task.prompt, n, seat="first", trainable=learned)
        revised = await together(self._revised(task, draft, speak) for draft in drafts)
        return [
            *(Sample(turns=(draft,)) for draft in drafts),
            *(Sample(turns=turns) for turns in revised if turns),
        ]

    async def _revised(self, task: Task, draft: Turn, speak: Speak) -> tuple[Turn, ...]:
        """Critique and revision of each round; nothing where the draft passes at once."""
        turns: list[Turn] = []
        answer = draft
        for _ in range(self._config.rounds):
            asked = self._config.asked(task.prompt, _said(answer))
            [critique] = await self._critic.sample(
                asked,
                max_tokens=self._config.max_tokens,
                temperature=self._config.temperature,
                since=task.weights_version,
                seat="critic",
                trainable=False,
            )
            if self._config.passes(critique.text, answer.text):
                break
            revising = self._config.to_revise(asked, _said(critique))
            [answer] = await speak(revising, seat="second", trainable=False)
            turns += [critique, answer]
        if not turns:
            return ()
        learned = {"trainable": True, "learned_prompt": draft.prompt_tokens}
        return (*turns[:-1], turns[-1].model_copy(update=learned))


def _written(text: str, prompt: str) -> str:
    return prompt.join(text.split("{prompt}"))


def _said(turn: Turn) -> Message:
    return Message(role="assistant", text=turn.text, tokens=turn.tokens)
