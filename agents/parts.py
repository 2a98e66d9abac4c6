"""What a block may ask for when it is built: every one is `config.build(parts)`."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from agents.domains.domain import Domain, Problem
from agents.engines.engine import Prompt
from agents.policies.policy import Policy
from agents.policies.serving import Serving
from bus.log import Log
from bus.runner import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a model is asked in a role, and what it should say."""

    prompt: Prompt
    answer: str


class PartConfig(BaseModel):
    """What a recipe says of one part: `type` names it, and unknown fields are refused. A subclass
    has a `type` of its own and `build(parts)`; where it generates, it names its policies in
    `uses`, and in `example` it shows a seed model what it asks beside the task. Parts that are
    about games of two (`of_games`) go together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    of_games: ClassVar[bool] = False

    @property
    def uses(self) -> tuple[str, ...]:
        """The policies that the part asks for."""
        return ()

    def example(self, problem: Problem, wrong: str, random: Random) -> Example | None:
        """A role that the part has a model play, played rightly: about `problem`, or an answer to
        it, the right one or the `wrong` one. None where it asks for nothing but the task."""
        return None

    @property
    def shows(self) -> bool:
        """Whether there is a role to show."""
        return type(self).example is not PartConfig.example


class RoleConfig(PartConfig):
    """What a recipe says of a role from outside of evolvent, whose name is its `type`. `topics` are
    those whose records it answers, `concurrency` at a time; an `exclusive` one has no second beside
    it."""

    topics: ClassVar[tuple[str, ...]] = ()
    exclusive: ClassVar[bool] = False
    concurrency: ClassVar[int] = 1

    type: str

    def build(self, parts: "Parts") -> Role[Any]:
        raise NotImplementedError


class _MakesDomain(Protocol):
    def build(self, parts: "Parts") -> Domain: ...


class Parts:
    """The ground of one process on which its blocks stand.

    `run` and `seed` are the run's; `log` is what has been said, to be read in threads alone;
    `policy(name)` generates with the weights of that name; `serving(weights)` opens an engine at
    exactly one version. The `domain` is built when it is first asked for, so it cannot itself ask
    for one. Only where a model learns, and `encode` is given, are answers written as its tokens.
    """

    def __init__(
        self,
        *,
        run: str,
        seed: int,
        domain: _MakesDomain,
        log: Log,
        policy: Callable[[str], Policy],
        serving: Serving,
        encode: Callable[[str], tuple[int, ...]] | None = None,
    ) -> None:
        self.run = run
        self.seed = seed
        self.log = log
        self.policy = policy
        self.serving = serving
        self._domain = domain
        self._encode = encode

    def encode(self, answer: str) -> tuple[int, ...]:
        """An answer and its end, as the model that learns would say it."""
        if self._encode is None:
            raise RuntimeError("no model learns in this process")
        return self._encode(answer)

    def encoding(self, encode: Callable[[str], tuple[int, ...]]) -> "Parts":
        """The same ground, on which answers are written so."""
        same = copy(self)
        same._encode = encode
        return same

    @cached_property
    def domain(self) -> Domain:
        return self._domain.build(self)
