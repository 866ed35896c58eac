"""Blocks of time: parts of the history with equally many ends, long enough that what happens in one tells little of the next.

Failures come in bursts, so tasks are no independent witnesses; blocks nearly are. There are not more than days, because much in a computer goes by
the day, and half as many as long as blocks that follow each other are alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FEWEST, MOST = 8, 32
LEAST_TASKS = 5
"""A block has at least so many."""
DAY_US = 86_400_000_000
ALIKE = 0.08
"""The correlation of neighbours (median over hypotheses) above which blocks are too short."""


def how_many(count: int, span_us: int) -> int:
    """Blocks for so many tasks over such a time; 0: too few tasks."""
    if count < FEWEST * LEAST_TASKS:
        return 0
    return max(FEWEST, min(MOST, count // (4 * LEAST_TASKS), span_us // DAY_US))


def alike(scores: Array) -> float:
    """Median over hypotheses (rows) of the correlation of neighbouring blocks (columns)."""
    import numpy as np

    centred = scores - scores.mean(1, keepdims=True)
    own = (centred**2).sum(1)
    some = own > 0
    if not some.any():
        return 0.0
    return float(np.median((centred[some, 1:] * centred[some, :-1]).sum(1) / own[some]))


def halved(table: Array) -> Array:
    """Tables over half as many blocks; the blocks are the last axis, the last of an odd number stays alone."""
    import numpy as np

    return np.add.reduceat(table, np.arange(0, table.shape[-1], 2), axis=-1)
