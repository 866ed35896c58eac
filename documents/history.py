"""The table of docs/history.md: each field of a line, from the one place where it is said."""

from __future__ import annotations

from jobmgr.history import FIELDS


def fields_table() -> str:
    """The fields in their order."""
    rows = [f"| `{each.name}` | {each.kind} | {each.meaning} |" for each in FIELDS]
    return "\n".join(["| field | type or unit | meaning |", "| --- | --- | --- |", *rows, ""])
