"""The rotation test: what would be found if outcomes were turned against the tasks they belong to?

Turning the outcomes round by some steps in time leaves their bursts as they are and breaks every link to the tasks. Over all turns (but the smallest,
in which links live on) each predicate shows how much it varies by bursts alone, its own being in time included; and all of them together how often
anything is as far out as what was seen. That needs no model of how failures cluster. Fast Fourier transforms give all turns at once.

What comes in turn, or follows the clock, meets its own outcomes again after some turns; so what a pattern does to outcomes is taken out before they
are turned.

Sources: circular shifts as in Harris 2020, arXiv 2012.06862 (nonsense correlations of time series); the estimate of the false discovery rate as in
Tusher, Tibshirani and Chu 2001 (SAM); turning what a pattern leaves unexplained, after Freedman and Lane 1983.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_BINS = 8192
MOST_ROWS = 100_000
NEAR = 0.02
"""Turns by less than this part of the time are no turns."""


@dataclass(slots=True)
class Rotation:
    """What turning does to one history."""

    step: int
    edges: Array
    outcome: Array
    """Transform of the centred outcomes by bin of time."""
    turned: Array
    """For each question the largest |z| of its predicates, turn by turn, all of them sorted: what bursts alone make."""
    turns: int
    questions: int
    rows: int
    """So many tasks there were."""
    z: dict[Predicate, float] = field(default_factory=dict)
    """Of each predicate, in units of what it varies over turns."""

    def mask(self, tables: Tables, predicates: Sequence[Predicate]) -> Array:
        """Which tasks of the test match."""
        return tables.matching(predicates, slice(0, self.rows, self.step))

    def expected(self, z: Array) -> Array:
        """So many questions are at least so far out in a turn, on average."""
        import numpy as np

        beyond = len(self.turned) - np.searchsorted(self.turned, np.abs(z), side="left")
        result: Array = beyond / self.turns
        return result


def rotation(tables: Tables, predicates: Sequence[Predicate]) -> Rotation:
    """The test of these predicates."""
    import numpy as np

    step = max(1, -(-len(tables) // MOST_ROWS))
    flags = tables.flags[::step]
    bins = min(MOST_BINS, _fast(len(flags)))
    edges = np.arange(bins) * len(flags) // bins
    spread = np.diff(edges, append=len(flags))
    outcome = np.add.reduceat(flags, edges, dtype="i4") - flags.mean() * spread
    test = Rotation(step, edges, _transform(outcome[None, :])[0], np.empty(0, "f4"), 1, 0, len(tables))
    places: dict[int, int] = {}
    for one in predicates:
        places.setdefault(one.question, len(places))
    largest = np.zeros((len(places), bins - 2 * _near(bins) + 1), "f4")
    bin_of = np.repeat(np.arange(bins, dtype="i4"), spread)
    for of_attribute in _by_attribute(predicates):
        z, far = _turn(test, _inside(tables, of_attribute, bin_of, step))
        test.z.update(zip(of_attribute, z.tolist(), strict=True))
        np.maximum.at(largest, [places[one.question] for one in of_attribute], np.abs(far))
    test.turned, test.turns, test.questions = np.sort(largest, axis=None), largest.shape[1], len(places)
    return test


def _by_attribute(predicates: Sequence[Predicate]) -> list[list[Predicate]]:
    found: dict[int, list[Predicate]] = {}
    for one in predicates:
        found.setdefault(one.place, []).append(one)
    return list(found.values())


def _inside(tables: Tables, predicates: Sequence[Predicate], bin_of: Array, step: int) -> Array:
    """How many tasks of each bin of time match predicates of one attribute."""
    import numpy as np

    attribute = predicates[0].attribute
    levels = tables.levels(predicates[0].place)[::step]
    bins = int(bin_of[-1]) + 1
    found = np.bincount(bin_of * attribute.levels + levels, minlength=bins * attribute.levels)
    members = np.zeros((attribute.levels, len(predicates)), "f4")
    for column, one in enumerate(predicates):
        members[list(one.members), column] = 1
    result: Array = (found.reshape(bins, -1).astype("f4") @ members).T
    return result


def z_of(test: Rotation, masks: Sequence[Array]) -> Array:
    """Give z of other patterns, given by which of the tasks of the test match."""
    import numpy as np

    if not masks:
        return np.empty(0)
    return _turn(test, np.array([np.add.reduceat(mask, test.edges, dtype="f4") for mask in masks]))[0]


def _turn(test: Rotation, inside: Array) -> tuple[Array, Array]:
    """Give z without turning, and by every turn that is one, of patterns that match so many tasks in each bin."""
    import numpy as np
    from scipy import fft

    bins, tasks = len(test.edges), -(-test.rows // test.step)
    sizes = np.diff(test.edges, append=tasks)
    centred = inside - inside.sum(1, keepdims=True) / tasks * sizes
    transformed = _transform(centred)
    linked = fft.irfft(transformed * np.conj(test.outcome), bins, axis=1)
    alike = fft.irfft(np.abs(transformed) ** 2, bins, axis=1)
    linked_left = linked - alike * (linked[:, :1] / np.maximum(alike[:, :1], 1e-9))
    near = _near(bins)
    far = linked_left[:, near : bins - near + 1]
    spread = np.sqrt((far**2).mean(1, keepdims=True))
    spread[spread <= 0] = np.inf
    return linked[:, 0] / spread[:, 0], far / spread


def _transform(series: Array) -> Array:
    from scipy import fft

    result: Array = fft.rfft(series.astype("f4"), axis=1)
    return result


def _near(bins: int) -> int:
    return max(1, int(bins * NEAR))


def _fast(length: int) -> int:
    """The largest length up to this one that transforms quickly."""
    from scipy import fft

    while fft.next_fast_len(length, real=True) != length:
        length -= 1
    return length
