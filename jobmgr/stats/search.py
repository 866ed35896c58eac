"""The search: which predicates, and which pairs of them, go with the target, beyond chance and bursts.

Singles: every predicate against all other tasks, from the tables. Pairs: counted in a sample by one matrix product a block, each against its two
halves and the rest, the worst counting: a pair must say more than each of its parts. An ordered attribute is one question whose best cut is paid
for; singles and pairs are two layers, each with Benjamini and Hochberg's rule. What is claimed has passed the rotation test besides.

Sources: Webb 2007, doi 10.1007/s10994-007-5006-x (productive patterns); Benjamini and Hochberg 1995; layers after Webb 2008.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobmgr.stats import blocks
from jobmgr.stats.attributes import Phase, Scale
from jobmgr.stats.evidence import Evidence, Prior, assess, expected_by
from jobmgr.stats.predicates import Predicate, membership, of_attributes
from jobmgr.stats.rotation import rotates, rotation, z_of
from jobmgr.stats.source_nodes import NO_RIVALS, PREVIOUS
from jobmgr.stats.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FDR = 0.05
TURNED_FDR = 0.01
BURSTY_Q, BURSTY_Z = 0.001, 2.0
"""What is told as bursty is far beyond chance if tasks were independent, and not nothing if they are not."""
LEAST_DIFFERENCE = 0.02
SMALL_DIFFERENCE, LEAST_RATIO = 0.005, 1.5
"""An effect is worth telling when it is two points, or half a point and half as much again."""
PAIR_ATTRIBUTES, PAIR_LEVELS, PAIR_PREDICATES = 32, 12, 280
PAIR_SAMPLE = 60_000
PAIR_BLOCKS = 16
TRIES = 1000
LEAST_INTERACTION = 0.3
"""So much of a pair's effect is its own, and not the sum of what its halves do alone."""
WORTH_TESTING = 2.0
"""A pair whose plain z is less is not looked at closer; it is counted as tried."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pattern with evidence: one or two predicates."""

    predicates: tuple[Predicate, ...]
    z: float
    """Robust; positive: the target is more frequent."""
    p: float
    q: float
    plain_q: float
    """What q would be if tasks were independent."""
    inflation: float
    difference: float
    interaction: float = 0.0
    """Of a pair: z of what is more than the sum of its halves, robust."""
    turned_q: float = 0.0
    """q by the rotation test, which knows the bursts of this history; 0 for what follows the clock, which it cannot judge."""

    @property
    def significant(self) -> bool:
        """Beyond chance and bursts."""
        return self.q <= FDR and self.turned_q <= TURNED_FDR


@dataclass(frozen=True, slots=True)
class Search:
    """What the search tried and found."""

    candidates: list[Candidate]
    hypotheses: int
    blocks: int
    inflation: float
    """The usual one here."""
    priors: tuple[Prior, Prior] | None = None
    """What inflation is usual here, overall and within blocks; None: nothing was tried."""


def search(tables: Tables, least: int) -> Search:
    """Look through these tables; a pattern has at least `least` tasks on either side."""
    import numpy as np

    if not tables.blocks or not tables.attributes or not 0 < int(tables.totals[:, 1].sum()) < len(tables):
        return Search([], 0, 0, 1.0)
    predicates = of_attributes(tables.attributes)
    counts = np.tensordot(membership(predicates, tables.offsets), tables.counts, 1)
    counts, totals = _with_long_blocks(counts, tables.totals)
    n1, f1 = counts.sum(2), counts[..., 1]
    size = n1.sum(1)
    usable = (size >= least) & (size <= len(tables) - least)
    predicates = [one for one, good in zip(predicates, usable, strict=True) if good]
    n1, f1 = n1[usable], f1[usable]
    if not predicates:
        return Search([], 0, n1.shape[1], 1.0)
    total, failed = totals.sum(1), totals[:, 1]
    kinds = [one.attribute.name for one in predicates]
    evidence = assess(n1, f1, total - n1, failed - f1, kinds, lone=_clocked(predicates, tables.days))
    singles = _judged(predicates, evidence, _worth(n1, f1, total, failed))
    singles = [_beside_rivals(tables, one) if one.predicates[0].attribute.name == PREVIOUS else one for one in singles]
    pairs, tried = _pairs(tables, predicates, evidence, least, n1.shape[1])
    assert evidence.priors is not None
    found = _turned(tables, predicates, singles, pairs, tried)
    questions = len({one.question for one in predicates})
    return Search(found, questions + tried, n1.shape[1], evidence.priors[0].usual, evidence.priors)


