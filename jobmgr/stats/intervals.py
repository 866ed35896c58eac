"""Intervals of proportions, with 95 % confidence, and how numbers are rounded where they are shown.

Sources: Wilson 1927, Journal of the American Statistical Association 22:209; Newcombe 1998, Statistics in Medicine 17:873 (his method 10, for a
difference). Both keep their promise with few runs and at 0 and 100 %, where the usual `p ± 1.96 √(p(1-p)/n)` does not.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from math import sqrt

Z = 1.959963984540054


def rounded(value: float, digits: int = 2) -> float:
    """As people round: half away from zero, judged by the digits that the number is written with."""
    return float(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)) + 0.0


def wilson(successes: float, count: float) -> tuple[float, float]:
    """Interval of a proportion, two decimals; (0, 1) when nothing is known."""
    low, high = _wilson(successes, count)
    return rounded(low), rounded(high)


def newcombe(successes: float, count: float, other_successes: float, other_count: float) -> tuple[float, float]:
    """Interval of the first proportion minus the other, two decimals; (-1, 1) when one of them is not known."""
    if count <= 0 or other_count <= 0:
        return -1.0, 1.0
    p, q = successes / count, other_successes / other_count
    (low, high), (other_low, other_high) = _wilson(successes, count), _wilson(other_successes, other_count)
    below = p - q - sqrt((p - low) ** 2 + (other_high - q) ** 2)
    above = p - q + sqrt((high - p) ** 2 + (q - other_low) ** 2)
    return rounded(below), rounded(above)


def _wilson(successes: float, count: float) -> tuple[float, float]:
    if count <= 0:
        return 0.0, 1.0
    p, z2 = successes / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * (p * (1 - p) / count + z2 / (4 * count * count)) ** 0.5 / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)
