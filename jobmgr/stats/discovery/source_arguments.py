"""What the arguments tell: which are given, the value behind a flag, where paths lie.

`--flag value` and `--flag=value` both give the flag a value; what does not begin with a dash behind a flag is taken for its value, which at worst
says the same thing twice. A flag whose values are mostly numbers is ordered. An argument that stands only behind one flag is left to that flag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import MOST_ARGS, UNKNOWN, number_of
from jobmgr.stats.discovery.attributes import MOST_LEVELS, Attribute, Scale, View
from jobmgr.stats.discovery.levels import cuts, exact
from jobmgr.stats.discovery.source_numbers import plain

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SAMPLE = 30_000
"""So many rows suggest what to look at."""
MOST_FLAGS = 60
MOST_TOKENS, MOST_TOKENS_OF_MANY = 120, 60
"""So many arguments are looked at; of a long history fewer, for each costs a byte a task."""
MANY = 200_000
MOST_PREFIXES = 40
MOST_DEPTH = 4
NUMERIC = 0.9
"""A flag is ordered when this share of its values are numbers."""
OWN = 0.95
"""An argument belongs to a flag when it stands behind it so often."""

NAN = float("nan")

_flag = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.ASCII | re.DOTALL).fullmatch
_setting = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.ASCII | re.DOTALL).fullmatch


def flag_of(text: str) -> tuple[str, str | None] | None:
    """The flag that an argument is, and the value it brings along; None: it is no flag.

    `key=value` is one, too, for the sake of its numbers; else it is an argument like others.
    """
    found = _flag(text) or _setting(text)
    return (found[1], found[2]) if found else None


def prefixes_of(text: str) -> tuple[str, ...]:
    """The directories above an argument that is a path, from the top, at most `MOST_DEPTH`."""
    path = text.rpartition("=")[2]
    if "/" not in path or "://" in path or (path.startswith("-") and path == text):
        return ()
    parts = path.split("/")[:-1]
    first = 2 if path.startswith("/") else 1
    found = tuple("/".join(parts[:depth]) for depth in range(first, min(len(parts), first + MOST_DEPTH - 1) + 1))
    return found or (("/",) if path.startswith("/") else ())


@dataclass(slots=True)
class Judged:
    """What each distinct argument is; one entry a token code."""

    texts: list[str] = field(default_factory=list)
    count: int = 0
    flag: list[int] = field(default_factory=list)
    """Number of its flag, or -1."""
    value: list[str | None] = field(default_factory=list)
    """The value that it brings along, or that it is for a flag before it; None: it is a flag without."""
    number: list[float] = field(default_factory=list)
    """The value as a number, or NaN."""
    prefixes: list[tuple[str, ...]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    flag_codes: Any = None
    brings: Any = None
    """As arrays, with one more entry for unknown tokens: the number of the flag; whether a flag brings its value along."""

    def learn(self, texts: list[str]) -> None:
        """Judge those that are new."""
        import numpy as np

        self.texts = texts
        if self.count == len(texts) and self.flag_codes is not None:
            return
        for text in texts[self.count :]:
            found = flag_of(text)
            self.flag.append(-1 if found is None else self._number(found[0]))
            value = text if found is None else found[1]
            number = None if value is None else number_of(value)
            self.value.append(value)
            self.number.append(NAN if number is None else number)
            self.prefixes.append(prefixes_of(text))
        self.count = len(texts)
        self.flag_codes = np.array([*self.flag, -1], "i4")
        self.brings = np.array([*(value is not None for value in self.value), False])

    def said(self, code: int) -> str:
        """What is given or not by a token: the flag that it is, else itself; `key=value` is itself."""
        flag = self.flags[self.flag[code]] if self.flag[code] >= 0 else ""
        return flag if flag.startswith("-") else self.texts[code]

    def _number(self, flag: str) -> int:
        if flag not in self.numbers:
            self.numbers[flag] = len(self.flags)
            self.flags.append(flag)
        return self.numbers[flag]


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of some rows, flat: which row, which token; and of each flag with a value, which token has that."""

    row: Array
    token: Array
    flag: Array
    """Number of the flag that the argument is, or -1."""
    valued: Array
    """The token that holds the flag's value, or -1."""


