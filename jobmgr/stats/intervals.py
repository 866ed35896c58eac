"""Intervals of proportions, with 95 % confidence.

Sources: Wilson 1927; Newcombe 1998, Statistics in Medicine 17:873 (his method 10, for a difference).
"""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054


def wilson(successes: float, count: float) -> tuple[float, float]:
    """Interval of a proportion, two decimals; (0, 1) when nothing is known."""
    low, high = _wilson(successes, count)
    return round(low, 2), round(high, 2)


def newcombe(successes: float, count: float, other_successes: float, other_count: float) -> tuple[float, float]:
    """Interval of the first proportion minus the other, two decimals; (-1, 1) when one of them is not known."""
    if count <= 0 or other_count <= 0:
        return -1.0, 1.0
    p, q = successes / count, other_successes / other_count
    (low, high), (other_low, other_high) = _wilson(successes, count), _wilson(other_successes, other_count)
    below = p - q - sqrt((p - low) ** 2 + (other_high - q) ** 2)
    above = p - q + sqrt((high - p) ** 2 + (q - other_low) ** 2)
    return round(below, 2), round(above, 2)


def _wilson(successes: float, count: float) -> tuple[float, float]:
    if count <= 0:
        return 0.0, 1.0
    p, z2 = successes / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * sqrt(p * (1 - p) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)
