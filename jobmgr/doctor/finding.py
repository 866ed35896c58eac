"""One thing that was looked at: what was found, what that means, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`problem`: a server would not start or could not keep what it promises; `warning`: it works, and something is not as it should be."""

    name: str
    level: Level
    found: str
    means: str
    remedy: str = ""


def ok(name: str, found: str, means: str) -> Finding:
    """As it should be."""
    return Finding(name, "ok", found, means)


def warning(name: str, found: str, means: str, remedy: str = "") -> Finding:
    """To be known about."""
    return Finding(name, "warning", found, means, remedy)


def problem(name: str, found: str, means: str, remedy: str = "") -> Finding:
    """To be mended."""
    return Finding(name, "problem", found, means, remedy)


def guarded(name: str, *checks: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of these checks; for one that could not be done, a finding that says so: one bad file must not hide all the rest."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check())
        except OSError as error:
            findings.append(problem(name, f"cannot be looked at: {error}", "nobody knows whether it is in order"))
    return findings
