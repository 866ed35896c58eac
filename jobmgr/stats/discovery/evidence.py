"""How much evidence there is that two groups of tasks fail differently, when failures come in bursts.

All arrays are (hypotheses × blocks of time): `n1`, `f1` tasks and failures of those that match, `n0`, `f0` of those they are compared with.
Two contrasts are made of each. *Overall*: the difference of the two rates. *Within blocks*: against what was going on at the same time
(Mantel–Haenszel with the blocks as strata). For each, the plain variance of independent tasks is multiplied by an inflation: what the blocks really
vary (a sandwich over blocks with Newey–West weights, because a burst does not end where a block does), moderated by an empirical-Bayes prior
that is fitted to all hypotheses, because a dozen blocks say little about one alone. The weaker of the two contrasts counts.

Sources: Mantel and Haenszel 1959; Newey and West 1987; Bell and McCaffrey 2002 (leverage); Smyth 2004, doi 10.2202/1544-6115.1027 (moderation,
`fitFDist` of limma).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.blocks import halved

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LAGS = 2
LEAST_PRIOR, MOST_PRIOR = 2.0, 100.0
"""The weight of the prior, in blocks, stays within this."""
SMALL_CELL = 10
"""Below so many expected tasks in a cell of the fourfold table the exact test takes the place of the normal one."""
WORTH_EXACT = 1.6
"""What is not even near to evidence needs no exact test."""
LEAST_LEVERAGE_LEFT = 0.1
MOST_TERMS = 2000
"""A tail of the exact test is summed up to so many terms; it is far below any other by then."""
FEWEST_WITHIN, ENOUGH_WITHIN = 4, 40
"""Where a block has fewer tasks, its neighbours are taken together; but some blocks stay."""
FEW_HYPOTHESES = 10
"""From fewer nothing is learnt about what is usual."""
KIN = 3.0
"""A kind's own mean counts as much as that of all when it has so many hypotheses."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What inflation is usual among hypotheses of one kind: `1 + slope × size`, as where tasks of a block go the same way."""

    slope: float = 0.0
    """More inflation for each further task a block."""
    weight: float = MOST_PRIOR
    """How many degrees of freedom this is worth."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What inflation is usual here, by kind of hypothesis."""

    every: Kind = Kind()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    usual: float = 1.0
    """The mean over kinds."""

    def of(self, kinds: Sequence[str], size: Array) -> tuple[Array, Array]:
        """The usual inflation of hypotheses of these kinds and sizes, and its weight."""
        import numpy as np

        found = [self.kinds.get(kind, self.every) for kind in kinds]
        slopes, weights = np.array([one.slope for one in found]), np.array([one.weight for one in found])
        return np.maximum(1 + slopes * size, 1.0), weights


Expected = Callable[[int, "Array"], tuple["Array", "Array"]]
"""Gives inflation and weight, overall (0) and within blocks (1), for hypotheses of these sizes."""


def expected_by(priors: tuple[Prior, Prior], *kinds: Sequence[str]) -> Expected:
    """What priors tell; of hypotheses with several kinds, that with the larger inflation."""
    import numpy as np

    def expected(contrast: int, size: Array) -> tuple[Array, Array]:
        found = [priors[contrast].of(each, size) for each in kinds]
        return np.maximum.reduce([one[0] for one in found]), np.minimum.reduce([one[1] for one in found])

    return expected


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry a hypothesis."""

    difference: Array
    """Failure rate of the matching ones minus that of the others."""
    plain: Array
    """z of independent tasks."""
    z: Array
    """z of the weaker contrast, with its inflation."""
    log_p: Array
    """Natural logarithm of the two-sided probability of such a z, by Student's t."""
    inflation: Array
    """By which factor the variance of the difference is larger than that of independent tasks; at least 1."""
    priors: tuple[Prior, Prior] | None
    """Of the two contrasts, where they were fitted."""


