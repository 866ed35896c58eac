"""Patterns as they are told: what was found, in numbers and in a sentence, and the basic ones beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import TYPE_CHECKING, Any, Literal

from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.discovery.basic import Basic, basics, difference, hundredths
from jobmgr.stats.discovery.blocks import halved
from jobmgr.stats.discovery.candidates import Candidate, adjusted
from jobmgr.stats.discovery.evidence import assess, expected_by
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.prune import Kept, late
from jobmgr.stats.discovery.search import Search
from jobmgr.stats.discovery.sentences import Told, sentence
from jobmgr.stats.discovery.strata import conditional, strata
from jobmgr.stats.discovery.tables import Tables
from jobmgr.stats.findings import Condition, Pattern
from jobmgr.stats.intervals import newcombe, wilson
from jobmgr.stats.labels import clause, title
from jobmgr.stats.query import Target

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FEWEST_EPISODES = 3
"""What recurs has an excess in so many blocks…"""
STRETCH, MOST_SHARE = 5, 0.6
"""… and no stretch of a fifth of the blocks holds more of it: an outage of some days is one episode, however many blocks it fills."""
BUSY = 1.5
"""Unless it has its tasks there, too: so many times their share. Then single blocks are looked at."""
WITHOUT_BEST = 2.0
"""And it is still there, by this z, without its best stretch."""
LEAST_BEFORE = 0.1
"""What began at some time and goes on has at most so much of its excess before."""
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

    tables: Tables
    found: Search
    target: Target

    def by_block(self, predicates: Sequence[Predicate]) -> tuple[Array, Array, Array, Array]:
        """Tasks and those with the target by block: matching, and all others."""
        own, every = self.tables.by_block(predicates), self.tables.totals
        for _ in range(self.found.halvings):
            own, every = halved(own.T).T, halved(every.T).T
        n1, f1 = own.sum(1), own[:, 1]
        return n1, f1, every.sum(1) - n1, every[:, 1] - f1


@dataclass(frozen=True, slots=True)
class Judged:
    """A kept pattern with what is known of how it is spread."""

    kept: Kept
    episodes: int
    recurring: bool
    confirmed: bool | None
    within_name: bool | None


def judged(setting: Setting, kept: Sequence[Kept], names: Array) -> list[Judged]:
    """Those that recur first, then what is known before a job starts, then by strength. `names`: code of the name of each task, or -1."""
    found = [_judged(setting, one, names) for one in kept]
    return sorted(found, key=lambda one: (not one.recurring, late(one.kept.candidate), -abs(one.kept.candidate.z)))


def told(setting: Setting, found: Sequence[Judged]) -> list[Pattern]:
    """Discovered patterns, then the basic ones that are not among them."""
    tables = setting.tables
    basic = basics(tables.attributes, tables.offsets, tables.counts.sum(1))
    known = {_key(one.condition): one.pattern for one in basic}
    patterns = [_discovered(setting, one, known) for one in found]
    same = {_key(each) for pattern in patterns if len(pattern["conditions"]) == 1 for each in pattern["conditions"]}
    return patterns + _basic(setting, [one for one in basic if _key(one.condition) not in same], found)


def _key(condition: Condition) -> str:
    return f"{condition['attribute']} {condition['op']} {condition['value']}"


def condition_of(predicate: Predicate) -> Condition:
    """A predicate for programs."""
    value = list(predicate.value) if isinstance(predicate.value, tuple) else predicate.value
    return {"attribute": predicate.attribute.name, "op": predicate.op, "value": value}  # type: ignore[typeddict-item]  # ops of predicates are those of conditions


def name_of(predicates: Sequence[Predicate]) -> str:
    """The title of a pattern."""
    titles = [title(one.attribute.name, one.op, one.value) for one in predicates]
    rest = (text[:1].lower() + text[1:] if text[1:2].islower() else text for text in titles[1:])
    return " and ".join([titles[0], *rest])


# --- discovered ones


def _judged(setting: Setting, kept: Kept, names: Array) -> Judged:
    candidate = kept.candidate
    episodes, recurs = _recurrence(setting, candidate)
    step = max(1, len(setting.tables) // SAMPLE)
    part = slice(None, None, step)
    flags, mask = setting.tables.flags[part], setting.tables.matching(candidate.predicates, part)
    confirmed = _confirmed(flags, mask, candidate)
    return Judged(
        kept, episodes, candidate.significant and recurs, confirmed, _within_name(flags, mask, candidate, names[part])
    )


def _recurrence(setting: Setting, candidate: Candidate) -> tuple[int, bool]:
    """In how many blocks there is an excess over what the others did at the same time, and whether it comes again and again.

    The others are drawn to their rate over all, where they are few.
    """
    import numpy as np

    n1, f1, n0, f0 = (each.astype("f8") for each in setting.by_block(candidate.predicates))
    rate = f0.sum() / max(n0.sum(), 1)
    expected = (f0 + 10 * rate) / (n0 + 10)
    excess = (f1 - n1 * expected) * np.sign(candidate.z)
    above = np.maximum(excess, 0)
    total = float(above.sum())
    if total <= 0:
        return 0, False
    width = max(1, len(above) // STRETCH)
    held, tasks = _fullest(above, n1, width)
    if held[1] <= BUSY * tasks:  # What has its tasks only there cannot have its failures elsewhere.
        width = 1
        held, _ = _fullest(above, n1, width)
    best, share = held
    rest = np.ones(len(excess), "?")
    rest[best : best + width] = False
    spread = float((n1 * expected * (1 - expected))[rest].sum())
    left = float(excess[rest].sum()) / sqrt(max(spread, 1e-9) * candidate.inflation)
    episodes = int((above > 0.02 * total).sum())
    spread_out = share <= MOST_SHARE and left >= WITHOUT_BEST
    return episodes, episodes >= FEWEST_EPISODES and spread_out


def _fullest(above: Array, tasks: Array, width: int) -> tuple[tuple[int, float], float]:
    """Where the stretch of so many blocks with most of the excess begins, its share of that, and its share of the tasks."""
    import numpy as np

    stretches = np.convolve(above, np.ones(width), "valid")
    best = int(np.argmax(stretches))
    share = float(stretches[best] / above.sum())
    return (best, share), float(tasks[best : best + width].sum() / max(tasks.sum(), 1))


def _confirmed(flags: Array, mask: Array, candidate: Candidate) -> bool | None:
    """Whether what the first part of the time shows is there in the rest."""
    border = int(len(mask) * EARLY)
    early, late = (conditional(flags[part], mask[part]) for part in (slice(border), slice(border, None)))
    matching = int(mask[border:].sum())
    if min(matching, len(mask) - border - matching) < LEAST_LATE:
        return None
    sign = 1 if candidate.z > 0 else -1
    if early.z * sign < LATE_Z:
        return None  # It could not have been found then.
    return late.z * sign >= LATE_Z and late.difference * sign >= LATE_SHARE * early.difference * sign


def _within_name(flags: Array, mask: Array, candidate: Candidate, names: Array) -> bool | None:
    """Whether the effect is there among tasks of the same name; None for patterns about the name, and where names hardly vary in it."""
    if any(each.attribute.name.startswith("name") for each in candidate.predicates):
        return None
    known = names != UNKNOWN
    left = conditional(flags[known], mask[known], names[known])
    if left.weight < LEAST_WITHIN:
        return None
    sign = 1 if candidate.z > 0 else -1
    return left.z * sign >= LATE_Z and left.difference * sign >= LATE_SHARE * abs(candidate.difference)


def _discovered(setting: Setting, one: Judged, known: Mapping[str, str]) -> Pattern:
    candidate = one.kept.candidate
    conditions = [condition_of(each) for each in candidate.predicates]
    name = known.get(_key(conditions[0])) if len(conditions) == 1 else None
    counts = setting.by_block(candidate.predicates)
    pattern = _counted(setting, counts, name or name_of(candidate.predicates), conditions, candidate.inflation)
    pattern |= {
        "phase": "runtime" if late(candidate) else "before",
        "kind": "recurring" if one.recurring else "bursty",
        "significant": one.recurring,
        "p": candidate.p,
        "q": candidate.q,
        "episodes": one.episodes,
        "confirmedOutOfTime": one.confirmed,
        "heldWithinName": one.within_name,
        "alsoMatches": [name_of(each) for each in one.kept.also],
    }
    clauses = [clause(each.attribute.name, each.op, each.value) for each in candidate.predicates]
    facts = replace(_facts(setting, pattern, counts, clauses), lately=_lately(counts, candidate.z))
    pattern["sentence"] = sentence(facts)
    return pattern


def _lately(counts: tuple[Array, Array, Array, Array], z: float) -> bool:
    """Whether all of an excess is in the newest blocks, and in each of them, and nearly none before."""
    import numpy as np

    n1, f1, n0, f0 = counts
    rate = f0.sum() / max(n0.sum(), 1)
    excess = (f1 - n1 * (f0 + 10 * rate) / (n0 + 10)) * np.sign(z)
    some = np.flatnonzero(n1)
    newest = len(some)
    while newest and excess[some[newest - 1]] > 0:
        newest -= 1
    late = excess[some[newest:]].sum()
    return 0 < newest < len(some) - 1 and np.maximum(excess[some[:newest]], 0).sum() <= LEAST_BEFORE * late


# --- basic ones


def _basic(setting: Setting, rest: Sequence[Basic], found: Sequence[Judged]) -> list[Pattern]:
    import numpy as np

    counts = [setting.by_block([one.predicate]) for one in rest]
    evidence = [_evidence(setting, *each, rest[place].condition["attribute"]) for place, each in enumerate(counts)]
    known = [one.p for one in evidence if one.p is not None]
    qs = iter(adjusted(np.array(known)).tolist() if known else [])
    patterns = []
    for one, by_block, seen in zip(rest, counts, evidence, strict=True):
        pattern = _counted(setting, by_block, one.pattern, [one.condition], seen.inflation)
        pattern |= {
            "phase": one.phase.value,
            "p": seen.p,
            "q": None if seen.p is None else next(qs),
            "explainedBy": _explained(setting, one, seen.z, found),
        }
        condition = one.condition
        clauses = [clause(condition["attribute"], condition["op"], condition["value"])]
        pattern["sentence"] = sentence(_facts(setting, pattern, by_block, clauses))
        patterns.append(pattern)
    return patterns


@dataclass(frozen=True, slots=True)
class _Seen:
    """The evidence of a basic pattern; p None: there is nothing to compare with."""

    z: float = 0.0
    p: float | None = None
    inflation: float = 1.0


def _evidence(setting: Setting, n1: Array, f1: Array, n0: Array, f0: Array, attribute: str) -> _Seen:
    import numpy as np
    from scipy import stats

    a, b, c, d = (int(each.sum()) for each in (f1, n1 - f1, f0, n0 - f0))
    if not (a + b and c + d and a + c and b + d):
        return _Seen()
    if setting.found.priors is None:
        p = float(stats.fisher_exact([[a, b], [c, d]])[1])
        return _Seen(float(np.sign(a * d - b * c)) * float(stats.norm.isf(min(p, 1.0) / 2)), p)
    expected = expected_by(setting.found.priors, [attribute])
    counts = [each[None, :].astype("f8") for each in (n1, f1, n0, f0)]
    seen = assess(counts[0], counts[1], counts[2], counts[3], expected)
    return _Seen(float(seen.z[0]), exp(float(seen.log_p[0])), float(seen.inflation[0]))


def _explained(setting: Setting, basic: Basic, z: float, found: Sequence[Judged]) -> str | None:
    """The discovered pattern beside which nothing is left of a basic one that seemed to go with the target."""
    if abs(z) < 2 or not found:
        return None
    part = slice(None, None, max(1, len(setting.tables) // SAMPLE))
    flags, mask = setting.tables.flags[part], setting.tables.matching([basic.predicate], part)
    masks = [setting.tables.matching(one.kept.candidate.predicates, part) for one in found]
    left = [abs(conditional(flags, mask, strata([each])).z) for each in masks]
    best = min(range(len(left)), key=left.__getitem__)
    return name_of(found[best].kept.candidate.predicates) if left[best] < min(2.0, abs(z) / 2) else None


# --- numbers


def _counted(
    setting: Setting,
    counts: tuple[Array, Array, Array, Array],
    name: str,
    conditions: list[Condition],
    inflation: float,
) -> Pattern:
    """A basic pattern without evidence: what can be counted, with intervals that know of bursts."""
    count, bad, others, bad_others = (int(each.sum()) for each in counts)
    good, good_others, total = count - bad, others - bad_others, count + others
    rate, average = hundredths(good, count), hundredths(good + good_others, total)
    bad_elsewhere = bad_others / others if others else (bad + bad_others) / max(total, 1)
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
        "riskDifference": newcombe(good / inflation, count / inflation, good_others / inflation, others / inflation),
        "p": None,
        "q": None,
        "support": round(count / max(total, 1), 4),
        "episodes": int((counts[1] > 0).sum()),
        "confirmedOutOfTime": None,
        "heldWithinName": None,
        "explainedBy": None,
        "alsoMatches": [],
        "excessFailures": round(bad - count * bad_elsewhere, 1),
        "sentence": "",
    }


def _facts(setting: Setting, pattern: Pattern, counts: tuple[Array, Array, Array, Array], clauses: list[str]) -> Told:
    count, bad, others, bad_others = (int(each.sum()) for each in counts)
    return Told(setting.target, clauses, pattern, bad, count, bad_others, others)
