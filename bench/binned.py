"""A history as tools of others want it: one column an attribute, a small number a value. Numbers in five quantiles, unknown as a value of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cases.facts import NUMBERS, SETS, TEXTS, Facts
from bench.cases.table import Array

BINS = 5
LEVELS = 60
SWITCHES = 12
"""So many of the most frequent words, arguments and directories get a column of their own."""


@dataclass(frozen=True, slots=True)
class Binned:
    """`codes[i, j]`: the value of task i in column j, from 1 on."""

    columns: tuple[str, ...]
    codes: Array

    def tasks(self, conditions: Sequence[tuple[int, int]]) -> Array:
        """Which tasks have these values: pairs of column and code."""
        mask = np.ones(len(self.codes), bool)
        for column, code in conditions:
            mask &= self.codes[:, column] == code
        return mask


def binned(facts: Facts) -> Binned:
    """All attributes that differ between these tasks."""
    columns = [(name, codes) for name, codes in _columns(facts) if len(np.unique(codes)) > 1]
    return Binned(tuple(name for name, _ in columns), np.stack([codes for _, codes in columns], axis=1))


def _columns(facts: Facts) -> Iterator[tuple[str, Array]]:
    least = max(10, len(facts.rows) // 100)
    given = Counter(flag for flags in facts.flags for flag in flags)
    valued = Counter(flag for flags in facts.flags for flag, value in flags.items() if value is not None)
    flags = [flag for flag, count in given.items() if count >= least and valued[flag] > count / 2]
    for attribute in NUMBERS:
        yield attribute, _quantiles(facts.numbers(attribute))
    for attribute in [*TEXTS, "previousOnNode"]:
        yield attribute, _levels(facts.texts(attribute))
    for flag in flags:
        numbers = facts.numbers(f"args.{flag}")
        known = int((~np.isnan(numbers)).sum())
        yield f"args.{flag}", _quantiles(numbers) if known >= least else _levels(facts.texts(f"args.{flag}"))
    for attribute in SETS:
        values = [None if own is None else own.difference(flags) for own in facts.texts(attribute)]
        yield from _switches(attribute, values, least)


def _quantiles(numbers: Array) -> Array:
    known = numbers[~np.isnan(numbers)]
    if len(known) == 0:
        return np.ones(len(numbers), "i8")
    cuts = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    return np.where(np.isnan(numbers), 1, np.searchsorted(cuts, numbers, side="left") + 2)


def _levels(values: list[Any]) -> Array:
    often = {value: code for code, (value, _) in enumerate(Counter(values).most_common(LEVELS), 2)}
    return np.array([often.get(value, 1) for value in values])


def _switches(attribute: str, values: list[Any], least: int) -> Iterator[tuple[str, Array]]:
    counts = Counter(value for own in values for value in own or ())
    for value, _ in counts.most_common(SWITCHES):
        if least <= counts[value] <= len(values) - least:
            yield f"{attribute} {value}", np.array([1 + (own is not None and value in own) for own in values])
