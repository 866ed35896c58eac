"""Levels of a number: where to cut it so that a person would say the cut aloud.

Few distinct values stand for themselves; many are cut at about equal shares, at round numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_EXACT = 24
QUANTILES = 16
TAILS = (0.01, 0.02, 0.98, 0.99)
"""Besides the even shares: what is rare may be what fails."""


def exact(values: Array) -> bool:
    """Whether these values are so few that each stands for itself."""
    import numpy as np

    return len(np.unique(values)) <= MOST_EXACT


def cuts(values: Array) -> list[float]:
    """Where to cut these known values: each cut c means `> c`. Ascending; empty where all are equal."""
    import numpy as np

    distinct = np.unique(values)
    if len(distinct) <= MOST_EXACT:
        return [float(value) for value in distinct[:-1]]
    shares = np.sort([*np.arange(1, QUANTILES + 1) / (QUANTILES + 1), *TAILS])
    quantiles = np.quantile(values, shares)
    gaps = np.minimum(np.diff(quantiles, prepend=-np.inf), np.diff(quantiles, append=np.inf))
    rounded = {_round(float(value), float(gap)) for value, gap in zip(quantiles, gaps, strict=True)}
    return sorted(cut for cut in rounded if distinct[0] <= cut < distinct[-1])


def _round(value: float, gap: float) -> float:
    """The shortest number that is nearer than a quarter of the way to the next one: of one or two digits, mostly."""
    for digits in range(1, 7):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= gap / 4:
            return short
    return float(f"{value:.6g}")
