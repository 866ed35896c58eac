"""The settings: which are wrong, which are not settings at all, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator

from jobmgr.config import Loaded, known_names
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.environment import Environment


def check(found: Environment, loaded: Loaded) -> Iterator[Finding]:
    """All wrong ones at once, then what is doubtful."""
    for text in loaded.problems:
        yield problem(
            "settings",
            text,
            "the server refuses to start; below, its default stands in its place",
            "correct it; .env.example has every setting with its meaning",
        )
    for text in loaded.warnings:
        yield warning("settings", text, "it has no effect", "correct or remove it")
    given = found.given(known_names())
    if not loaded.problems:
        names = ", ".join(sorted(given)) or "none"
        yield ok("settings", f"set: {names}", "all are valid; the others have their defaults")
    yield _file(found)


def _file(found: Environment) -> Finding:
    if found.file is None:
        return ok(".env", f"there is none in {found.base}", "only the environment counts; relative paths start there")
    ours = sorted(set(found.from_file) & set(known_names()))
    hidden = [name for name in ours if name in found.own]
    means = "relative paths start at its directory"
    if hidden:
        means += f"; the environment wins for {', '.join(hidden)}"
    return ok(".env", f"{found.file} sets {', '.join(ours) or 'nothing of jobmgr'}", means)
