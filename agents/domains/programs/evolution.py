"""What is made of a task about a program: one operation more, another program, a longer input. Each
operator is a function of the task and of chance. Knows no pool and no model.

After the operators of Evol-Instruct (Xu et al. 2023, arXiv 2304.12244): deepening, in-breadth, and
complicating the input.
"""

from random import Random

from agents.domains.domain import NotATask, Problem
from agents.domains.programs.tasks import LETTERS
from agents.domains.programs.validity import ALL, draw_letter, draw_program
from agents.domains.strings import DIGITS


def evolved(problem: Problem, operator: str, random: Random, letters: str = ALL) -> str:
    """The text of another task of the same family, its operations among `letters`; raises
    `NotATask` for an operator that is none. What it comes to may be trivial, or out of range:
    whoever reads it will tell."""
    program, value = problem.metadata["program"], problem.metadata["input"]
    match operator:
        case "deepen":
            program += draw_letter(random, letters)
        case "widen":
            program = draw_program(len(program), random, letters)
        case "complicate":
            place = random.randint(0, len(value))
            value = value[:place] + random.choice(DIGITS) + value[place:]
        case _:
            raise NotATask("unknown operator")
    return f"{LETTERS[problem.family]}{program}:{value}"
