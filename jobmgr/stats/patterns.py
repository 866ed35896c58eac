"""Patterns as they are told: what was found, in numbers and in a sentence, and the basic ones beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, Any, Literal

from jobmgr.stats.attributes import Phase, View
from jobmgr.stats.basic import Basic, basics, difference, hundredths
from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.evidence import assess, expected_by
from jobmgr.stats.findings import Condition, Pattern
from jobmgr.stats.intervals import newcombe, wilson
from jobmgr.stats.labels import clause, title
from jobmgr.stats.predicates import Predicate
from jobmgr.stats.prune import Kept
from jobmgr.stats.query import Target
from jobmgr.stats.search import Candidate, Search, adjusted
from jobmgr.stats.sentences import Told, sentence
from jobmgr.stats.strata import conditional, strata
from jobmgr.stats.tables import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_SHARE, FEWEST_EPISODES = 0.6, 3
"""What recurs has an excess in so many blocks, and no block holds more of it."""
WITHOUT_BEST = 2.0
"""And it is still there, by this z, without its best block."""
EARLY, LEAST_LATE, LATE_SHARE, LATE_Z = 0.7, 10, 0.4, 1.645
"""Found in this part of the time, a pattern must have so many tasks later, keep so much of its effect, by a one-sided 5 %."""
LEAST_WITHIN = 5.0
"""So many comparable pairs of tasks with the same name are needed to say whether it holds within names."""
SAMPLE = 200_000


_TARGETS: dict[Target, Literal["success", "slow", "memory"]] = {
    Target.FAILURE: "success",
    Target.SLOW: "slow",
    Target.MEMORY: "memory",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """All that patterns are told from."""

    view: View
    tables: Tables
    found: Search
    target: Target

    @property
    def flags(self) -> Array:
        """Which tasks have the target."""
        return self.tables.flags

    def by_block(self, mask: Array) -> tuple[Array, Array, Array, Array]:
        """Tasks and those with the target by block: matching, and all others."""
        import numpy as np

        many = max(self.found.blocks, 1)
        block = self.tables.block
        while self.tables.blocks and int(block[-1]) >= many:
            block = block >> 1
        n, f = np.bincount(block, minlength=many), np.bincount(block[self.flags], minlength=many)
        n1, f1 = np.bincount(block[mask], minlength=many), np.bincount(block[mask & self.flags], minlength=many)
        return n1, f1, n - n1, f - f1


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How an excess is spread over the blocks."""

    episodes: int
    recurs: bool


def told(setting: Setting, kept: Sequence[Kept]) -> list[Pattern]:
    """Discovered patterns, those that recur first, each kind by its strength; then the basic ones."""
    masks = [setting.tables.matching(one.candidate.predicates) for one in kept]
    basic = basics(setting.view, setting.flags)
    same = {number: place for number, one in enumerate(basic) if (place := _same(one, kept)) is not None}
    discovered = []
    for place, (one, mask) in enumerate(zip(kept, masks, strict=True)):
        names = [basic[number].pattern for number, at in same.items() if at == place]
        discovered.append(_discovered(setting, one, mask, names[0] if names else None))
    order = sorted(range(len(kept)), key=lambda i: (discovered[i]["kind"] != "recurring", -abs(kept[i].candidate.z)))
    rest = [one for number, one in enumerate(basic) if number not in same]
    found = [(discovered[i], masks[i]) for i in order]
    return [*(pattern for pattern, _ in found), *_basic(setting, rest, found)]


def _same(basic: Basic, kept: Sequence[Kept]) -> int | None:
    """Which kept pattern is this basic one, if any is."""
    for place, one in enumerate(kept):
        if [condition_of(each) for each in one.candidate.predicates] == [basic.condition]:
            return place
    return None


def condition_of(predicate: Predicate) -> Condition:
    """A predicate for programs."""
    return {"attribute": predicate.attribute.name, "op": predicate.op, "value": predicate.value}  # type: ignore[typeddict-item]  # ops of predicates are those of conditions


def name_of(predicates: Sequence[Predicate]) -> str:
    """The title of a pattern."""
    titles = [title(one.attribute.name, one.op, one.value) for one in predicates]
    return " and ".join(
        [titles[0], *(text[:1].lower() + text[1:] if text[1:2].islower() else text for text in titles[1:])]
    )