def _clocked(predicates: Sequence[Predicate], days: float) -> Array:
    """Degrees of freedom of what follows the clock: a day is one witness of its hours, a week of its days. NaN for all else."""
    import numpy as np

    witnesses = {"submit.hour": days, "submit.weekday": days / 7}
    return np.array([witnesses.get(one.attribute.name, np.nan) - 1 for one in predicates])


def _with_long_blocks(counts: Array, totals: Array) -> tuple[Array, Array]:
    """Halve the number of blocks as long as neighbours are alike."""
    while counts.shape[1] >= 2 * blocks.FEWEST:
        n, f = counts.sum(2), counts[..., 1]
        rate = f.sum(1, keepdims=True) / n.sum(1, keepdims=True).clip(1)
        if blocks.alike(f - rate * n) <= blocks.ALIKE:
            break
        counts = blocks.halved(counts.swapaxes(1, 2)).swapaxes(1, 2)
        totals = blocks.halved(totals.T).T
    return counts, totals


def _turned(
    tables: Tables,
    predicates: Sequence[Predicate],
    singles: Sequence[Candidate],
    pairs: Sequence[Candidate],
    tried: int,
) -> list[Candidate]:
    """The candidates with their q by the rotation test; without those that nothing speaks for."""
    import numpy as np

    test, z = rotation(tables, predicates)
    close = [
        place
        for place, one in enumerate(singles)
        if one.q <= FDR or (one.plain_q <= BURSTY_Q and abs(one.z) >= BURSTY_Z)
    ]
    judged = np.nan_to_num(np.abs(z[close]))
    rank = np.array([(judged >= own).sum() for own in judged])
    turned = test.expected(judged) / np.maximum(rank, 1)
    found = [
        replace(singles[place], turned_q=0.0 if np.isnan(z[place]) else float(q))
        for place, q in zip(close, turned, strict=True)
    ]
    near = [one for one in pairs if one.q <= FDR]
    rotating = [one for one in near if rotates(one.predicates)]
    z2 = np.abs(z_of(test, [tables.matching(one.predicates, test.step) for one in rotating]))
    rank2 = np.array([(z2 >= own).sum() for own in z2])
    turned2 = test.expected(z2) * max(1.0, tried / max(test.questions, 1)) / np.maximum(rank2, 1)
    found += [replace(one, turned_q=float(q)) for one, q in zip(rotating, turned2, strict=True)]
    return found + [one for one in near if not rotates(one.predicates)]


def _worth(n1: Array, f1: Array, total: Array, failed: Array) -> Array:
    """Whether each difference is large enough to be told."""
    import numpy as np

    n, f, all_n, all_f = n1.sum(1), f1.sum(1), total.sum(), failed.sum()
    rate, other = f / n, (all_f - f) / np.maximum(all_n - n, 1)
    return worth_telling(rate, other)


def worth_telling(rate: Array, other: Array) -> Array:
    """Whether two rates differ by two points, or by half a point where one is half as large again."""
    import numpy as np

    difference = np.abs(rate - other)
    ratio = np.maximum(rate, other) / np.maximum(np.minimum(rate, other), 1e-9)
    result: Array = (difference >= LEAST_DIFFERENCE) | ((difference >= SMALL_DIFFERENCE) & (ratio >= LEAST_RATIO))
    return result


def _judged(predicates: Sequence[Predicate], evidence: Evidence, worth: Array) -> list[Candidate]:
    """Candidates of single predicates, with q over questions; of each question the best only, but for nominal ones."""
    import numpy as np

    tries = np.array([one.tries for one in predicates])
    p = np.minimum(np.exp(evidence.log_p) * tries, 1.0)
    plain = np.minimum(np.exp(_plain_log_p(evidence.plain)) * tries, 1.0)
    backwards = np.array([one.attribute.phase is Phase.RUNTIME for one in predicates]) & (evidence.z < 0)
    p[backwards], plain[backwards] = 1.0, 1.0
    best: dict[int, int] = {}
    for place, one in enumerate(predicates):
        if one.question not in best or _better(evidence, place, best[one.question]):
            best[one.question] = place
    chosen = np.array(sorted(best.values()))
    q, plain_q = np.ones(len(p)), np.ones(len(p))
    q[chosen], plain_q[chosen] = adjusted(p[chosen]), adjusted(plain[chosen])
    q[~worth], plain_q[~worth] = 1.0, 1.0
    return [
        Candidate(
            (one,), float(evidence.z[i]), float(p[i]), float(q[i]), float(plain_q[i]),
            float(evidence.inflation[i]), float(evidence.difference[i]),
        )
        for i, one in enumerate(predicates)
    ]  # fmt: skip


