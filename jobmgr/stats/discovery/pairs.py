"""Pairs of predicates as candidates: counted in a sample by one matrix product a block, each pair judged against its halves and the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.attributes import Phase, Scale
from jobmgr.stats.discovery.candidates import Candidate, adjusted, plain_log_p, worth_telling
from jobmgr.stats.discovery.evidence import Evidence, Prior, assess, expected_by
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.source_nodes import PREVIOUS
from jobmgr.stats.discovery.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ATTRIBUTES, MOST_LEVELS, MOST_PREDICATES = 32, 12, 280
SAMPLE = 40_000
MOST_BLOCKS = 16
LEAST_INTERACTION = 0.3
"""So much of a pair's effect is its own, and not the sum of what its halves do alone."""
STRONG, ATTENTION = 1.5, 0.8
"""Pairs with a half of such a z share so much of the weight."""
WORTH_TESTING = 2.0
"""A pair whose plain z is less is not looked at closer; it is counted as tried."""


@dataclass(slots=True)
class PairCounts:
    """How many tasks of a sample match each two of some predicates, by block: all of them, and those with the target. Additive."""

    predicates: list[Predicate]
    step: int
    """Every how manieth task is in the sample."""
    both: Array
    failed: Array
    totals: Array
    """Tasks by block, and those with the target."""
    seen: int = 0

    @classmethod
    def of(cls, tables: Tables, predicates: list[Predicate], most: int) -> PairCounts:
        """Of all tasks there are."""
        import numpy as np

        size, blocks = len(predicates), min(most, MOST_BLOCKS)
        step = max(1, len(tables) // SAMPLE)
        both, failed = (np.zeros((blocks, size, size), "f4") for _ in range(2))
        counts = cls(predicates, step, both, failed, np.zeros((2, blocks)))
        counts.grow(tables)
        return counts

    def grow(self, tables: Tables) -> None:
        """Count the tasks that have come since."""
        import numpy as np

        first = -(-self.seen // self.step) * self.step
        block = tables.block[first :: self.step].astype("i8") * len(self.both) // tables.blocks
        flags = tables.flags[first :: self.step]
        holds = np.empty((len(self.predicates), len(flags)), "f4")
        for row, predicate in enumerate(self.predicates):
            holds[row] = tables.matching([predicate], slice(first, None, self.step))
        ends = np.searchsorted(block, np.arange(len(self.both) + 1))
        for number in range(len(self.both)):
            part = holds[:, ends[number] : ends[number + 1]]
            bad = part[:, flags[ends[number] : ends[number + 1]]]
            self.both[number] += part @ part.T
            self.failed[number] += bad @ bad.T
        self.totals += np.bincount(block, minlength=len(self.both)), np.bincount(block[flags], minlength=len(self.both))
        self.seen = len(tables)


def pairs(counts: PairCounts, evidence: Evidence, least: int, lone: Array) -> tuple[list[Candidate], int]:
    """Candidates of two predicates, and how many questions were asked. `lone`: see `evidence.assess`, for each predicate."""
    import numpy as np

    place = np.array([one.place for one in counts.predicates])
    a, b = np.triu_indices(len(place), 1)
    apart = place[a] != place[b]
    a, b = a[apart], b[apart]
    n11, f11 = counts.both[:, a, b].T, counts.failed[:, a, b].T
    size = n11.sum(1) * counts.step
    own = np.einsum("kii->ik", counts.both), np.einsum("kii->ik", counts.failed)
    alone = np.minimum(own[0].sum(1)[a], own[0].sum(1)[b]) * counts.step - size
    tried = (size >= least) & (alone >= least)
    a, b, n11, f11 = a[tried], b[tried], n11[tried].astype("f8"), f11[tried].astype("f8")
    if len(a) == 0:
        return [], 0
    against = [
        (own[0][a] - n11, own[1][a] - f11),
        (own[0][b] - n11, own[1][b] - f11),
        (counts.totals[0] - n11, counts.totals[1] - f11),
    ]
    beyond = _interaction(n11, f11, against)
    weights = _weights(counts.predicates)
    asked = weights[a] * weights[b]
    questions = max(1, round(float(asked.sum())))
    worth = _worth_asking(asked, _strong(own, counts.totals), a, b)
    near = np.flatnonzero(_promising(n11, f11, against) & (beyond >= WORTH_TESTING))
    found = [(counts.predicates[i], counts.predicates[j]) for i, j in zip(a[near], b[near], strict=True)]
    compared = [(n11[near], f11[near]), *((n[near], f[near]) for n, f in against)]
    assert evidence.priors is not None
    known = _Known(evidence.priors, questions, np.fmin(lone[a[near]], lone[b[near]]), worth[near])
    return _paired(found, compared, beyond[near], known), questions


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of all pairs: the priors of single predicates, how many questions there are, which are like no others, their weights."""

    priors: tuple[Prior, Prior]
    questions: int
    lone: Array
    worth: Array


def _strong(own: tuple[Array, Array], totals: Array) -> Array:
    """Which single predicates go with the target at least a little, by a plain z."""
    import numpy as np

    n1, f1 = own[0].sum(1), own[1].sum(1)
    n0, f0 = totals[0].sum() - n1, totals[1].sum() - f1
    pooled = totals[1].sum() / max(totals[0].sum(), 1)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1)), 1e-12))
    result: Array = np.abs(f1 / np.maximum(n1, 1) - f0 / np.maximum(n0, 1)) >= STRONG * spread
    return result


def _worth_asking(asked: Array, strong: Array, a: Array, b: Array) -> Array:
    """The weight of each pair: those with a half that shows something have most of the attention, the others share the rest.

    Weights of mean 1 leave the rule of Benjamini and Hochberg what it is, if they do not know the answer (Genovese, Roeder and Wasserman 2006);
    and how a half does over all says nothing of how the pair differs from that half.
    """
    import numpy as np

    some = strong[a] | strong[b]
    of_some, every = float(asked[some].sum()), float(asked.sum())
    if not 0 < of_some < ATTENTION * every:
        return np.ones(len(a))
    return np.where(some, ATTENTION * every / of_some, (1 - ATTENTION) * every / (every - of_some))


def _weights(predicates: Sequence[Predicate]) -> Array:
    """How many questions each predicate is in a pair: those of one scale share what they are together."""
    import numpy as np

    alike = Counter(one.question for one in predicates)
    return np.array([one.tries / alike[one.question] if one.tries < alike[one.question] else 1.0 for one in predicates])


def for_pairs(predicates: Sequence[Predicate], evidence: Evidence) -> list[Predicate]:
    """Which predicates are paired: of the attributes with most evidence, a few levels each, known before the start."""
    import numpy as np

    by_attribute: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(predicates):
        if one.attribute.phase is Phase.BEFORE and one.value is not None and one.attribute.name != PREVIOUS:
            by_attribute[one.place].append(i)
    strength = np.abs(evidence.z)
    order = sorted(by_attribute.values(), key=lambda those: -max(strength[i] for i in those))[:MOST_ATTRIBUTES]
    chosen: list[int] = []
    for those in order:
        chosen += _some(those, predicates, strength)
    return [predicates[i] for i in sorted(chosen[:MOST_PREDICATES])]


def _some(those: list[int], predicates: Sequence[Predicate], strength: Array) -> list[int]:
    """A few predicates of one attribute: the strongest levels, or cuts and windows spread over the scale."""
    attribute = predicates[those[0]].attribute
    if attribute.scale is Scale.HOURS:
        return [i for i in those if len(predicates[i].members) in {3, 6} and predicates[i].members[0] % 3 == 0]
    if attribute.scale is Scale.ORDERED:
        step = max(1, -(-len(those) // MOST_LEVELS))
        if step == 1:
            return those
        cuts = list(dict.fromkeys(predicates[i].value for i in those))
        kept = set(cuts[:: max(1, -(-len(cuts) * 2 // MOST_LEVELS))])
        return [i for i in those if predicates[i].value in kept]
    return sorted(those, key=lambda i: -strength[i])[:MOST_LEVELS]


def _promising(n11: Array, f11: Array, against: list[tuple[Array, Array]]) -> Array:
    """Which pairs differ from each of their three comparisons in one direction, by a plain z worth a closer look."""
    import numpy as np

    n, f = n11.sum(1), f11.sum(1)
    zs = []
    for other_n, other_f in against:
        m, g = other_n.sum(1), other_f.sum(1)
        pooled = (f + g) / (n + m)
        spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n + 1 / np.maximum(m, 1)), 1e-12))
        zs.append((f / n - g / np.maximum(m, 1)) / spread)
    low: Array = np.minimum.reduce(zs)
    high: Array = np.maximum.reduce(zs)
    return (low >= WORTH_TESTING) | (high <= -WORTH_TESTING)


def _interaction(n11: Array, f11: Array, against: list[tuple[Array, Array]]) -> Array:
    """By how much (z) each pair is more than the sum of its halves, in the direction of its effect; 0 where that is a small part of it.

    Two patterns that each hold alone are told alone.
    """
    import numpy as np

    (n10, f10), (n01, f01), (rest_n, rest_f) = [(n.sum(1), f.sum(1)) for n, f in against]
    cells = [(n11.sum(1), f11.sum(1)), (n10, f10), (n01, f01), (rest_n - n10 - n01, rest_f - f10 - f01)]
    rates = [f / np.maximum(n, 1) for n, f in cells]
    soft = [(f + 0.5) / (n + 1) for n, f in cells]
    spread = np.sqrt(sum(rate * (1 - rate) / np.maximum(n, 1) for rate, (n, _) in zip(soft, cells, strict=True)))
    effect = rates[0] - rest_f / np.maximum(rest_n, 1)
    beyond = (rates[0] - rates[1] - rates[2] + rates[3]) * np.sign(effect)
    return np.where(beyond >= LEAST_INTERACTION * np.abs(effect), beyond / spread, 0.0)


def _paired(
    pairs: Sequence[tuple[Predicate, Predicate]],
    compared: Sequence[tuple[Array, Array]],
    beyond: Array,
    known: _Known,
) -> list[Candidate]:
    """`compared`: tasks and those with the target by block, of the pair, of its first half alone, of its second half alone, of all others."""
    import numpy as np

    tried = known.questions
    if not pairs:
        return []
    (n11, f11), *others = compared
    expected = expected_by(known.priors, *([pair[half].attribute.name for pair in pairs] for half in (0, 1)))
    # Against its halves a pair has few tasks a block; that it is not the time is told by all others.
    judged = [
        assess(n11, f11, n, f, expected, lone=known.lone, within=place == len(others) - 1)
        for place, (n, f) in enumerate(others)
    ]
    z, log_p, plain = (np.array([getattr(one, what) for one in judged]) for what in ("z", "log_p", "plain"))
    same = (np.sign(z) == np.sign(z[0])).all(0) & (z[0] != 0)
    rate = f11.sum(1) / n11.sum(1)
    worth = same & np.logical_and.reduce([worth_telling(rate, f.sum(1) / np.maximum(n.sum(1), 1)) for n, f in others])
    p, plain_p = np.exp(log_p.max(0)), np.exp(plain_log_p(np.abs(plain).min(0)))
    q, plain_q = (adjusted(np.where(same, np.minimum(each / known.worth, 1), 1.0), tried) for each in (p, plain_p))
    rest = judged[-1]
    return [
        Candidate(pair, float(rest.z[i]), float(p[i]), float(q[i]) if worth[i] else 1.0, float(plain_q[i]) if worth[i] else 1.0,
                  float(rest.inflation[i]), float(rest.difference[i]), float(beyond[i] / np.sqrt(rest.inflation[i])),
                  weight=float(known.worth[i]))
        for i, pair in enumerate(pairs)
    ]  # fmt: skip