# --- discovered ones


def _discovered(setting: Setting, one: Kept, mask: Array, known_as: str | None) -> Pattern:
    candidate = one.candidate
    recurrence = _recurrence(setting, mask, candidate)
    recurring = candidate.significant and recurrence.recurs
    conditions = [condition_of(each) for each in candidate.predicates]
    pattern = _counted(setting, mask, known_as or name_of(candidate.predicates), conditions, candidate.inflation)
    late = any(each.attribute.phase is Phase.RUNTIME for each in candidate.predicates)
    pattern |= {
        "phase": "runtime" if late else "before",
        "kind": "recurring" if recurring else "bursty",
        "significant": recurring,
        "p": candidate.p,
        "q": candidate.q,
        "episodes": recurrence.episodes,
        "confirmedOutOfTime": _confirmed(setting, mask, candidate),
        "heldWithinName": _within_name(setting, mask, candidate),
        "alsoMatches": [name_of(each) for each in one.also],
    }
    clauses = [clause(each.attribute.name, each.op, each.value) for each in candidate.predicates]
    pattern["sentence"] = sentence(_facts(setting, pattern, mask, clauses))
    return pattern


def _recurrence(setting: Setting, mask: Array, candidate: Candidate) -> Recurrence:
    """Blocks with an excess over what the others did at the same time (drawn to their rate over all, where they are few)."""
    import numpy as np

    n1, f1, n0, f0 = (each.astype("f8") for each in setting.by_block(mask))
    rate = f0.sum() / max(n0.sum(), 1)
    expected = (f0 + 10 * rate) / (n0 + 10)
    excess = (f1 - n1 * expected) * np.sign(candidate.z)
    above = np.maximum(excess, 0)
    total = float(above.sum())
    if total <= 0:
        return Recurrence(0, recurs=False)
    best = int(np.argmax(above))
    rest = np.arange(len(excess)) != best
    spread = float((n1 * expected * (1 - expected))[rest].sum())
    left = float(excess[rest].sum()) / sqrt(max(spread, 1e-9) * candidate.inflation)
    episodes = int((above > 0.02 * total).sum())
    recurs = episodes >= FEWEST_EPISODES and float(above[best]) <= MOST_SHARE * total and left >= WITHOUT_BEST
    return Recurrence(episodes, recurs)


def _confirmed(setting: Setting, mask: Array, candidate: Candidate) -> bool | None:
    """Whether what the first part of the time shows is there in the rest."""
    import numpy as np

    border = int(len(mask) * EARLY)
    none = np.zeros(border, "i8")
    early = conditional(setting.flags[:border], mask[:border], none)
    late_mask = mask[border:]
    late = conditional(setting.flags[border:], late_mask, np.zeros(len(late_mask), "i8"))
    matching = int(late_mask.sum())
    if min(matching, len(late_mask) - matching) < LEAST_LATE:
        return None
    sign = 1 if candidate.z > 0 else -1
    if early.z * sign / sqrt(candidate.inflation) < LATE_Z:
        return False
    return late.z * sign >= LATE_Z and late.difference * sign >= LATE_SHARE * early.difference * sign


