"""Which program a submission means: a script below a directory, or a command of this machine. Looks, runs nothing.

A result is the program's absolute path, or a sentence that says what is wrong and what to do. Whether the file can be executed shows
when it is: it may be changed until then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

MAX_NAMES = 20_000
"""So many names are looked at to find one that was mistyped."""

MAX_COMPARED = 1000
"""So many of them, those of about its length, are compared with it: some 20 ms, as the event loop waits meanwhile."""

MAX_LENGTH_APART = 4
"""Characters: the ending may have been left out."""


def script_below(directory: Path, name: str) -> Path | str:
    """The script of this name in the scripts directory or below; a link out of it is not followed."""
    if not _is_below(directory, name):
        return "name a file below the scripts directory, without .. and leading /"
    if os.path.lexists(directory / name):
        return directory / name
    return f"there is no {name} in the scripts directory{_nearest(name, _names_in(directory), 'put it there first')}"


def is_script(directory: Path, name: str) -> bool:
    """Whether `script_below` finds it, without looking for what else could be meant."""
    return _is_below(directory, name) and os.path.lexists(directory / name)


def command_of(name: str, search_path: str) -> Path | str:
    """The program of a command: a name on the search path (the value of PATH), or an absolute path."""
    if os.path.isabs(name):
        path = Path(name)
        if os.path.lexists(path):
            return path
        return f"there is no {name}{_nearest(path.name, _names_in(path.parent), 'check the path')}"
    if os.path.basename(name) != name:
        return "give an absolute path, or the name of a program on the server's PATH"
    found = shutil.which(name, path=search_path)
    if found is not None and os.path.isabs(found):  # A relative entry of PATH means another file in every directory.
        return Path(found)
    names = (each for place in search_path.split(os.pathsep) if place for each in _names_in(Path(place)))
    return f"there is no {name} on the server's PATH{_nearest(name, names, 'install it, or give its absolute path')}"


def _nearest(name: str, names: Iterator[str], remedy: str) -> str:
    alike = (each for each in islice(names, MAX_NAMES) if abs(len(each) - len(name)) <= MAX_LENGTH_APART)
    near = get_close_matches(name, set(islice(alike, MAX_COMPARED)), n=1)
    return f"; did you mean {near[0]}?" if near else f"; {remedy}"


def _is_below(directory: Path, name: str) -> bool:
    """Whether the name, and the real path, stay in the directory: a link out of it is not followed."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return False
    try:
        return (directory / name).resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError):  # Links in a circle, a name too long: Python has both errors for it.
        return False


def _names_in(directory: Path) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            yield from (entry.name for entry in entries)
    except OSError:
        return
