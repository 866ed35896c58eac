"""Levels of a number: where to cut it so that a person would say the cut aloud.

Few distinct values stand for themselves; many are cut at about equal shares, at round numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from math import floor, log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_EXACT = 24
QUANTILES = 16
MANTISSAS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def cuts(values: Array) -> list[float]:
    """Where to cut these known values: each cut c means `> c`. Ascending; empty where all are equal."""
    import numpy as np

    distinct = np.unique(values)
    if len(distinct) <= MOST_EXACT:
        return [float(value) for value in distinct[:-1]]
    shares = np.arange(1, QUANTILES + 1) / (QUANTILES + 1)
    rounded = {_round(float(value)) for value in np.quantile(values, shares)}
    return sorted(cut for cut in rounded if distinct[0] <= cut < distinct[-1])


def _round(value: float) -> float:
    """The nearest number that has one of the mantissas."""
    if value == 0:
        return 0.0
    size = abs(value)
    power = 10.0 ** floor(log10(size))
    mantissa = size / power
    above = min(bisect_left(MANTISSAS, mantissa), len(MANTISSAS) - 1)
    near = min(MANTISSAS[max(above - 1, 0)], MANTISSAS[above], key=lambda one: abs(one - mantissa))
    return float(f"{near * power:.6g}") * (1 if value > 0 else -1)