def _within_name(setting: Setting, mask: Array, candidate: Candidate) -> bool | None:
    """Whether the effect is there among tasks of the same name; None for patterns about the name, and where names hardly vary in it."""
    if any(each.attribute.name.startswith("name") for each in candidate.predicates):
        return None
    step = max(1, len(mask) // SAMPLE)
    names = setting.view["name"][::step]
    left = conditional(setting.flags[::step], mask[::step], names - UNKNOWN)
    if left.weight < LEAST_WITHIN:
        return None
    sign = 1 if candidate.z > 0 else -1
    return left.z * sign >= LATE_Z and left.difference * sign >= LATE_SHARE * abs(candidate.difference)


# --- basic ones


def _basic(setting: Setting, rest: Sequence[Basic], found: Sequence[tuple[Pattern, Array]]) -> list[Pattern]:
    import numpy as np

    ps, zs, inflations = [], [], []
    for one in rest:
        z, p, inflation = _evidence(setting, one.mask, one.condition["attribute"])
        zs.append(z)
        ps.append(p)
        inflations.append(inflation)
    known = [p for p in ps if p is not None]
    qs = iter(adjusted(np.array(known)).tolist() if known else [])
    patterns = []
    for one, z, p, inflation in zip(rest, zs, ps, inflations, strict=True):
        pattern = _counted(setting, one.mask, one.pattern, [one.condition], inflation)
        pattern |= {
            "phase": one.phase.value,
            "p": p,
            "q": None if p is None else next(qs),
            "explainedBy": _explained(setting, one, z, found),
        }
        condition = one.condition
        clauses = [clause(condition["attribute"], condition["op"], condition["value"])]
        pattern["sentence"] = sentence(_facts(setting, pattern, one.mask, clauses))
        patterns.append(pattern)
    return patterns


def _evidence(setting: Setting, mask: Array, attribute: str) -> tuple[float, float | None, float]:
    """z, p and inflation of a basic pattern; p None: there is nothing to compare with."""
    import numpy as np
    from scipy import stats

    n1, f1, n0, f0 = setting.by_block(mask)
    a, b, c, d = (int(each.sum()) for each in (f1, n1 - f1, f0, n0 - f0))
    if not (a + b and c + d and a + c and b + d):
        return 0.0, None, 1.0
    if setting.found.priors is None:
        p = float(stats.fisher_exact([[a, b], [c, d]])[1])
        return float(np.sign(a * d - b * c)) * float(stats.norm.isf(min(p, 1.0) / 2)), p, 1.0
    expected = expected_by(setting.found.priors, [attribute])
    counts = [each[None, :].astype("f8") for each in (n1, f1, n0, f0)]
    seen = assess(counts[0], counts[1], counts[2], counts[3], expected)
    return float(seen.z[0]), exp(float(seen.log_p[0])), float(seen.inflation[0])


def _explained(setting: Setting, basic: Basic, z: float, found: Sequence[tuple[Pattern, Array]]) -> str | None:
    """The discovered pattern beside which nothing is left of a basic one that seemed to go with the target."""
    if abs(z) < 2 or not found:
        return None
    left = [abs(conditional(setting.flags, basic.mask, strata([mask])).z) for _, mask in found]
    best = min(range(len(left)), key=left.__getitem__)
    return found[best][0]["pattern"] if left[best] < min(2.0, abs(z) / 2) else None


# --- numbers


def _counted(setting: Setting, mask: Array, name: str, conditions: list[Condition], inflation: float) -> Pattern:
    """A basic pattern without evidence: what can be counted, with intervals that know of bursts."""
    flags = setting.flags
    count, total = int(mask.sum()), len(mask)
    good, all_good = count - int((mask & flags).sum()), total - int(flags.sum())
    rate, average = hundredths(good, count), hundredths(all_good, total)
    others = total - count
    bad_elsewhere = (others - (all_good - good)) / others if others else (total - all_good) / max(total, 1)
    return {
        "pattern": name,
        "matchCount": count,
        "successRate": rate / 100,
        "differenceFromAverage": difference(rate, average),
        "conditions": conditions,
        "target": _TARGETS[setting.target],
        "phase": "before",
        "kind": "basic",
        "significant": False,
        "confidenceInterval": wilson(good / inflation, count / inflation),
        "riskDifference": newcombe(
            good / inflation, count / inflation, (all_good - good) / inflation, others / inflation
        ),
        "p": None,
        "q": None,
        "support": round(count / max(total, 1), 4),
        "episodes": int((setting.by_block(mask)[1] > 0).sum()),
        "confirmedOutOfTime": None,
        "heldWithinName": None,
        "explainedBy": None,
        "alsoMatches": [],
        "excessFailures": round((count - good) - count * bad_elsewhere, 1),
        "sentence": "",
    }


def _facts(setting: Setting, pattern: Pattern, mask: Array, clauses: list[str]) -> Told:
    bad = int((mask & setting.flags).sum())
    count = int(mask.sum())
    others = len(mask) - count
    return Told(setting.target, clauses, pattern, bad, count, int(setting.flags.sum()) - bad, others)
