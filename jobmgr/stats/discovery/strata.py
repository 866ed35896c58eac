"""Effects among tasks that are alike in something else (Mantel and Haenszel 1959)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


MOST_DIRECT = 12
"""Of more masks the combinations are numbered as they occur."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """An effect among tasks that are alike in something else."""

    z: float
    """Of independent tasks."""
    difference: float
    weight: float
    """How much there is to compare: as many pairs of a matching and another task."""


def strata(masks: Sequence[Array]) -> Array:
    """A number for each combination in which tasks match these masks."""
    import numpy as np

    if not masks:
        return np.empty(0, "i8")
    code = np.zeros(len(masks[0]), "i4")
    for mask in masks:
        code = code * 2 + mask
    return code if len(masks) <= MOST_DIRECT else np.unique(code, return_inverse=True)[1]


def conditional(flags: Array, mask: Array, code: Array | None = None) -> Conditional:
    """The effect of a mask within strata, which are numbers from 0 on; None: all tasks are one stratum."""
    import numpy as np

    if code is None:
        code = np.zeros(len(mask), "i8")
    size = int(code.max(initial=0)) + 1
    n = np.bincount(code, minlength=size).astype("f8")
    f = np.bincount(code[flags], minlength=size)
    n1 = np.bincount(code[mask], minlength=size)
    f1 = np.bincount(code[mask & flags], minlength=size)
    some = n > 1
    n, f, n1, f1 = n[some], f[some], n1[some], f1[some]
    weight = float((n1 * (n - n1) / n).sum())
    excess = float((f1 - n1 * f / n).sum())
    variance = float((n1 * (n - n1) * f * (n - f) / (n**2 * (n - 1))).sum())
    if weight <= 0 or variance <= 0:
        return Conditional(0.0, 0.0, weight)
    return Conditional(excess / sqrt(variance), excess / weight, weight)
