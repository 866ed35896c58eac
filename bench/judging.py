"""Judging an answer of `GET /stats` against what is true of a drawn history: what was found, what is false, what says the same twice.

Conditions are evaluated on the rows here, by themselves. `plain_z` is what an honest simple analyzer would claim: every single condition by a
two-proportion z test with Benjamini–Hochberg at 0.05, as if tasks were independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cases.facts import NUMBERS, SETS, TEXTS, Facts, counted
from bench.cases.shapes import Case
from bench.cases.table import Array
from jobmgr.history import HistoryRow

SAME = 0.8
"""A planted pattern is found when the tasks of a shown one are these, by this Jaccard index."""
NO_DIFFERENCE = 0.01
"""A shown pattern is false when its tasks truly fail as often as the others, within so much."""
FDR = 0.05
FEWEST = 10
MOST_LEVELS = 60
CUTS = 16


# --- conditions


def matches(conditions: Iterable[Mapping[str, Any]], rows: Sequence[HistoryRow] | Facts) -> Array:
    """Which of these tasks (one row each) all conditions hold for. Raises KeyError for an attribute or operator that is unknown."""
    facts = rows if isinstance(rows, Facts) else Facts(rows)
    mask = np.ones(len(facts.rows), bool)
    for condition in conditions:
        mask &= _holds(facts, condition["attribute"], condition["op"], condition["value"])
    return mask


def _holds(facts: Facts, attribute: str, op: str, value: Any) -> Array:
    match op:
        case "in":
            mask = np.zeros(len(facts.rows), bool)
            for each in value:
                mask |= _is(facts, attribute, each)
            return mask
        case "==":
            return _is(facts, attribute, value)
        case "!=":
            return ~_is(facts, attribute, value)
        case ">":
            return np.asarray(facts.numbers(attribute) > value)
        case "<=":
            return np.asarray(facts.numbers(attribute) <= value)
    raise KeyError(op)


def _is(facts: Facts, attribute: str, value: Any) -> Array:
    if attribute in SETS and value is not None:
        return np.array([own is not None and value in own for own in facts.texts(attribute)], bool)
    if attribute == "name.prefix":
        return np.array([own is not None and own.startswith(value) for own in facts.texts("name")], bool)
    a_number = isinstance(value, int | float) and not isinstance(value, bool)
    if attribute in NUMBERS or (attribute.startswith("args.-") and a_number):
        numbers = facts.numbers(attribute)
        return np.isnan(numbers) if value is None else np.asarray(numbers == value)
    return np.array([own == value for own in facts.texts(attribute)], bool)


# --- judging


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good what was shown is. `found` of `planted` ones; `false` and `redundant` count shown ones."""

    shown: int
    planted: int
    found: int
    false: int
    redundant: int

    @property
    def recall(self) -> float:
        """The share of what is there that was found; 1 where nothing is."""
        return self.found / self.planted if self.planted else 1.0


def judge(shown: Sequence[Array], case: Case) -> Judgement:
    """Judge the task sets of shown patterns. A second one for the same planted pattern is redundant, too."""
    failure = case.failure
    found: set[int] = set()
    false = redundant = 0
    for mask in shown:
        hits = [index for index, planted in enumerate(case.planted) if jaccard(mask, planted.tasks) >= SAME]
        if hits and not found.issuperset(hits):
            found.update(hits)
        elif hits or abs(_difference(failure, mask)) >= NO_DIFFERENCE:
            redundant += 1
        else:
            false += 1
    return Judgement(len(shown), len(case.planted), len(found), false, redundant)


def jaccard(one: Array, other: Array) -> float:
    """How much two sets of tasks have in common, 0 to 1."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def _difference(failure: Array, mask: Array) -> float:
    if mask.all() or not mask.any():
        return 0.0
    return float(failure[mask].mean() - failure[~mask].mean())


def claimed(stats: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The patterns that an answer claims to be real: recurring and significant."""
    return [pattern for pattern in stats["patterns"] if pattern["kind"] == "recurring" and pattern["significant"]]


def judge_stats(stats: Mapping[str, Any], case: Case) -> Judgement:
    """Judge the patterns that an answer claims."""
    facts = Facts(counted(case.rows))
    return judge([matches(pattern["conditions"], facts) for pattern in claimed(stats)], case)


# --- the simple analyzer


def plain_z(rows: Sequence[HistoryRow]) -> list[Array]:
    """The task sets of all single conditions that a plain test would call significant."""
    from scipy.stats import false_discovery_control, norm

    facts = Facts(counted(rows))
    masks = list(single_conditions(facts))
    if not masks:
        return []
    total, failed = len(facts.rows), int(facts.failed.sum())
    inside = np.array([mask.sum() for mask in masks], "f8")
    bad = np.array([(mask & facts.failed).sum() for mask in masks], "f8")
    overall = failed / total
    spread = np.sqrt(max(overall * (1 - overall), 1e-12) * (1 / inside + 1 / (total - inside)))
    z = (bad / inside - (failed - bad) / (total - inside)) / spread
    q = false_discovery_control(2 * norm.sf(np.abs(z)))
    return [mask for mask, value in zip(masks, q, strict=True) if value <= FDR]


def single_conditions(facts: Facts) -> Iterable[Array]:
    """The tasks of every single condition that neither nearly all nor hardly any match."""
    total = len(facts.rows)
    least = max(FEWEST, total // 100)
    for mask in _single(facts, least):
        if least <= int(mask.sum()) <= total - least:
            yield mask


def _single(facts: Facts, least: int) -> Iterable[Array]:
    flags = Counter(flag for given in facts.flags for flag in given)
    own = [f"args.{flag}" for flag, count in flags.most_common(40) if count >= least]
    for attribute in [*NUMBERS, *own]:
        yield from _numeric(facts, attribute)
    for attribute in [*TEXTS, *own, "previousOnNode"]:
        yield from _nominal(facts, attribute, least)
    for attribute in SETS:
        yield from _sets(facts, attribute, least)


def _numeric(facts: Facts, attribute: str) -> Iterable[Array]:
    numbers = facts.numbers(attribute)
    known = numbers[~np.isnan(numbers)]
    if len(known) == 0:
        return
    distinct = np.unique(known)
    if attribute.startswith("submit."):
        yield from (numbers == value for value in distinct)
        return
    cuts = distinct[:-1] if len(distinct) <= CUTS else np.unique(np.quantile(known, np.arange(1, CUTS) / CUTS))
    yield from (numbers > cut for cut in cuts)


def _nominal(facts: Facts, attribute: str, least: int) -> Iterable[Array]:
    values = facts.texts(attribute)
    levels = Counter(values)
    codes = {value: code for code, value in enumerate(levels)}
    coded = np.array([codes[value] for value in values])
    often = [value for value, count in levels.most_common(MOST_LEVELS) if count >= least and value is not None]
    yield from (coded == codes[value] for value in often)


def _sets(facts: Facts, attribute: str, least: int) -> Iterable[Array]:
    values = facts.texts(attribute)
    levels = Counter(value for own in values for value in own or ())
    often = [value for value, count in levels.most_common(MOST_LEVELS) if count >= least]
    yield from (np.array([own is not None and value in own for own in values], bool) for value in often)
