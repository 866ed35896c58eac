"""Single predicates as candidates: each question once, by its best answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.attributes import Phase
from jobmgr.stats.discovery.candidates import Candidate, adjusted, plain_log_p, worth_telling
from jobmgr.stats.discovery.evidence import Evidence
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.source_nodes import NO_RIVALS, PREVIOUS
from jobmgr.stats.discovery.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

TRIES = 1000
"""What is judged apart from all others is paid for as if there were so many like it."""


def clocked(predicates: Sequence[Predicate], days: float) -> Array:
    """Degrees of freedom of what follows the clock: a day is one witness of its hours, a week of its days. NaN for all else."""
    import numpy as np

    witnesses = {"submit.hour": days, "submit.weekday": days / 7}
    return np.array([witnesses.get(one.attribute.name, np.nan) - 1 for one in predicates])


def singles(tables: Tables, predicates: Sequence[Predicate], evidence: Evidence, worth: Array) -> list[Candidate]:
    """Candidates of single predicates, with q over questions; of each question the best only, but for nominal ones."""
    import numpy as np

    tries = np.array([one.tries for one in predicates])
    p = np.minimum(np.exp(evidence.log_p) * tries, 1.0)
    plain = np.minimum(np.exp(plain_log_p(evidence.plain)) * tries, 1.0)
    backwards = np.array([one.attribute.phase is Phase.RUNTIME for one in predicates]) & (evidence.z < 0)
    p[backwards], plain[backwards] = 1.0, 1.0
    best: dict[int, int] = {}
    for place, one in enumerate(predicates):
        if one.question not in best or _better(evidence, place, best[one.question]):
            best[one.question] = place
    chosen = np.array(sorted(best.values()))
    q, plain_q = np.ones(len(p)), np.ones(len(p))
    q[chosen], plain_q[chosen] = adjusted(p[chosen]), adjusted(plain[chosen])
    q[~worth], plain_q[~worth] = 1.0, 1.0
    candidates = [
        Candidate(
            (one,), float(evidence.z[i]), float(p[i]), float(q[i]), float(plain_q[i]),
            float(evidence.inflation[i]), float(evidence.difference[i]),
        )
        for i, one in enumerate(predicates)
    ]  # fmt: skip
    return [_beside_rivals(tables, one) if one.predicates[0].attribute.name == PREVIOUS else one for one in candidates]


def _better(evidence: Evidence, one: int, other: int) -> bool:
    """Of one question: the larger plain z, for inflations of cuts differ by chance.

    Where it is the same statement turned round, that about the tasks that have the target more often.
    """
    first, second = (round(abs(float(evidence.plain[place])), 2) for place in (one, other))
    return first > second or (first == second and evidence.plain[one] > 0 > evidence.plain[other])


def worth(n1: Array, f1: Array, total: Array, failed: Array) -> Array:
    """Whether each difference is large enough to be told."""
    import numpy as np

    n, f, all_n, all_f = n1.sum(1), f1.sum(1), total.sum(), failed.sum()
    rate, other = f / n, (all_f - f) / np.maximum(all_n - n, 1)
    return worth_telling(rate, other)


def _beside_rivals(tables: Tables, one: Candidate) -> Candidate:
    """What the last job on a node tells beyond the jobs that ended beside it elsewhere: a burst of failures everywhere is not the node's."""
    import numpy as np

    known = tables.rivals != NO_RIVALS
    crashed = tables.matching(one.predicates)[known] == (one.predicates[0].value == "crashed")
    flags, block = tables.flags[known], tables.block[known]
    if len(flags) == 0:
        return replace(one, q=1.0, plain_q=1.0)
    told = (flags - flags.mean()) * (crashed - tables.rivals[known] / 2)
    by_block = np.bincount(block, told)
    spread = float(np.sqrt(max((told**2).sum(), len(by_block) * by_block.var(), 1e-9)))
    z = float(told.sum()) / spread * (1 if one.predicates[0].value == "crashed" else -1)
    if abs(z) >= abs(one.z) and z * one.z > 0:
        return one
    p = float(np.exp(plain_log_p(np.array([z])))[0]) if z * one.z > 0 else 1.0
    q = min(1.0, p * TRIES)
    return replace(one, z=z, p=p, q=q, plain_q=q)
