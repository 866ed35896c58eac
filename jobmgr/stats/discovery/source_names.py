"""What a job's name tells: itself, its family (digits as `#`), the words in it, its length, whether it has digits.

Each distinct name is judged once; a row's levels are looked up by its name's code.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.discovery.attributes import MOST_LEVELS, Attribute, Scale, View
from jobmgr.stats.discovery.levels import cuts
from jobmgr.stats.discovery.source_texts import frequent

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_TOKENS = 80
MOST_JUDGED = 20_000
"""The most frequent names suggest families and words; all are then judged by them."""

_digits = re.compile(r"[0-9]+").sub
_words = re.compile(r"[^\W\d_]+").findall
_has_digit = re.compile("[0-9]").search


def family(name: str) -> str:
    """The name with every number in it as `#`."""
    return _digits("#", name)


def words(name: str) -> set[str]:
    """The words in a name, in lower case: letters between whatever are none; one letter is no word."""
    return {word for word in _words(name.lower()) if len(word) > 1}


@dataclass(slots=True)
class NameSource:
    """Attributes that follow from the name alone."""

    attributes: list[Attribute] = field(default_factory=list)
    judged: int = 0
    """So many of the distinct names have their column in `table`."""
    table: Array | None = None
    """Level by attribute and name code; a last column for the unknown name."""

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        names = view.columns.names.values
        if self.table is None or self.judged < len(names):
            table = np.empty((len(self.attributes), len(names) + 1), "u1")
            if self.table is not None:
                table[:, : self.judged] = self.table[:, : self.judged]
            for code in range(self.judged, len(names)):
                table[:, code] = self._judge(names[code])
            table[:, UNKNOWN] = [attribute.unknown for attribute in self.attributes]
            self.table, self.judged = table, len(names)
        return np.take(self.table, view["name"], axis=1)

    def _judge(self, name: str) -> list[int]:
        own, kin = words(name), family(name)
        return [_level(attribute, name, kin, own) for attribute in self.attributes]


def _level(attribute: Attribute, name: str, kin: str, own: set[str]) -> int:
    if attribute.scale is Scale.FLAG:
        [value] = attribute.values
        return int(value in own if attribute.name == "name.token" else _has_digit(name) is not None)
    if attribute.scale is Scale.ORDERED:
        return sum(len(name) > cut for cut in attribute.values)
    value = kin if attribute.name == "name.family" else name
    return attribute.values.index(value) if value in attribute.values else attribute.other


def of_history(view: View, least: int) -> NameSource:
    """Name, family, words, length, digits: each where names differ in it."""
    import numpy as np

    codes = view["name"]
    known = codes[codes != UNKNOWN]
    if len(known) == 0:
        return NameSource()
    counts = np.bincount(known)
    order = np.argsort(-counts, kind="stable")[:MOST_JUDGED]
    texts = view.columns.names.values
    often = {texts[code]: int(counts[code]) for code in order if counts[code]}
    attributes = [Attribute("name", Scale.NOMINAL, tuple(texts[code] for code in frequent(known, least)))]
    attributes += [_families(often, least), *_tokens(often, least, len(known))]
    lengths = np.repeat([len(name) for name in often], list(often.values()))
    attributes.append(Attribute("name.length", Scale.ORDERED, tuple(int(cut) for cut in cuts(lengths))))
    if any(map(_has_digit, often)):
        attributes.append(Attribute("name.hasDigits", Scale.FLAG, (True,)))
    return NameSource([attribute for attribute in attributes if attribute.values])


def _families(often: dict[str, int], least: int) -> Attribute:
    """Only families of several names: another is its name."""
    sizes: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for name, count in often.items():
        sizes[family(name)] += count
        members[family(name)] += 1
    chosen = [kin for kin, size in sizes.most_common(MOST_LEVELS) if size >= least and members[kin] > 1]
    return Attribute("name.family", Scale.NOMINAL, tuple(chosen))


def _tokens(often: dict[str, int], least: int, total: int) -> list[Attribute]:
    """Words that several names share, and not all."""
    sizes: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for name, count in often.items():
        for word in words(name):
            sizes[word] += count
            members[word] += 1
    shared = [word for word, size in sizes.most_common() if members[word] > 1 and least <= size <= total - least]
    return [Attribute("name.token", Scale.FLAG, (word,)) for word in shared[:MOST_TOKENS]]