def assess(
    n1: Array,
    f1: Array,
    n0: Array,
    f0: Array,
    known: Expected | Sequence[str],
    *,
    lone: Array | None = None,
    within: bool = True,
) -> Evidence:
    """The evidence of each row. `known`: what inflation to expect, or the kind of each hypothesis, and it is learnt from these.

    `lone`: the degrees of freedom of hypotheses that are not like any others, so that their own variance is not believed to be less than it
    seems; NaN for all others. `within`: whether the contrast within blocks counts, too.
    """
    import numpy as np

    long = _long_enough(n1, f1, n0, f0)
    contrasts = _overall(n1, f1, n0, f0), _within(*long)
    blocks = n1.shape[1], long[0].shape[1]
    smaller = np.minimum(n1.sum(1), n0.sum(1))
    priors = None
    if not callable(known):
        of_all, of_blocks = (
            _learnt(one.ratio, smaller / many, degrees(many), known)
            for one, many in zip(contrasts, blocks, strict=True)
        )
        priors = of_all, of_blocks
        known = expected_by(priors, known)
    zs, inflations, freedoms = [], [], []
    for number, (one, many) in enumerate(zip(contrasts, blocks, strict=True)):
        freedom = degrees(many)
        usual, weight = known(number, smaller / many)
        inflation = _moderated(one.ratio, freedom, usual, weight)
        if lone is not None:
            alone = np.isfinite(lone)
            inflation[alone] = np.fmax(inflation[alone], one.ratio[alone])
            weight = np.where(alone, np.maximum(lone, 1.0) - freedom, weight)
        zs.append(one.z / np.sqrt(inflation))
        inflations.append(inflation)
        freedoms.append(weight + freedom)
    weaker = np.abs(zs[0]) <= np.abs(zs[1]) if within else np.ones(len(n1), "?")
    z = np.where(weaker, *zs)
    if within:
        z = np.where(np.sign(zs[0]) == np.sign(zs[1]), z, 0.0)
    log_p = log_two_sided(z, np.where(weaker, *freedoms))
    return Evidence(contrasts[0].difference, contrasts[0].z, z, log_p, inflations[0], priors)


def log_two_sided(z: Array, freedom: Array) -> Array:
    """Log of the two-sided p of a t statistic; accurate far into the tail."""
    import numpy as np
    from scipy import stats

    result: Array = np.minimum(np.log(2) + stats.t.logsf(np.abs(z), freedom), 0.0)
    return result


@dataclass(frozen=True, slots=True)
class _Contrast:
    difference: Array
    z: Array
    """Of independent tasks."""
    ratio: Array
    """Variance over blocks by variance of independent tasks; NaN where there is nothing to tell it from."""


def _overall(n1: Array, f1: Array, n0: Array, f0: Array) -> _Contrast:
    import numpy as np

    total1, total0 = np.maximum(n1.sum(1), 1), np.maximum(n0.sum(1), 1)
    fail1, fail0 = f1.sum(1), f0.sum(1)
    rate1, rate0 = fail1 / total1, fail0 / total0
    scores = _residuals(n1, f1, rate1, total1) - _residuals(n0, f0, rate0, total0)
    soft1, soft0 = (fail1 + 0.5) / (total1 + 1), (fail0 + 0.5) / (total0 + 1)
    plain = soft1 * (1 - soft1) / total1 + soft0 * (1 - soft0) / total0
    z = _fourfold_z(total1, fail1, total0, fail0)
    return _Contrast(rate1 - rate0, z, _long_run(scores) / plain)


def _residuals(n: Array, f: Array, rate: Array, total: Array) -> Array:
    """What each block adds to the error of the rate; a block that holds much of all fits itself, which is set right."""
    import numpy as np

    left = np.maximum(1 - n / total[:, None], LEAST_LEVERAGE_LEFT)
    result: Array = (f - rate[:, None] * n) / total[:, None] / np.sqrt(left)
    return result


