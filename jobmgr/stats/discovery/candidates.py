"""A candidate: a pattern with its evidence, and when that is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.predicates import Predicate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FDR = 0.05
TURNED_FDR = 0.03
BURSTY_Q, BURSTY_Z = 0.001, 2.0
"""What is told as bursty is far beyond chance if tasks were independent, and not nothing if they are not."""
LEAST_DIFFERENCE = 0.02
SMALL_DIFFERENCE, LEAST_RATIO = 0.005, 1.5
"""An effect is worth telling when it is two points, or half a point and half as much again."""


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
    weight: float = 1.0
    """What counts among many is p / weight."""
    turned: float = 0.0
    """So many so extreme ones turning the outcomes makes (the rotation test, which knows the bursts of this history)."""
    turned_q: float = 0.0
    """That as a share of those that are at least so extreme."""

    @property
    def significant(self) -> bool:
        """Beyond chance and bursts."""
        return self.q <= FDR and self.turned_q <= TURNED_FDR


def worth_telling(rate: Array, other: Array) -> Array:
    """Whether two rates differ by two points, or by half a point where one is half as large again."""
    import numpy as np

    difference = np.abs(rate - other)
    ratio = np.maximum(rate, other) / np.maximum(np.minimum(rate, other), 1e-9)
    result: Array = (difference >= LEAST_DIFFERENCE) | ((difference >= SMALL_DIFFERENCE) & (ratio >= LEAST_RATIO))
    return result


def plain_log_p(z: Array) -> Array:
    """Log of the two-sided p of z, if tasks were independent."""
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


def turned_shares(turned: Array) -> Array:
    """For each number that turning makes: its share of those that are at least so extreme (as Benjamini and Hochberg's, by numbers)."""
    import numpy as np

    order = np.argsort(turned)
    shares = turned[order] / np.arange(1, len(turned) + 1)
    result = np.empty(len(turned))
    result[order] = np.minimum.accumulate(shares[::-1])[::-1]
    return result
