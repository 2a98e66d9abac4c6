"""What a model finds likely is worth more: its own probability of what it said.

The ranking of CREAM (Wang et al. 2024, arXiv 2410.12735), the reward that is implicit in DPO, here
per token and without a reference. Knows no verifier and asks no model: turns say how likely they
were.
"""

from math import exp, fsum
from typing import Literal

from agents.judges.judge import scored
from agents.parts import PartConfig, Parts
from bus.events import Attempt, Sample, Verdict


class ImplicitConfig(PartConfig):
    """A sample is worth the geometric mean of the probabilities of its trainable tokens."""

    type: Literal["implicit"] = "implicit"

    def build(self, parts: Parts) -> "Implicit":
        return Implicit()


class Implicit:
    """An answer that did not end is worth 0; of one that nobody drew nothing is known."""

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        return tuple(_verdict(sample) for sample in attempt.samples)


def _verdict(sample: Sample) -> Verdict:
    logprobs = [one for turn in sample.trainable for one in turn.logprobs]
    reward = exp(fsum(logprobs) / len(logprobs)) if logprobs and sample.ended else 0.0
    reason = "likelihood" if sample.ended else "not ended"
    return scored("implicit", reward, reason, known=bool(logprobs))
