"""What the warm-up shows: solved tasks, written tasks, and the roles that parts of a recipe have a
model play, as rows. Row `index` follows from the seed alone. Loads no torch."""

from collections.abc import Sequence
from random import Random

from agents.domains.domain import Domain, Problem
from agents.domains.wrong import wrong_answer
from agents.engines.checkpoint.prompting import Prompting
from agents.engines.engine import Prompt
from agents.parts import PartConfig
from agents.sources.context import in_context
from agents.sources.learned import LearnedConfig
from evolvent.errors import UsageError
from trainer.rows import Row

PLAIN = LearnedConfig()
"""A proposer that reads no tasks before it writes one."""


class Examples:
    """Problems of the warm-up levels. `end` is the token that ends an answer, `context` the length
    of what the model can read; a `proposer` reads as many tasks as in the run, drawn anew for each
    row; `roles` are parts with something to show; `wrong_share` of the solutions are wrong."""

    def __init__(
        self,
        domain: Domain,
        seed: int,
        prompting: Prompting,
        end: int,
        context: int | None = None,
        proposer: LearnedConfig = PLAIN,
        roles: Sequence[PartConfig] = (),
        wrong_share: float = 0.0,
    ) -> None:
        self._domain = domain
        self._seed = seed
        self._prompting = prompting
        self._end = end
        self._context = context
        self._proposer = proposer
        self._roles = roles
        self._wrong_share = wrong_share

    def row(self, index: int, proposal_share: float, role_share: float = 0.0) -> Row:
        """In the solver's role, or with probability `proposal_share` in the proposer's, and
        `role_share` in one of the others."""
        drawn = Random(f"{self._seed}/role/{index}").random()
        if drawn < proposal_share:
            return self.proposal(index)
        if drawn < proposal_share + role_share:
            return self.role(index)
        return self.solution(index)

    def solution(self, index: int) -> Row:
        problem = self._problem(index)
        random = Random(f"{self._seed}/wrong/{index}")
        is_wrong = random.random() < self._wrong_share
        shown = self._wrong(problem, random) if is_wrong else problem.answer
        return self._row(problem.prompt, shown)

    def proposal(self, index: int) -> Row:
        problem = self._problem(index)
        random = Random(f"{self._seed}/shown/{index}")
        family = problem.family if self._proposer.by_family else None
        shown = [
            self._domain.write(self._made(random, family)) for _ in range(self._proposer.shown)
        ]
        prompt = in_context(self._domain.proposer_prompt(), shown)
        return self._row(prompt, self._domain.write(problem))

    def role(self, index: int) -> Row:
        """Every part shows as many as the others; a solution where one has nothing to show."""
        problem = self._problem(index)
        random = Random(f"{self._seed}/roles/{index}")
        part = random.choice(list(self._roles))
        shown = part.example(problem, self._wrong(problem, random), random)
        if shown is None:
            return self._row(problem.prompt, problem.answer)
        return self._row(shown.prompt, shown.answer)

    def answer(self, text: str) -> tuple[int, ...]:
        """An answer as the model writes it, its end included."""
        return answer_tokens(self._prompting, text, self._end)

    def _wrong(self, problem: Problem, random: Random) -> str:
        other = self._domain.make(problem.family, problem.level, random).answer
        return wrong_answer(self._domain, problem, other, random)

    def _problem(self, index: int) -> Problem:
        return self._made(Random(f"{self._seed}/warm-up/{index}"))

    def _made(self, random: Random, family: str | None = None) -> Problem:
        family = family or random.choice(list(self._domain.families))
        return self._domain.make(family, random.choice(list(self._domain.warmup_levels)), random)

    def _row(self, prompt: Prompt, completion: str) -> Row:
        row = Row(prompt=self._prompting.encode(prompt), completion=self.answer(completion))
        length = len(row.prompt) + len(row.completion)
        if self._context is not None and length > self._context:
            raise UsageError(
                f"an example for the warm-up has {length} tokens, the model reads {self._context}: "
                "lower domain.warmup_levels or choose another model"
            )
        return row


def answer_tokens(prompting: Prompting, text: str, end: int) -> tuple[int, ...]:
    """What a model says that answers `text`; `end` is the token that ends it."""
    return (*prompting.tokenizer.encode(text, add_special_tokens=False).ids, end)
