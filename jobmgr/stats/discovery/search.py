"""The search: which predicates, and which pairs of them, go with the target, beyond chance and bursts.

Singles: every predicate against all other tasks, from the tables. Pairs: from counts of a sample, each against its two halves and the rest, the worst
counting: a pair must say more than each of its parts. An ordered attribute is one question whose best cut is paid for; singles and pairs are
two layers, each with Benjamini and Hochberg's rule. What is claimed has passed the rotation test besides.

Sources: Webb 2007, doi 10.1007/s10994-007-5006-x (productive patterns); Benjamini and Hochberg 1995; layers after Webb 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery import blocks
from jobmgr.stats.discovery.attributes import Phase
from jobmgr.stats.discovery.candidates import BURSTY_Q, BURSTY_Z, FDR, Candidate, turned_shares
from jobmgr.stats.discovery.evidence import Prior, assess
from jobmgr.stats.discovery.pairs import PairCounts, for_pairs, pairs
from jobmgr.stats.discovery.predicates import Predicate, membership, of_attributes
from jobmgr.stats.discovery.rotation import Rotation, rotation, z_of
from jobmgr.stats.discovery.singles import clocked, singles, worth
from jobmgr.stats.discovery.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


MOST_PAIRS = 64
"""So many pairs with most evidence are looked at further."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the search tried and found."""

    candidates: list[Candidate] = field(default_factory=list)
    questions: tuple[int, int] = (0, 0)
    """So many were asked: about single predicates, and about pairs."""
    halvings: int = 0
    """How often the blocks of the tables were put together by twos."""
    inflation: float = 1.0
    """The usual one here."""
    priors: tuple[Prior, Prior] | None = None
    """What inflation is usual here, overall and within blocks; None: nothing was tried."""


class Finder:
    """Searches tables, again and again as they grow.

    What is dear and changes little is kept from the first time: which pairs are counted, and what turning the outcomes does.
    """

    def __init__(self, tables: Tables, least: int, *, runtime: bool = True) -> None:
        self.tables = tables
        self.least = least
        """A pattern has so many tasks at least, and so have all others together."""
        predicates = of_attributes(tables.attributes)
        # What is seen while a job runs says nothing of why it is slow or large: it is how slow or large it is.
        self._predicates = [one for one in predicates if runtime or one.attribute.phase is not Phase.RUNTIME]
        self._membership = membership(self._predicates, tables.offsets)
        self._pairs: PairCounts | None = None
        self._rotation: Rotation | None = None

    def search(self) -> Search:
        """Look through the tables as they are now."""
        import numpy as np

        tables = self.tables
        if not tables.blocks or not self._predicates or not 0 < int(tables.totals[:, 1].sum()) < len(tables):
            return Search()
        counts = np.tensordot(self._membership, tables.counts, 1)
        counts, totals, halvings = _with_long_blocks(counts, tables.totals)
        n1, f1 = counts.sum(2), counts[..., 1]
        size = n1.sum(1)
        usable = (size >= self.least) & (size <= len(tables) - self.least)
        predicates = [one for one, good in zip(self._predicates, usable, strict=True) if good]
        if not predicates:
            return Search(halvings=halvings)
        n1, f1, total, failed = n1[usable], f1[usable], totals.sum(1), totals[:, 1]
        kinds = [one.attribute.name for one in predicates]
        evidence = assess(n1, f1, total - n1, failed - f1, kinds, lone=clocked(predicates, tables.days))
        if self._pairs is None:
            self._pairs = PairCounts.of(tables, for_pairs(predicates, evidence), len(totals))
        self._pairs.grow(tables)
        alone = singles(tables, predicates, evidence, worth(n1, f1, total, failed))
        paired, tried = pairs(self._pairs, evidence, self.least, clocked(self._pairs.predicates, tables.days))
        assert evidence.priors is not None
        found = self._turned(predicates, alone, paired, tried)
        questions = len({one.question for one in predicates}), tried
        return Search(found, questions, halvings, evidence.priors[0].usual, evidence.priors)

    def _turned(
        self, predicates: Sequence[Predicate], alone: Sequence[Candidate], paired: Sequence[Candidate], tried: int
    ) -> list[Candidate]:
        """The candidates with their q by the rotation test; without those that nothing speaks for."""
        import numpy as np

        if self._rotation is None:
            self._rotation = rotation(self.tables, predicates)
        test = self._rotation
        close = [one for one in alone if one.q <= FDR or (one.plain_q <= BURSTY_Q and abs(one.z) >= BURSTY_Z)]
        z = np.abs([test.z.get(one.predicates[0], 0.0) for one in close])
        found = _with_turned(close, test, z, 1.0)
        near = sorted((one for one in paired if one.q <= FDR), key=lambda one: one.p)[:MOST_PAIRS]
        z = np.abs(z_of(test, [test.mask(self.tables, one.predicates) for one in near]))
        more = max(1.0, tried / max(test.questions, 1))
        times = more / np.array([one.weight for one in near])
        return found + _with_turned(near, test, z, times)


def _with_turned(candidates: Sequence[Candidate], test: Rotation, z: Array, times: Array | float) -> list[Candidate]:
    """The candidates with what turning makes of such, if there are `times` as many questions."""
    turned = times * test.expected(z)
    shares = turned_shares(turned)
    return [
        replace(one, turned=float(n), turned_q=float(q)) for one, n, q in zip(candidates, turned, shares, strict=True)
    ]


def _with_long_blocks(counts: Array, totals: Array) -> tuple[Array, Array, int]:
    """Halve the number of blocks as long as neighbours are alike; and how often that was."""
    halvings = 0
    while counts.shape[1] >= 2 * blocks.FEWEST:
        n, f = counts.sum(2), counts[..., 1]
        rate = f.sum(1, keepdims=True) / n.sum(1, keepdims=True).clip(1)
        if blocks.alike(f - rate * n) <= blocks.ALIKE:
            break
        counts = blocks.halved(counts.swapaxes(1, 2)).swapaxes(1, 2)
        totals = blocks.halved(totals.T).T
        halvings += 1
    return counts, totals, halvings