def _long_enough(*counts: Array) -> list[Array]:
    """The counts over so few blocks that a block has enough tasks to compare within it."""
    n1, _, n0, _ = counts
    several = list(counts)
    tasks = float((n1 + n0).sum(1).mean()) if len(n1) else 0.0
    while several[0].shape[1] > FEWEST_WITHIN and tasks < ENOUGH_WITHIN * several[0].shape[1]:
        several = [halved(each) for each in several]
    return several


def _within(n1: Array, f1: Array, n0: Array, f0: Array) -> _Contrast:
    import numpy as np

    n, f = n1 + n0, f1 + f0
    some = np.maximum(n, 1)
    scores, weights = f1 - n1 * f / some, n1 * n0 / some
    weight = np.maximum(weights.sum(1), 1e-9)
    difference = scores.sum(1) / weight
    variance = (n1 * n0 * f * (n - f) / some**2 / np.maximum(n - 1, 1)).sum(1)
    left = np.maximum(1 - weights / weight[:, None], LEAST_LEVERAGE_LEFT)
    errors = (scores - difference[:, None] * weights) / np.sqrt(left)
    known = variance > 1e-9
    safe = np.where(known, variance, 1.0)
    z = np.where(known, scores.sum(1) / np.sqrt(safe), 0.0)
    return _Contrast(difference, z, np.where(known, _long_run(errors) / safe, np.nan))


def _long_run(scores: Array) -> Array:
    """Variance of the sum of these scores over blocks, near blocks being alike; never less than half of what it is without that."""
    own = (scores**2).sum(1)
    total = own.copy()
    for lag in range(1, min(LAGS, scores.shape[1] - 1) + 1):
        total += 2 * (1 - lag / (LAGS + 1)) * (scores[:, lag:] * scores[:, :-lag]).sum(1)
    import numpy as np

    result: Array = np.maximum(total, own / 2)
    return result


def _fourfold_z(n1: Array, f1: Array, n0: Array, f0: Array) -> Array:
    """Give z of the difference of two rates, pooled; from the exact mid-p where a cell is small."""
    import numpy as np
    from scipy import special

    n, f = n1 + n0, f1 + f0
    pooled = f / n
    variance = pooled * (1 - pooled) * (1 / n1 + 1 / n0)
    z = np.where(variance > 0, (f1 / n1 - f0 / n0) / np.sqrt(np.where(variance > 0, variance, 1)), 0.0)
    least = np.minimum(n1, n0) * np.minimum(pooled, 1 - pooled)
    small = (least < SMALL_CELL) & (np.abs(z) > WORTH_EXACT)
    if small.any():
        log_p = log_mid_p(f1[small], n1[small], f[small], n[small])
        exact = -special.ndtri_exp(np.minimum(log_p, np.log(0.5)))  # One side, so that its sign stays.
        z[small] = np.sign(z[small]) * np.maximum(exact, 0.0)
    return z


def log_mid_p(f1: Array, n1: Array, f: Array, n: Array) -> Array:
    """Log of the one-sided mid-p of Fisher's exact test, on the side that was seen: half of what is just so extreme counts.

    As scipy's hypergeometric law has it, by its recursion: that law sums each of a million terms, and holds up whoever shares the interpreter.
    """
    import numpy as np
    from scipy import special

    # Seen as few of the rarer outcome in the smaller group: the same table with rows or columns changed about.
    rare = 2 * f <= n
    k, marked = np.where(rare, f1, n1 - f1), np.where(rare, f, n - f)
    small = 2 * n1 <= n
    k, drawn = np.where(small, k, marked - k), np.where(small, n1, n - n1)
    low, high = np.maximum(0, drawn + marked - n), np.minimum(drawn, marked)
    ways = (
        _log_choose(special, marked, k) + _log_choose(special, n - marked, drawn - k) - _log_choose(special, n, drawn)
    )
    here = np.exp(ways)
    total, term, place = 0.5 * here, here, k.astype("f8")
    step = np.where(k * n >= drawn * marked, 1, -1)  # Outwards: away from what is expected.
    for _ in range(MOST_TERMS):
        up = (marked - place) * (drawn - place) / np.maximum((place + 1) * (n - marked - drawn + place + 1), 1)
        down = place * (n - marked - drawn + place) / np.maximum((marked - place + 1) * (drawn - place + 1), 1)
        term = term * np.where(step > 0, up, down)
        place = place + step
        term = np.where((place < low) | (place > high), 0.0, term)
        total = total + term
        if not (term > 1e-12 * total).any():
            break
    result: Array = np.log(np.clip(total, 1e-300, 1.0))
    return result


