"""What the arguments tell: which are given, the value behind a flag, where paths lie.

`--flag value` and `--flag=value` both give the flag a value; what does not begin with a dash behind a flag is taken for its value, which at worst
says the same thing twice. A flag whose values are mostly numbers is ordered. An argument that stands only behind one flag is left to that flag.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import MOST_ARGS, UNKNOWN, number_of
from jobmgr.stats.discovery.attributes import MOST_LEVELS, Attribute, Scale, View
from jobmgr.stats.discovery.levels import cuts
from jobmgr.stats.discovery.source_numbers import SAMPLE, plain

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_FLAGS = 40
MOST_TOKENS = 40
MOST_PREFIXES = 20
NUMERIC = 0.9
"""A flag is ordered when this share of its values are numbers."""
OWN = 0.95
"""An argument belongs to a flag when it stands behind it so often."""

_flag = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.ASCII | re.DOTALL).fullmatch


def flag_of(text: str) -> tuple[str, str | None] | None:
    """The flag that an argument is, and the value it brings along; None: it is no flag."""
    found = _flag(text)
    return (found[1], found[2]) if found else None


def prefix_of(text: str) -> str | None:
    """The first two directories of an argument that is a path with one."""
    if "/" not in text or "://" in text or (text.startswith("-") and "=" not in text):
        return None
    path = text.rpartition("=")[2] if text.startswith("-") else text
    directories = path.split("/")[:-1]
    prefix = "/".join(directories[:3] if path.startswith("/") else directories[:2])
    return prefix or ("/" if path.startswith("/") else None)


@dataclass(slots=True)
class Judged:
    """What each distinct argument is; one entry a token code."""

    count: int = 0
    flag: list[int] = field(default_factory=list)
    """Number of its flag, or -1."""
    value: list[str | None] = field(default_factory=list)
    """The value that it brings along, or that it is for a flag before it; None: it is a flag without."""
    prefix: list[str | None] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def learn(self, texts: list[str]) -> None:
        """Judge those that are new."""
        for text in texts[self.count :]:
            found = flag_of(text)
            self.flag.append(-1 if found is None else self._number(found[0]))
            self.value.append(text if found is None else found[1])
            self.prefix.append(prefix_of(text))
        self.count = len(texts)

    def _number(self, flag: str) -> int:
        if flag not in self.numbers:
            self.numbers[flag] = len(self.flags)
            self.flags.append(flag)
        return self.numbers[flag]


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a view, flat: which row, which token; and of each flag with a value, which token has that."""

    row: Array
    token: Array
    flag: Array
    """Number of the flag that the argument is, or -1."""
    valued: Array
    """The token that holds the flag's value, or -1."""


@dataclass(slots=True)
class ArgumentSource:
    """args.--FLAG, args.has, args.pathPrefix."""

    judged: Judged = field(default_factory=Judged)
    attributes: list[Attribute] = field(default_factory=list)

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        given = self.given(view)
        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        tokens = view.columns.tokens
        values = np.array([UNKNOWN, *(self._number_of(code) for code in range(len(tokens)))]) if self._ordered else None
        for place, attribute in enumerate(self.attributes):
            levels[place] = attribute.unknown
            if attribute.scale is Scale.FLAG:
                holds = self._having(attribute)
                levels[place][given.row[holds[given.token]]] = 1
                continue
            here = (given.flag == self.judged.numbers[attribute.name[5:]]) & (given.valued != UNKNOWN)
            code, row = given.valued[here], given.row[here]
            if attribute.scale is Scale.ORDERED:
                assert values is not None
                number = values[code + 1]
                known = np.isfinite(number)
                levels[place][row[known]] = np.searchsorted(np.array(attribute.values), number[known], side="left")
            else:
                levels[place][row] = self._named(attribute)[code]
        return levels

    @property
    def _ordered(self) -> bool:
        return any(attribute.scale is Scale.ORDERED for attribute in self.attributes)

    def _number_of(self, code: int) -> float:
        value = self.judged.value[code]
        number = None if value is None else number_of(value)
        return float("nan") if number is None else number

    def _having(self, attribute: Attribute) -> Array:
        """Which tokens make a flag of ours hold; one more entry for unknown tokens, which do not."""
        import numpy as np

        [wanted] = attribute.values
        if attribute.name == "args.pathPrefix":
            holds = [prefix == wanted for prefix in self.judged.prefix]
        else:
            numbers = self.judged.numbers
            holds = [False] * self.judged.count
            number = numbers.get(wanted)
            if number is not None:
                holds = [flag == number for flag in self.judged.flag]
            elif (code := self._codes.get(wanted)) is not None:
                holds[code] = True
        return np.array([*holds, False])

    _codes: dict[str, int] = field(default_factory=dict)

    def _named(self, attribute: Attribute) -> Array:
        import numpy as np

        places = {value: place for place, value in enumerate(attribute.values)}
        levels = [places.get(value, attribute.other) for value in self.judged.value]
        return np.array([*levels, attribute.other], "u1")

    def given(self, view: View) -> Given:
        """The arguments of these rows."""
        import numpy as np

        texts = view.columns.tokens.values
        self.judged.learn(texts)
        for code in range(len(self._codes), len(texts)):
            self._codes[texts[code]] = code
        count = np.clip(view["args_count"], 0, MOST_ARGS).astype("i8")
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        row = np.repeat(np.arange(len(count)), count)
        where = np.arange(total) + np.repeat(view["first_token"] - (ends - count), count)
        token = view.columns.arguments[where]
        flags = np.array([*self.judged.flag, -1], "i4")
        brings = np.array([*(value is not None for value in self.judged.value), False])
        flag = flags[token]
        following = np.full(total, UNKNOWN, "i8")
        if total > 1:
            is_value = (flag[1:] == -1) & (row[1:] == row[:-1])
            following[:-1][is_value] = token[1:][is_value]
        valued = np.where(flag == -1, UNKNOWN, np.where(brings[token], token, following))
        return Given(row, token, flag, valued)


