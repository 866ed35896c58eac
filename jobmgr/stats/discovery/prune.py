"""From many candidates to the few that say different things.

Of descriptions of nearly the same tasks one stands for all. A candidate stays if its effect is there also among tasks that are alike in all that is
kept already (Mantel–Haenszel with those as strata); at the end each must stand beside all others, and a part of a pair outside that pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.attributes import Phase
from jobmgr.stats.discovery.candidates import BURSTY_Q, BURSTY_Z, Candidate, adjusted, turned_shares
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.search import Search
from jobmgr.stats.discovery.strata import Conditional, conditional, strata
from jobmgr.stats.discovery.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SAMPLE = 40_000
MOST_CANDIDATES = 250
ALIKE = 0.9
"""Above this Jaccard index two patterns are descriptions of the same tasks."""
LEAST_OF_EFFECT = 0.3
"""So much of a candidate's effect must be left among tasks alike in what is kept."""
BESIDE_OTHERS = 3.0
OF_ITS_OWN = 4.0
"""z of what a pair is more than the sum of its halves; thousands of pairs were tried."""
MOST_ALSO = 5
VAGUE = frozenset({"args.count", "name.length", "name.hasDigits", "name.family", "priority"})
"""Rather told in other words where there are any."""
MOST_SHADOWS = 24
"""So many are kept at most while it is still open which of them explain others."""


@dataclass(slots=True)
class Kept:
    """A candidate that stays, with the tasks of the sample that match it."""

    candidate: Candidate
    mask: Array
    also: list[tuple[Predicate, ...]] = field(default_factory=list)