def _log_choose(special: Any, n: Array, k: Array) -> Array:
    result: Array = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return result


def degrees(blocks: int) -> float:
    """Degrees of freedom of a variance over blocks: the weights of neighbours cost some (Priestley 1981, 6.2.4)."""
    lags = min(LAGS, blocks - 1)
    return (blocks - 1) / (1 + 2 * sum((1 - lag / (LAGS + 1)) ** 2 for lag in range(1, lags + 1)))


def _learnt(ratio: Array, size: Array, freedom: float, kinds: Sequence[str]) -> Prior:
    """The prior of the ratios that are usual.

    What concerns one attribute is alike: where jobs of a name fail together, that is so for all names, and says nothing of nodes. So each kind has
    a slope of its own, drawn to that of all where it has few. It is learnt from the ratios themselves, not from their logarithms as in
    limma: bursts are rare and large, so that most hypotheses of a kind show less than what is to be expected. The weight follows from the
    spread of the logarithms about what the slope expects.
    """
    import numpy as np
    from scipy import special

    usable = np.isfinite(ratio) & (ratio > 1e-6)
    if usable.sum() < FEW_HYPOTHESES or freedom < 2:
        return Prior()
    ratio, size = ratio[usable], size[usable]
    places: dict[str, int] = {}
    kind = np.array([places.setdefault(each, len(places)) for each, good in zip(kinds, usable, strict=True) if good])
    names = list(places)
    counts = np.bincount(kind)
    excess, sizes = np.bincount(kind, ratio - 1), np.bincount(kind, size)
    every = float((excess / counts).sum() / (sizes / counts).sum())
    own_size = sizes / counts
    slopes = np.maximum((excess + KIN * every * own_size) / (sizes + KIN * own_size), 0.0)
    left = np.log(ratio) - np.log1p(slopes[kind] * size)
    left -= (np.bincount(kind, left) / counts)[kind]
    spread = np.bincount(kind, left**2)
    pooled = float(spread.sum()) / max(len(ratio) - len(names), 1)
    spreads = (spread + KIN * pooled) / (counts - 1 + KIN)
    weights = [_weight(float(each) - float(special.polygamma(1, freedom / 2))) for each in spreads]
    known = {name: Kind(float(slope), weight) for name, slope, weight in zip(names, slopes, weights, strict=True)}
    usual = float((np.bincount(kind, np.log1p(slopes[kind] * size)) / counts).mean())
    return Prior(Kind(max(every, 0.0), min(weights)), known, float(np.exp(usual)))


def _weight(spread: float) -> float:
    """Degrees of freedom of a prior from how much more the logarithms vary than they would with one true inflation."""
    weight = MOST_PRIOR if spread <= 0 else 2 * _inverse_trigamma(spread)
    return min(max(weight, LEAST_PRIOR), MOST_PRIOR)


def _inverse_trigamma(y: float) -> float:
    """By Newton's method on 1/trigamma, as in limma."""
    from scipy import special

    x = 0.5 + 1 / y
    for _ in range(50):
        value = float(special.polygamma(1, x))
        step = value * (1 - value / y) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def _moderated(ratio: Array, freedom: float, usual: Array, weight: Array) -> Array:
    import numpy as np

    own = np.where(np.isfinite(ratio), ratio, usual)
    moderated: Array = np.maximum((weight * usual + freedom * own) / (weight + freedom), np.sqrt(usual))
    return moderated
