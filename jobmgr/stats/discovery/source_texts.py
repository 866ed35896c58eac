"""Texts that stand for themselves: script, group, node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.discovery.attributes import MOST_LEVELS, Attribute, Scale, View

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = {"script": "scripts", "group": "groups", "node": "nodes"}


@dataclass(slots=True)
class TextSource:
    """One attribute a column; its levels are the most frequent texts."""

    codes: dict[str, list[int]]
    """For each column, which text each level is."""
    attributes: list[Attribute] = field(default_factory=list)

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        for place, attribute in enumerate(self.attributes):
            levels[place] = level_of(view[attribute.name], self.codes[attribute.name], attribute)
        return levels


def level_of(values: Array, codes: list[int], attribute: Attribute) -> Array:
    """The level of each coded text."""
    import numpy as np

    highest = max(int(values.max(initial=0)), max(codes, default=0))
    table = np.full(highest + 2, attribute.other, "u1")
    table[codes] = np.arange(len(codes))
    table[UNKNOWN] = attribute.unknown
    return table[values]


def frequent(values: Array, least: int, most: int = MOST_LEVELS) -> list[int]:
    """The codes of the most frequent texts that come often enough, most frequent first."""
    import numpy as np

    counts = np.bincount(values[values != UNKNOWN])
    order = np.argsort(-counts, kind="stable")[:most]
    return [int(code) for code in order if counts[code] >= least]


def of_history(view: View, least: int) -> TextSource:
    """Script, group and node, each if it has more than one value."""
    source = TextSource({})
    for name, dictionary in COLUMNS.items():
        values = view[name]
        codes = frequent(values, least)
        if codes and (len(codes) > 1 or bool((values != codes[0]).any())):
            texts = getattr(view.columns, dictionary).values
            source.codes[name] = codes
            source.attributes.append(Attribute(name, Scale.NOMINAL, tuple(texts[code] for code in codes)))
    return source
