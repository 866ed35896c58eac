"""The settings as documents: `.env.example` and the table in docs/operations.md, both from the definitions in jobmgr/config.py."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from jobmgr.config import Settings

HEADINGS = {
    "PORT": "Where it listens, and who may ask",
    "JOB_SCRIPT_PATH": "What it runs",
    "MAX_CONCURRENT_TASKS": "How it runs it, and how it leaves",
    "JOBMGR_DATA_DIR": "What it keeps, and for how long",
    "JOBMGR_WEBHOOK_HOSTS": "Whom it tells",
    "JOBMGR_LOG_FILE": "What it writes and how it is called",
}
"""Each stands before the setting that it names; what follows there belongs to it up to the next."""

DEPENDS = {
    "MAX_CONCURRENT_TASKS": ("the number of cores", "4"),
    "JOBMGR_NODE_NAME": ("the name of the machine, `-` and the port", ""),
    "JOBMGR_LAUNCHER": ("keeper on Linux, else direct", "keeper"),
    "JOB_SCRIPT_PATH": ("", "scripts/jobs/sample.sh"),
}
"""Defaults that depend on where they are read: in words, and an example."""

UNITS = {"BYTES": "bytes", "DAYS": "days", "HOURS": "hours", "TIMEOUT": "seconds", "DELAY": "seconds"}
"""By the last word of a name."""

_EXAMPLE_HEAD = """\
# Settings of jobmgr. Copy this file to .env and uncomment what you change; a variable of the environment wins over .env,
# an empty value means unset. Relative paths start at the directory of .env. What stands here are the defaults.
"""
_WIDTH = 140


def example() -> str:
    """The text of `.env.example`."""
    lines = [_EXAMPLE_HEAD]
    for name, field in _settings():
        if name in HEADINGS:
            lines.append(f"# --- {HEADINGS[name]}\n")
        words, shown = DEPENDS.get(name, ("", _default(field)))
        notes = [_sentence(name, field), f"Default: {words}." if words else ""]
        text = " ".join(note.replace("`", "") for note in notes if note)
        lines += [*(f"# {line}" for line in textwrap.wrap(text, _WIDTH)), f"# {name}={shown}\n"]
    return "\n".join(lines)


def table() -> str:
    """All settings as a table, for docs/operations.md."""
    lines = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for name, field in _settings():
        if name in HEADINGS:
            lines.append(f"| **{HEADINGS[name]}** | | | |")
        words, _ = DEPENDS.get(name, ("", ""))
        default = words or (f"`{_default(field)}`" if _default(field) else "unset")
        lines.append(f"| `{name}` | {default} | {_unit(name)} | {field.description} |")
    return "\n".join(lines)


def _settings() -> Iterator[tuple[str, FieldInfo]]:
    for field in Settings.model_fields.values():
        if not (field.alias and field.description):
            raise ValueError(f"a setting without name or description: {field}")
        yield field.alias, field


def _sentence(name: str, field: FieldInfo) -> str:
    text = (field.description or "").rstrip(".")
    return f"{text}." + (f" In {unit}." if (unit := _unit(name)) else "")


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2], "")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.as_posix() if isinstance(value, Path) else f"{value:.0f}" if isinstance(value, float) else str(value)
