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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True)
class Prior:
    """What inflation is usual here: `inflation` with the weight of `blocks` blocks."""

    inflation: float = 1.0
    blocks: float = MOST_PRIOR


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
    priors: tuple[Prior, Prior]
    """Of the two contrasts."""


def assess(
    n1: Array,
    f1: Array,
    n0: Array,
    f0: Array,
    *,
    priors: tuple[Prior, Prior] | None = None,
    lone: Array | None = None,
) -> Evidence:
    """The evidence of each row. `priors`: those of another set of hypotheses over the same blocks; None: fitted to these.

    `lone`: hypotheses that are not like the others, so that their own variance is not believed to be less than it seems.
    """
    import numpy as np

    overall, within = _overall(n1, f1, n0, f0), _within(n1, f1, n0, f0)
    blocks = n1.shape[1]
    if priors is None:
        priors = _fitted(overall.ratio, blocks), _fitted(within.ratio, blocks)
    inflations = [_moderated(one.ratio, blocks, prior) for one, prior in zip((overall, within), priors, strict=True)]
    if lone is not None:
        for one, inflation in zip((overall, within), inflations, strict=True):
            inflation[lone] = np.fmax(inflation[lone], one.ratio[lone])
    both = [one.z / np.sqrt(inflation) for one, inflation in zip((overall, within), inflations, strict=True)]
    agree = np.sign(both[0]) == np.sign(both[1])
    weaker = np.abs(both[0]) <= np.abs(both[1])
    z = np.where(agree, np.where(weaker, both[0], both[1]), 0.0)
    freedom = np.where(weaker, priors[0].blocks, priors[1].blocks) + blocks - 1
    return Evidence(overall.difference, overall.z, z, log_two_sided(z, freedom), inflations[0], priors)


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
    """Log of the one-sided mid-p of Fisher's exact test, on the side that was seen: half of what is just so extreme counts."""
    import numpy as np
    from scipy import stats

    more = f1 / n1 >= f / n
    law = stats.hypergeom(n, f, n1)
    beyond = np.where(more, law.sf(f1), law.cdf(f1 - 1))
    p = beyond + 0.5 * law.pmf(f1)
    result: Array = np.log(np.clip(p, 1e-300, 1.0))
    return result


def _fitted(ratio: Array, blocks: int) -> Prior:
    """The prior of the ratios that are usual, by the moments of their logarithms."""
    import numpy as np
    from scipy import special

    usable = ratio[np.isfinite(ratio) & (ratio > 1e-6)]
    if len(usable) < 10 or blocks < 4:
        return Prior()
    half = (blocks - 1) / 2
    logs = np.log(usable) - special.digamma(half) + np.log(half)
    spread = float(logs.var(ddof=1)) - float(special.polygamma(1, half))
    weight = MOST_PRIOR if spread <= 0 else 2 * _inverse_trigamma(spread)
    weight = min(max(weight, LEAST_PRIOR), MOST_PRIOR)
    usual = float(np.exp(logs.mean() + special.digamma(weight / 2) - np.log(weight / 2)))
    return Prior(max(usual, 1.0), weight)


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


def _moderated(ratio: Array, blocks: int, prior: Prior) -> Array:
    import numpy as np

    own = np.where(np.isfinite(ratio), ratio, prior.inflation)
    moderated = (prior.blocks * prior.inflation + (blocks - 1) * own) / (prior.blocks + blocks - 1)
    return np.maximum(moderated, np.sqrt(prior.inflation))
