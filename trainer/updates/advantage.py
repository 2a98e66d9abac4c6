"""How much better a sample was than what it is held against: the baselines of a policy gradient.
Knows no tensor and no loss."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from statistics import fmean, pstdev
from typing import Literal

from bus.events import Attempt, Judgment, Refusal, Turn, Verdict
from trainer.updates.repetition import cluster_shares
from trainer.updates.rewards import Worth

Baseline = Literal["group", "group_mean", "batch", "role"]
"""What a reward is held against: its group, over the deviation or not; the batch; or all that the
batch has of the same role, which is a seat and a family of tasks."""

OF_GROUP = frozenset({"group", "group_mean"})
"""Baselines that teach nothing where all samples of a group have the same reward."""

_TINY = 1e-4
"""Keeps an advantage finite where rewards hardly differ."""


def advantages(
    judgments: Sequence[Judgment], baseline: Baseline
) -> Iterator[tuple[Attempt, Turn, float]]:
    """Every trainable turn with the advantage of its sample, A = (r - mean) / (deviation + 1e-4).

    "group" is GRPO (Shao et al. 2024, arXiv 2402.03300); "group_mean" leaves out the deviation, as
    Dr. GRPO does (Liu et al. 2025, arXiv 2503.20783); "batch" is REINFORCE++ (Hu et al. 2025, arXiv
    2501.03262); "role" is TRR++ of Absolute Zero (Zhao et al. 2025, arXiv 2505.03335). Where
    all rewards that are held against each other are equal, nothing is given. A turn whose seat has
    a reward of its own is held, within a group, against those of its seat.
    """
    rewards: dict[Hashable, list[float]] = defaultdict(list)
    for judgment in judgments:
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True):
            # Each seat of a sample counts once, however many turns it has.
            said = {
                (_key(baseline, judgment, verdict, turn), turn.seat if verdict.seats else ""): turn
                for turn in sample.turns
            }
            for (key, _), turn in said.items():
                rewards[key].append(verdict.reward_of(turn))
    measures = {key: (fmean(found), pstdev(found)) for key, found in rewards.items()}
    for judgment in judgments:
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True):
            for turn in sample.trainable:
                mean, deviation = measures[_key(baseline, judgment, verdict, turn)]
                if deviation == 0:
                    continue
                scale = 1.0 if baseline == "group_mean" else deviation + _TINY
                yield judgment.attempt, turn, (verdict.reward_of(turn) - mean) / scale


def proposer_advantages(
    judgments: Sequence[Judgment],
    refused: Sequence[Refusal],
    worth: Worth,
    repetition: float = 0.0,
) -> Iterator[tuple[Turn, float]]:
    """Every trainable proposal, asked or refused, with its advantage over all of the batch that
    have its seat, which is a role and, where one was asked for, a family ("role" above). It earns
    its worth less `repetition` times the share of the batch that is nearly the same."""
    paid = [
        (judgment.attempt.task.proposal, worth.of(judgment.success)) for judgment in judgments
    ] + [(refusal.proposal, worth.of_refusal(refusal.reason)) for refusal in refused]
    turns = [(one.turn, reward) for one, reward in paid if one is not None and one.turn.trainable]
    shares = cluster_shares([turn.text for turn, _ in turns]) if repetition else {}
    earned: dict[str, list[tuple[Turn, float]]] = defaultdict(list)
    for turn, reward in turns:
        earned[turn.seat].append((turn, reward - repetition * shares.get(turn.text, 0.0)))
    for found in earned.values():
        mean, deviation = fmean(r for _, r in found), pstdev(r for _, r in found)
        if deviation > 0:
            yield from ((turn, (reward - mean) / (deviation + _TINY)) for turn, reward in found)


def against_running_means(
    judgments: Sequence[Judgment], means: MutableMapping[str, float], decay: float
) -> Iterator[tuple[Attempt, Turn, float]]:
    """Every trainable turn with its reward less the running mean of its role, read before the
    sample itself moves it: role-conditioned advantage estimation of SPIRAL (Liu et al. 2025, arXiv
    2506.24119). `means` begin at 0 and stay for the next batch. Samples are taken one after
    another; what is worth exactly the mean is not given."""
    for judgment in judgments:
        family = judgment.attempt.task.family
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True):
            if not verdict.known:
                continue
            before = {turn.seat: means.get(_role(family, turn), 0.0) for turn in sample.trainable}
            for turn in sample.trainable:
                if advantage := verdict.reward_of(turn) - before[turn.seat]:
                    yield judgment.attempt, turn, advantage
            for turn in {turn.seat: turn for turn in sample.trainable}.values():
                reward = verdict.reward_of(turn)
                means[_role(family, turn)] = decay * before[turn.seat] + (1 - decay) * reward


def _role(family: str, turn: Turn) -> str:
    return f"role/{family}/{turn.seat}"


def _key(baseline: Baseline, judgment: Judgment, verdict: Verdict, turn: Turn) -> Hashable:
    """What is held against each other."""
    if baseline in OF_GROUP:
        return (judgment.id, turn.seat if verdict.seats else "")
    return (turn.seat, judgment.attempt.task.family) if baseline == "role" else ""