@dataclass(slots=True)
class Meaning:
    """What each token means for each attribute; learnt once a token."""

    attributes: Sequence[Attribute]
    having: dict[str, int]
    """By argument: which attribute it makes hold."""
    below: dict[str, int]
    """By directory: which attribute a path below it makes hold."""
    valued: dict[str, int]
    """By flag: which attribute has its values."""
    said: Array
    """For each token the attribute that it makes hold, or -1; one more entry for unknown tokens."""
    prefixed: list[Array]
    """The same for each directory above it."""
    leveled: dict[int, Array]
    """For each attribute with values which level each token is."""
    count: int = 0
    flags: Array | None = None
    """For each flag the attribute that has its values, or -1; one more entry for no flag."""

    @classmethod
    def of(cls, attributes: Sequence[Attribute]) -> Meaning:
        """Of no tokens yet."""
        import numpy as np

        having, below = (
            {one.values[0]: place for place, one in enumerate(attributes) if one.name == name}
            for name in ("args.has", "args.pathPrefix")
        )
        valued = {
            one.name.removeprefix("args."): at for at, one in enumerate(attributes) if one.scale is not Scale.FLAG
        }
        nothing = np.array([-1], "i2")
        leveled = {place: np.empty(0, "u1") for place in valued.values()}
        return cls(attributes, having, below, valued, nothing, [nothing] * MOST_DEPTH, leveled)

    def learn(self, judged: Judged) -> None:
        """Take in the tokens that are new."""
        import numpy as np

        if self.flags is None or len(self.flags) <= len(judged.flags):
            self.flags = np.array([*(self.valued.get(flag, -1) for flag in judged.flags), -1], "i2")
        new = range(self.count, judged.count)
        if not new:
            return
        said = [self.having.get(judged.said(code), -1) for code in new]
        self.said = np.array([*self.said[:-1], *said, -1], "i2")
        for depth, known in enumerate(self.prefixed):
            below = [self._below(judged.prefixes[code], depth) for code in new]
            self.prefixed[depth] = np.array([*known[:-1], *below, -1], "i2")
        values, numbers = judged.value[self.count :], np.array(judged.number[self.count :])
        for place, known in self.leveled.items():
            self.leveled[place] = np.concatenate([known, _leveled(self.attributes[place], values, numbers)])
        self.count = judged.count

    def _below(self, prefixes: tuple[str, ...], depth: int) -> int:
        return self.below.get(prefixes[depth], -1) if depth < len(prefixes) else -1

    def read(self, given: Given, levels: Array) -> None:
        """Fill in the levels (attribute × row) that these arguments make."""
        import numpy as np

        for meaning in (self.said, *self.prefixed):
            places = meaning[given.token]
            some = np.flatnonzero(places >= 0)
            levels[places[some], given.row[some]] = 1
        assert self.flags is not None
        places = self.flags[given.flag]
        some = np.flatnonzero((places >= 0) & (given.valued != UNKNOWN))
        places, rows, tokens = places[some], given.row[some], given.valued[some]
        for at in np.flatnonzero(np.bincount(places, minlength=1)):
            here = np.flatnonzero(places == at)
            levels[at, rows[here]] = self.leveled[int(at)][tokens[here]]


def _leveled(attribute: Attribute, values: Sequence[str | None], numbers: Array) -> Array:
    """Which level of an attribute each of these values is."""
    import numpy as np

    if attribute.scale is Scale.NOMINAL:
        named = {value: level for level, value in enumerate(attribute.values)}
        return np.array([named.get(value, attribute.other) for value in values], "u1")
    known = np.isfinite(numbers)
    levels = np.full(len(values), attribute.unknown, "u1")
    levels[known] = np.searchsorted(np.array(attribute.values), numbers[known], side="left")
    return levels