def _better(evidence: Evidence, one: int, other: int) -> bool:
    """Of one question: more evidence; where it is the same statement turned round, that about the tasks that have the target more often."""
    first, second = (round(float(evidence.log_p[place]), 1) for place in (one, other))
    return first < second or (first == second and evidence.z[one] > 0 > evidence.z[other])


def _beside_rivals(tables: Tables, one: Candidate) -> Candidate:
    """What the last job on a node tells beyond the jobs that ended beside it elsewhere: a burst of failures everywhere is not the node's."""
    import numpy as np

    known = tables.rivals != NO_RIVALS
    crashed = tables.matching(one.predicates)[known] == (one.predicates[0].value == "crashed")
    flags, block = tables.flags[known], tables.block[known]
    if len(flags) == 0:
        return replace(one, q=1.0, plain_q=1.0)
    told = (flags - flags.mean()) * (crashed - tables.rivals[known] / 2)
    by_block = np.bincount(block, told)
    spread = float(np.sqrt(max((told**2).sum(), (by_block**2).sum(), 1e-9)))
    z = float(told.sum()) / spread * (1 if one.predicates[0].value == "crashed" else -1)
    if abs(z) >= abs(one.z) and z * one.z > 0:
        return one
    p = float(np.exp(_plain_log_p(np.array([z])))[0]) if z * one.z > 0 else 1.0
    # There are few such questions, so each is paid for as if it were all.
    q = min(1.0, p * TRIES)
    return replace(one, z=z, p=p, q=q, plain_q=q)


def _plain_log_p(z: Array) -> Array:
    import numpy as np
    from scipy import special

    result: Array = np.log(2) + special.log_ndtr(-np.abs(z))
    return result


def adjusted(p: Array, tried: int | None = None) -> Array:
    """Give the q of each p (Benjamini–Hochberg); `tried`: how many there were in all, those not given having p = 1."""
    import numpy as np
    from scipy import stats

    if len(p) == 0:
        return p
    q: Array = stats.false_discovery_control(p)
    return np.minimum(q * ((tried or len(p)) / len(p)), 1.0)


# --- pairs


