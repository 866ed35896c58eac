"""Names that a person set and that are no settings: an unknown `JOBMGR_*`, and what in `.env` all but is one of ours that has no prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from jobmgr.environment import Environment

ALL_BUT_THE_SAME = 0.85
"""How like a name must be to one of ours (`difflib` ratio): one letter missing or too many, in longer names also two exchanged anywhere."""

_OF_OTHERS = frozenset({"DATABASE_URI", "DB_PASSWD", "PORTS"})
"""Names that others use for purposes of their own."""

_OWN = frozenset(
    # What a job of jobmgr sees: a server may be started from inside one.
    {f"JOBMGR_{word}" for word in ("JOB_ID", "JOB_NAME", "TASK_INDEX", "ATTEMPT", "RUN", "CHECKPOINT", "REPORT")}
)


def doubtful(found: Environment, known: Sequence[str]) -> Iterable[str]:
    """A warning for each; `known` are the settings that there are."""
    yield from _unknown(found, known)
    yield from _misspelt(found, known)


def _unknown(found: Environment, known: Sequence[str]) -> Iterable[str]:
    for name in sorted({*found.from_file, *found.own}):
        if name.startswith("JOBMGR_") and name not in known and name not in _OWN:
            near = get_close_matches(name, known, n=1)
            where = "" if name in found.own else f"{found.file}: "
            yield f"{where}{name} is not a setting of jobmgr" + (f"; did you mean {near[0]}?" if near else ".")


def _misspelt(found: Environment, known: Sequence[str]) -> Iterable[str]:
    """Only in `.env`: in the environment such names are the business of others."""
    ours = [name for name in known if not name.startswith("JOBMGR_")]
    for name in sorted(found.from_file):
        typed = name.upper()
        near = _swapped(typed, ours) or get_close_matches(typed, ours, n=1, cutoff=ALL_BUT_THE_SAME)
        if near and name not in (*ours, *_OF_OTHERS):
            yield f"{found.file}: {name} is not a setting of jobmgr; did you mean {near[0]}?"


def _swapped(typed: str, ours: Iterable[str]) -> list[str]:
    """The one of ours that two neighbouring letters exchanged make of this; `difflib` finds them far apart in a short name."""
    meant = {typed[:at] + typed[at + 1] + typed[at] + typed[at + 2 :] for at in range(len(typed) - 1)}
    return [name for name in ours if name in meant and name != typed]