@dataclass(slots=True)
class ArgumentSource:
    """args.--FLAG, args.has, args.pathPrefix."""

    judged: Judged = field(default_factory=Judged)
    attributes: list[Attribute] = field(default_factory=list)
    meaning: Meaning | None = None

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        for place, attribute in enumerate(self.attributes):
            levels[place] = attribute.unknown
        self.judged.learn(view.columns.tokens.values)
        self.meaning = self.meaning or Meaning.of(self.attributes)
        self.meaning.learn(self.judged)
        self.meaning.read(self.given(view), levels)
        return levels

    def given(self, view: View) -> Given:
        """The arguments of these rows, which had better be few."""
        import numpy as np

        self.judged.learn(view.columns.tokens.values)
        count = np.clip(view["args_count"], 0, MOST_ARGS)
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        row = np.repeat(np.arange(len(count), dtype="i4"), count)
        where = np.arange(total) + np.repeat(view["first_token"] - (ends - count), count)
        token = view.columns.arguments[where]
        flag = self.judged.flag_codes[token]
        following = np.full(total, UNKNOWN, "i4")
        if total > 1:
            is_value = (flag[1:] == -1) & (row[1:] == row[:-1])
            following[:-1][is_value] = token[1:][is_value]
        valued = np.where(flag == -1, UNKNOWN, np.where(self.judged.brings[token], token, following))
        return Given(row, token, flag, valued)


def of_history(view: View, least: int) -> ArgumentSource:
    """The flags, arguments and directories that come often enough, and not always."""
    step = max(1, len(view.rows) // SAMPLE)
    sample = View(view.columns, view.rows[::step])
    source = ArgumentSource()
    given = source.given(sample)
    if len(given.row) == 0:
        return source
    enough, rows = max(1, least // step), len(sample.rows)
    flags = _flags(source.judged, given, enough)
    most = MOST_TOKENS if len(view.rows) <= MANY else MOST_TOKENS_OF_MANY
    tokens = _tokens(source.judged, given, enough, rows, most)
    source.attributes = [*flags, *tokens, *_prefixes(source.judged, given, enough, rows)]
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
        if attribute.values and (attribute.scale is Scale.ORDERED or judged.flags[flag].startswith("-")):
            attributes.append(attribute)
    return attributes


def _flag_attribute(name: str, values: Counter[str | None], enough: int) -> Attribute:
    import numpy as np

    numbers = {value: number for value in values if value is not None and (number := number_of(value)) is not None}
    if sum(values[value] for value in numbers) >= NUMERIC * values.total():
        known = np.repeat(list(numbers.values()), [values[value] for value in numbers])
        return Attribute(name, Scale.ORDERED, tuple(plain(cut) for cut in cuts(known)), exact=exact(known))
    often = [value for value, count in values.most_common(MOST_LEVELS) if count >= enough]
    return Attribute(name, Scale.NOMINAL, tuple(often))


def _tokens(judged: Judged, given: Given, enough: int, rows: int, most: int) -> list[Attribute]:
    """Flags that are given or not, and arguments that belong to no flag."""
    import numpy as np

    times = np.bincount(given.token[given.token >= 0], minlength=judged.count)
    behind = np.bincount(given.valued[given.valued != UNKNOWN], minlength=judged.count)
    counts: Counter[str] = Counter()
    for code in np.flatnonzero(times):
        said = judged.said(int(code))
        if said.startswith("-") or "=" in said or behind[code] < OWN * times[code]:
            counts[said] += int(times[code])
    often = [text for text, count in counts.most_common() if enough <= count <= rows - enough]
    return [Attribute("args.has", Scale.FLAG, (text,)) for text in often[:most]]


def _prefixes(judged: Judged, given: Given, enough: int, rows: int) -> list[Attribute]:
    """The directories that come often enough and not always; of those with one and the same content the lowest."""
    import numpy as np

    counts: Counter[str] = Counter()
    times = np.bincount(given.token[given.token >= 0], minlength=judged.count)
    for code in np.flatnonzero(times):
        counts.update(dict.fromkeys(judged.prefixes[code], int(times[code])))
    often = [text for text, count in counts.most_common() if enough <= count <= rows - enough]
    upper = {text.rpartition("/")[0] for text in often if counts[text.rpartition("/")[0]] == counts[text]}
    chosen = [text for text in often if text not in upper][:MOST_PREFIXES]
    return [Attribute("args.pathPrefix", Scale.FLAG, (text,)) for text in chosen]
