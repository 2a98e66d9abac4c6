"""How much of a batch says nearly the same: texts in clusters of likeness, and the share of the
batch that each text's cluster has. Knows no task and no reward.

The penalty of R-Zero (Huang et al. 2025, arXiv 2508.05004, section 3.2): distance 1 - BLEU
(Papineni et al. 2002), clusters merged by average linkage below .5. BLEU is of characters here, up
to two in a row, the mean of both directions, since it is not symmetric.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import exp, log

_NEAR = 0.5
_LONGEST = 2
_UNSEEN = 0.1
"""Counts for an n-gram length of which nothing is shared (Chen and Cherry 2014, method 1)."""


def cluster_shares(texts: Sequence[str]) -> dict[str, float]:
    """By text, the share of `texts` that its cluster has."""
    sizes = Counter(texts)
    clusters = _clusters(sizes)
    return {
        text: sum(sizes[each] for each in cluster) / len(texts)
        for cluster in clusters
        for text in cluster
    }


def likeness(one: str, other: str) -> float:
    """From 0 to 1, which is for the same text."""
    return 1.0 if one == other else (_bleu(one, other) + _bleu(other, one)) / 2


def _clusters(sizes: Mapping[str, int]) -> list[list[str]]:
    clusters = {number: [text] for number, text in enumerate(sizes)}
    weights = dict(enumerate(sizes.values()))
    apart = {
        (a, b): 1 - likeness(clusters[a][0], clusters[b][0]) for a, b in combinations(clusters, 2)
    }
    while apart:
        kept, gone = pair = min(apart, key=lambda each: (apart[each], each))
        if apart[pair] >= _NEAR:
            break
        del apart[pair]
        whole = weights[kept] + weights[gone]
        for other in clusters.keys() - pair:
            ours, theirs = _pair(kept, other), _pair(gone, other)
            # The mean over all pairs of texts, one of either cluster.
            said = weights[kept] * apart[ours] + weights[gone] * apart.pop(theirs)
            apart[ours] = said / whole
        clusters[kept] += clusters.pop(gone)
        weights[kept] = whole
        del weights[gone]
    return list(clusters.values())


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)


def _bleu(said: str, reference: str) -> float:
    """Of one text against one reference."""
    longest = min(_LONGEST, len(said), len(reference))
    if not longest:
        return 0.0
    precisions = []
    for length in range(1, longest + 1):
        ours, theirs = _grams(said, length), _grams(reference, length)
        precisions.append(((ours & theirs).total() or _UNSEEN) / ours.total())
    brevity = exp(min(0.0, 1 - len(reference) / len(said)))
    return brevity * exp(sum(map(log, precisions)) / longest)


def _grams(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))
