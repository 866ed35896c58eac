"""Predicates in words: a title for a list, and a clause for a sentence about jobs.

Foreign text is quoted, shortened and without control characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MOST_TEXT = 60
_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES = {
    "name": "name",
    "name.length": "name length",
    "name.family": "name family",
    "script": "script",
    "group": "group",
    "node": "node",
    "priority": "priority",
    "args.count": "argument count",
    "queueWait": "wait in the queue",
    "concurrency": "jobs at once on the node",
    "duration": "run time",
    "peakRssBytes": "peak memory",
    "cpuSeconds": "CPU time",
    "readBytes": "bytes read",
    "writeBytes": "bytes written",
    "outputBytes": "bytes printed",
    "previousOnNode": "previous job on the node",
    "submit.hour": "hour of submission",
    "submit.weekday": "day of submission",
}


def clean(text: str) -> str:
    """Foreign text as it may stand in a sentence."""
    short = text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
    return printable(short)


def printable(text: str) -> str:
    """Text in which nothing can move a cursor, hide or reverse what follows: such characters are shown escaped, all others as they are."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


def quoted(text: str) -> str:
    """A name in a sentence."""
    return f"“{clean(text)}”"


def size(value: float) -> str:
    """Bytes for a person."""
    for unit, factor in _UNITS:
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:,.0f} bytes"


def span(ms: float) -> str:
    """Milliseconds for a person."""
    if ms < 1000:
        return f"{ms:g} ms"
    if ms < 120_000:
        return f"{ms / 1000:g} s"
    return f"{ms / 60_000:.3g} min" if ms < 7_200_000 else f"{ms / 3_600_000:.3g} h"


def hours(value: int | Sequence[int]) -> str:
    """A window of the day: `02:00 and 05:00`."""
    window = [value] if isinstance(value, int) else list(value)
    return f"{window[0]:02d}:00 and {(window[-1] + 1) % 24:02d}:00"


def title(attribute: str, op: str, value: Any) -> str:
    """A predicate as an entry of a list: `Node n3`, `--batch > 64`."""
    if value is None:
        return _upper(f"{_name(attribute)} unknown")
    if attribute in _TITLES:
        return _TITLES[attribute](value)
    if attribute.startswith("args.") and attribute not in _AMOUNTS:
        return f"{clean(attribute[5:])} {_sign(op)} {clean(str(value))}"
    if op == "==":
        return _upper(f"{_name(attribute)} {clean(str(value))}")
    return _upper(f"{_name(attribute)} {op} {_amount(attribute, value)}")


def clause(attribute: str, op: str, value: Any) -> str:
    """A predicate behind the word “jobs”: `on node n3`, `with --batch > 64`."""
    if value is None:
        return f"of unknown {_name(attribute)}"
    if attribute in _CLAUSES:
        return _CLAUSES[attribute](value)
    if attribute.startswith("args.") and attribute not in _AMOUNTS:
        return f"with {clean(attribute[5:])} {_sign(op)} {clean(str(value))}"
    if attribute in _AMOUNTS:
        return _AMOUNTS[attribute](op == ">", _amount(attribute, value))
    return f"with {_name(attribute)} {_sign(op)} {clean(str(value))}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sign(op: str) -> str:
    return {"==": "=", "!=": "≠", "<=": "≤"}.get(op, op)


def _name(attribute: str) -> str:
    return _NAMES.get(attribute, clean(attribute))


def _amount(attribute: str, value: Any) -> str:
    if attribute in {"queueWait", "duration"}:
        return span(value)
    if attribute == "cpuSeconds":
        return span(value * 1000)
    if attribute.endswith("Bytes"):
        return size(value)
    return f"{value:,}" if isinstance(value, int | float) else clean(str(value))


def _days(value: int | Sequence[int]) -> str:
    return " or ".join(_DAYS[day] for day in ([value] if isinstance(value, int) else value))


_TITLES: dict[str, Callable[[Any], str]] = {
    "name": lambda value: f"Job name {quoted(value)}",
    "name.family": lambda value: f"Job name like {quoted(value)}",
    "name.token": lambda value: f"Job name contains {quoted(value)}",
    "name.prefix": lambda value: f"Job name starts with {clean(value)}",
    "name.hasDigits": lambda _: "Job name contains digits",
    "args.has": lambda value: f"Argument {quoted(value)}",
    "args.pathPrefix": lambda value: f"A path below {quoted(value)}",
    "submit.hour": lambda value: f"Submitted between {hours(value)}",
    "submit.weekday": lambda value: f"Submitted on {_days(value)}",
    "previousOnNode": lambda value: f"Previous job on the node {value}",
}

_CLAUSES: dict[str, Callable[[Any], str]] = {
    "name": lambda value: f"named {quoted(value)}",
    "name.family": lambda value: f"with a name like {quoted(value)}",
    "name.token": lambda value: f"with {quoted(value)} in their name",
    "name.prefix": lambda value: f"whose name starts with {clean(value)}",
    "name.hasDigits": lambda _: "with digits in their name",
    "script": lambda value: f"of script {clean(value)}",
    "group": lambda value: f"of group {quoted(value)}",
    "node": lambda value: f"on node {clean(value)}",
    "args.has": lambda value: f"with argument {quoted(value)}",
    "args.pathPrefix": lambda value: f"with a path below {quoted(value)}",
    "submit.hour": lambda value: f"submitted between {hours(value)}",
    "submit.weekday": lambda value: f"submitted on a {_days(value)}",
    "previousOnNode": lambda value: f"before which the last one on their node {value}",
    "retries": lambda _: "that were retried",
}

_AMOUNTS: dict[str, Callable[[bool, str], str]] = {
    "name.length": lambda more, amount: (
        f"whose name is {'longer than' if more else 'at most'} {amount} characters{'' if more else ' long'}"
    ),
    "args.count": lambda more, amount: (
        f"with {'more than' if more else 'at most'} {amount} argument{'' if amount == '1' else 's'}"
    ),
    "priority": lambda more, amount: f"with a priority {'above' if more else 'of at most'} {amount}",
    "queueWait": lambda more, amount: f"that waited {'longer than' if more else 'at most'} {amount}",
    "concurrency": lambda more, amount: (
        f"started with {'more than' if more else 'at most'} {amount} at once on their node"
    ),
    "duration": lambda more, amount: f"that ran {'longer than' if more else 'at most'} {amount}",
    "peakRssBytes": lambda more, amount: f"that used {'more than' if more else 'at most'} {amount} of memory",
    "cpuSeconds": lambda more, amount: f"that used {'more than' if more else 'at most'} {amount} of CPU time",
    "readBytes": lambda more, amount: f"that read {'more than' if more else 'at most'} {amount}",
    "writeBytes": lambda more, amount: f"that wrote {'more than' if more else 'at most'} {amount}",
    "outputBytes": lambda more, amount: f"that printed {'more than' if more else 'at most'} {amount}",
}