def prune(tables: Tables, found: Search, most: int) -> list[Kept]:
    """At most `most` of what was found, the strongest first."""
    candidates = found.candidates
    step = max(1, -(-len(tables) // SAMPLE))
    flags = tables.flags[::step]
    order = sorted(candidates, key=lambda one: (-round(abs(one.z), 3), -one.z))[:MOST_CANDIDATES]
    order.sort(key=_rank)
    kept = _forward(tables, order, flags, step)
    kept = _among_themselves(_backward(kept, flags), found.questions)
    kept.sort(key=lambda one: -abs(one.candidate.z))
    return kept[:most]


def _rank(candidate: Candidate) -> tuple[bool, int]:
    """What is known before the start goes first: what shows while a job runs may be how failing looks. Then the simple ones."""
    return late(candidate), len(candidate.predicates)


def late(candidate: Candidate) -> bool:
    """Whether it is known only while a job runs."""
    return any(one.attribute.phase is Phase.RUNTIME for one in candidate.predicates)


def _forward(tables: Tables, order: Sequence[Candidate], flags: Array, step: int) -> list[Kept]:
    from scipy import special

    kept: list[Kept] = []
    every = strata([])
    bar = -float(special.ndtri(0.05 / (4 * max(len(order), 1))))
    for candidate in order:
        mask = tables.matching(candidate.predicates, slice(None, None, step))
        if not mask.any() or mask.all():
            continue
        twin = _twin(kept, mask)
        if twin is not None:
            _join(twin, candidate, mask)
            every = strata([one.mask for one in kept])
            continue
        if len(candidate.predicates) == 2 and candidate.interaction < OF_ITS_OWN:
            continue
        others = [one.mask for one in kept if not _part_of(one.candidate, candidate)]
        if others:
            left = conditional(flags, mask, every if len(others) == len(kept) else strata(others))
            if abs(left.z) / sqrt(candidate.inflation) < bar or not _enough(left, candidate):
                continue
        kept.append(Kept(candidate, mask))
        every = strata([one.mask for one in kept])
        if len(kept) >= MOST_SHADOWS:
            break
    return kept


def _enough(left: Conditional, candidate: Candidate) -> bool:
    same = (left.difference > 0) == (candidate.z > 0)
    return same and abs(left.difference) >= LEAST_OF_EFFECT * abs(candidate.difference)


def _twin(kept: Sequence[Kept], mask: Array) -> Kept | None:
    """What is kept of the same tasks, or of just all others."""
    size = int(mask.sum())
    for one in kept:
        common = int((one.mask & mask).sum())
        own = int(one.mask.sum())
        if common > ALIKE * (own + size - common):
            return one
        rest = len(mask) - own
        if size - common > ALIKE * (rest + common):
            return one
    return None


def _plainer(candidate: Candidate, mask: Array, twin: Kept) -> bool:
    """Whether of two statements about the very same tasks this one says more plainly what they are."""
    if len(candidate.predicates) != len(twin.candidate.predicates) or bool((mask != twin.mask).any()):
        return False
    return _vague(candidate) < _vague(twin.candidate)


def _vague(candidate: Candidate) -> int:
    names = [one.attribute.name for one in candidate.predicates]
    return sum(
        name in VAGUE
        or (name.startswith("args.") and name not in {"args.has", "args.pathPrefix"} and not name.startswith("args.-"))
        for name in names
    )


def _join(twin: Kept, candidate: Candidate, mask: Array) -> None:
    """Of two descriptions the simpler one stands for both."""
    if bool((twin.mask & mask).any()) is False:
        if candidate.z > 0 > twin.candidate.z and len(candidate.predicates) <= len(twin.candidate.predicates):
            twin.candidate, twin.mask, twin.also = candidate, mask, []
        return  # Its complement: the same statement turned round, and rather told of those that fail.
    if len(candidate.predicates) < len(twin.candidate.predicates) or _plainer(candidate, mask, twin):
        twin.also.insert(0, twin.candidate.predicates)
        twin.candidate, twin.mask = candidate, mask
    elif len(twin.also) < MOST_ALSO:
        twin.also.append(candidate.predicates)


def _backward(kept: list[Kept], flags: Array) -> list[Kept]:
    """Drop what the others explain, the weakest first."""
    for one in sorted(kept, key=lambda each: abs(each.candidate.z)):
        others = [other for other in kept if other is not one]
        if others and not _stands(one, others, flags):
            kept = others
    return kept


def _stands(one: Kept, others: Sequence[Kept], flags: Array) -> bool:
    beside = [other for other in others if not late(other.candidate) or late(one.candidate)]
    masks = [other.mask for other in beside if not _part_of(other.candidate, one.candidate)]
    if masks:
        left = conditional(flags, one.mask, strata(masks))
        if abs(left.z) / sqrt(one.candidate.inflation) < BESIDE_OTHERS or not _enough(left, one.candidate):
            return False
    return all(_outside(one, other, flags) for other in others if _part_of(one.candidate, other.candidate))


def _part_of(single: Candidate, pair: Candidate) -> bool:
    """Whether a pair is made of this: its effect was found to be more than that of its halves (`search`)."""
    return len(single.predicates) == 1 < len(pair.predicates) and single.predicates[0] in pair.predicates


def _outside(one: Kept, pair: Kept, flags: Array) -> bool:
    """Whether a part of a pair has an effect of its own outside the pair."""
    rest = ~pair.mask
    left = conditional(flags[rest], one.mask[rest])
    return abs(left.z) / sqrt(one.candidate.inflation) >= BESIDE_OTHERS and _enough(left, one.candidate)


def _among_themselves(kept: Sequence[Kept], questions: tuple[int, int]) -> list[Kept]:
    """Judge again how many of so many questions may be chance, now that each finding counts once.

    Before, a strong pattern was there in ten descriptions, and among eleven findings one of chance is little; among two it is much.
    """
    import numpy as np

    left = []
    for size, asked in enumerate(questions, 1):
        layer = [one for one in kept if len(one.candidate.predicates) == size]
        q = adjusted(np.array([min(one.candidate.p / one.candidate.weight, 1.0) for one in layer]), asked)
        turned = turned_shares(np.array([one.candidate.turned for one in layer]))
        for one, own, share in zip(layer, q, turned, strict=True):
            one.candidate = replace(one.candidate, q=float(own), turned_q=float(share))
            bursty = one.candidate.plain_q <= BURSTY_Q and abs(one.candidate.z) >= BURSTY_Z
            if one.candidate.significant or (bursty and size == 1):
                left.append(one)
    return left