def _pairs(
    tables: Tables, predicates: Sequence[Predicate], evidence: Evidence, least: int, many: int
) -> tuple[list[Candidate], int]:
    """Candidates of two predicates, and how many were tried."""
    import numpy as np

    chosen = _for_pairs(predicates, evidence)
    if len(chosen) < 2:
        return [], 0
    step = max(1, len(tables) // PAIR_SAMPLE)
    both, failed, ends = _gram(tables, [predicates[i] for i in chosen], step, min(many, PAIR_BLOCKS))
    place = np.array([predicates[i].place for i in chosen])
    a, b = np.triu_indices(len(chosen), 1)
    apart = place[a] != place[b]
    a, b = a[apart], b[apart]
    n11, f11 = both[:, a, b].T, failed[:, a, b].T
    size = n11.sum(1) * step
    own = np.einsum("kii->ik", both), np.einsum("kii->ik", failed)
    alone = (own[0].sum(1)[a] * step - size >= least) & (own[0].sum(1)[b] * step - size >= least)
    tried = (size >= least) & alone
    a, b, n11, f11 = a[tried], b[tried], n11[tried].astype("f8"), f11[tried].astype("f8")
    if len(a) == 0:
        return [], 0
    total, total_failed = ends
    against = [
        (own[0][a] - n11, own[1][a] - f11),
        (own[0][b] - n11, own[1][b] - f11),
        (total - n11, total_failed - f11),
    ]
    beyond = _interaction(n11, f11, against)
    weights = _weights([predicates[i] for i in chosen])
    questions = max(1, round(float((weights[a] * weights[b]).sum())))
    near = np.flatnonzero(_promising(n11, f11, against) & (beyond >= WORTH_TESTING))
    pairs = [(predicates[chosen[i]], predicates[chosen[j]]) for i, j in zip(a[near], b[near], strict=True)]
    compared = [(n11[near], f11[near]), *((n[near], f[near]) for n, f in against)]
    assert evidence.priors is not None
    return _paired(pairs, compared, beyond[near], (evidence.priors, questions)), questions


def _weights(predicates: Sequence[Predicate]) -> Array:
    """How many questions each predicate is in a pair: those of one scale share what they are together."""
    import numpy as np

    alike = Counter(one.question for one in predicates)
    return np.array([one.tries / alike[one.question] if one.tries < alike[one.question] else 1.0 for one in predicates])


def _for_pairs(predicates: Sequence[Predicate], evidence: Evidence) -> list[int]:
    """Which predicates are paired: of the attributes with most evidence, a few levels each, known before the start."""
    import numpy as np

    by_attribute: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(predicates):
        if one.attribute.phase is Phase.BEFORE and one.value is not None and one.attribute.name != PREVIOUS:
            by_attribute[one.place].append(i)
    strength = np.abs(evidence.z)
    order = sorted(by_attribute.values(), key=lambda those: -max(strength[i] for i in those))[:PAIR_ATTRIBUTES]
    chosen: list[int] = []
    for those in order:
        chosen += _some(those, predicates, strength)
    return sorted(chosen[:PAIR_PREDICATES])


def _some(those: list[int], predicates: Sequence[Predicate], strength: Array) -> list[int]:
    """A few predicates of one attribute: the strongest levels, or cuts and windows spread over the scale."""
    attribute = predicates[those[0]].attribute
    if attribute.scale is Scale.HOURS:
        return [i for i in those if len(predicates[i].members) in {3, 6} and predicates[i].members[0] % 3 == 0]
    if attribute.scale is Scale.ORDERED:
        step = max(1, -(-len(those) // PAIR_LEVELS))
        if step == 1:
            return those
        cuts = list(dict.fromkeys(predicates[i].value for i in those))
        kept = set(cuts[:: max(1, -(-len(cuts) * 2 // PAIR_LEVELS))])
        return [i for i in those if predicates[i].value in kept]
    return sorted(those, key=lambda i: -strength[i])[:PAIR_LEVELS]


def _gram(
    tables: Tables, predicates: Sequence[Predicate], step: int, most: int
) -> tuple[Array, Array, tuple[Array, Array]]:
    """How many tasks of a sample match each two predicates, by block: all, and those with the target; and the totals by block."""
    import numpy as np

    flags, block = tables.flags[::step], tables.block[::step]
    long = block.astype("i8") * most // tables.blocks
    ends = np.searchsorted(long, np.arange(most + 1))
    size = len(predicates)
    holds = np.empty((size, len(flags)), "f4")
    for row, predicate in enumerate(predicates):
        holds[row] = tables.matching([predicate], step)
    both, failed = np.empty((most, size, size), "f4"), np.empty((most, size, size), "f4")
    for number in range(most):
        part = holds[:, ends[number] : ends[number + 1]]
        bad = part[:, flags[ends[number] : ends[number + 1]]]
        both[number], failed[number] = part @ part.T, bad @ bad.T
    total = np.diff(ends)
    total_failed = np.add.reduceat(np.append(flags, False).astype("i8"), ends[:-1]) * (total > 0)
    return both, failed, (total, total_failed)


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
    known: tuple[tuple[Prior, Prior], int],
) -> list[Candidate]:
    """`compared`: tasks and those with the target by block, of the pair, of its first half alone, of its second half alone, of all others.

    `known`: the priors of single predicates, and how many pairs were tried.
    """
    import numpy as np

    priors, tried = known
    if not pairs:
        return []
    (n11, f11), *others = compared
    expected = expected_by(priors, *([pair[half].attribute.name for pair in pairs] for half in (0, 1)))
    judged = [assess(n11, f11, n, f, expected) for n, f in others]
    z, log_p, plain = (np.array([getattr(one, what) for one in judged]) for what in ("z", "log_p", "plain"))
    same = (np.sign(z) == np.sign(z[0])).all(0) & (z[0] != 0)
    rate = f11.sum(1) / n11.sum(1)
    worth = same & np.logical_and.reduce([worth_telling(rate, f.sum(1) / np.maximum(n.sum(1), 1)) for n, f in others])
    p, plain_p = np.exp(log_p.max(0)), np.exp(_plain_log_p(np.abs(plain).min(0)))
    q, plain_q = adjusted(np.where(same, p, 1.0), tried), adjusted(np.where(same, plain_p, 1.0), tried)
    rest = judged[-1]
    return [
        Candidate(pair, float(rest.z[i]), float(p[i]), float(q[i]) if worth[i] else 1.0, float(plain_q[i]) if worth[i] else 1.0,
                  float(rest.inflation[i]), float(rest.difference[i]), float(beyond[i] / np.sqrt(rest.inflation[i])))
        for i, pair in enumerate(pairs)
    ]  # fmt: skip