def of_history(view: View, least: int) -> ArgumentSource:
    """The flags, arguments and directories that come often enough, and not always."""
    step = max(1, len(view.rows) // SAMPLE)
    sample = View(view.columns, view.rows[::step])
    source = ArgumentSource()
    given = source.given(sample)
    if len(given.row) == 0:
        return source
    enough = max(1, least // step)
    rows = len(sample.rows)
    flags = _flags(source.judged, given, enough)
    tokens = _tokens(source, view.columns.tokens.values, given, enough, rows)
    prefixes = _prefixes(source.judged, given, enough, rows)
    source.attributes = [*flags, *tokens, *prefixes]
    return source


def _flags(judged: Judged, given: Given, enough: int) -> list[Attribute]:
    """The flags with values, the most frequent first."""
    import numpy as np

    attributes = []
    valued = given.valued != UNKNOWN
    counts = np.bincount(given.flag[valued], minlength=1)
    for flag in np.argsort(-counts, kind="stable")[:MOST_FLAGS]:
        if counts[flag] < enough:
            break
        values = Counter(judged.value[code] for code in given.valued[valued & (given.flag == flag)])
        attribute = _flag_attribute(f"args.{judged.flags[flag]}", values, enough)
        if attribute.values:
            attributes.append(attribute)
    return attributes


def _flag_attribute(name: str, values: Counter[str | None], enough: int) -> Attribute:
    import numpy as np

    numbers = {value: number for value in values if value is not None and (number := number_of(value)) is not None}
    if sum(values[value] for value in numbers) >= NUMERIC * values.total():
        known = np.repeat(list(numbers.values()), [values[value] for value in numbers])
        return Attribute(name, Scale.ORDERED, tuple(plain(cut) for cut in cuts(known)))
    often = [value for value, count in values.most_common(MOST_LEVELS) if count >= enough]
    return Attribute(name, Scale.NOMINAL, tuple(often))


def _tokens(source: ArgumentSource, texts: list[str], given: Given, enough: int, rows: int) -> list[Attribute]:
    """Flags that are given or not, and arguments that belong to no flag."""
    import numpy as np

    judged = source.judged
    counts: Counter[str] = Counter()
    seen = np.unique(given.row.astype("i8") * (judged.count + 1) + given.token) % (judged.count + 1)
    behind = np.bincount(given.valued[given.valued != UNKNOWN], minlength=judged.count)
    times = np.bincount(given.token[given.token >= 0], minlength=judged.count)
    for code, count in zip(*np.unique(seen, return_counts=True), strict=True):
        if code == judged.count:
            continue
        if judged.flag[code] >= 0:
            counts[judged.flags[judged.flag[code]]] += int(count)
        elif behind[code] < OWN * times[code]:
            counts[texts[code]] += int(count)
    often = [text for text, count in counts.most_common() if enough <= count <= rows - enough]
    return [Attribute("args.has", Scale.FLAG, (text,)) for text in often[:MOST_TOKENS]]


def _prefixes(judged: Judged, given: Given, enough: int, rows: int) -> list[Attribute]:
    import numpy as np

    counts: Counter[str] = Counter()
    for code, count in zip(*np.unique(given.token[given.token >= 0], return_counts=True), strict=True):
        prefix = judged.prefix[code]
        if prefix is not None:
            counts[prefix] += int(count)
    often = [text for text, count in counts.most_common(MOST_PREFIXES) if enough <= count <= rows - enough]
    return [Attribute("args.pathPrefix", Scale.FLAG, (text,)) for text in often]
