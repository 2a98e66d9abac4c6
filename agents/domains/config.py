"""Which domain a run works in: one name in a union per domain. Knows no domain's inside."""

from typing import Annotated

from pydantic import Field

from agents.domains.arithmetic import ArithmeticConfig
from agents.domains.dataset.dataset import DatasetConfig
from agents.domains.grammar import GrammarConfig
from agents.domains.kuhn import KuhnConfig
from agents.domains.programs.codes import CodesConfig
from agents.domains.programs.programs import ProgramsConfig
from agents.domains.python_programs.python_programs import PythonProgramsConfig
from agents.domains.reasoning_gym import ReasoningGymConfig
from agents.domains.strings import StringsConfig

DomainConfig = Annotated[
    StringsConfig
    | ReasoningGymConfig
    | ArithmeticConfig
    | ProgramsConfig
    | CodesConfig
    | PythonProgramsConfig
    | DatasetConfig
    | KuhnConfig
    | GrammarConfig,
    Field(discriminator="type"),
]
