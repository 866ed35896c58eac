"""Looking for the process of a run that began without a pid on record: nothing is made up."""

import os
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("a keeper needs Linux", allow_module_level=True)

assert sys.platform == "linux"

# ruff: noqa: E402  What only Linux has is imported after the look at the system.
from jobmgr.process import search, tree
from jobmgr.process.tree import Identity, Process

BEGUN_US = 50_000_000
TICKS = BEGUN_US // search._MICROSECONDS_PER_TICK


def child(
    pid: int, name: str = "job", *, ticks: int = TICKS, alive: bool = False, session: int | None = None
) -> Process:
    """A child of this process in a made-up table."""
    return Process(pid, ticks, os.getpid(), pid, session or pid, name, alive)


def look(
    monkeypatch: pytest.MonkeyPatch,
    *table: Process,
    marks: dict[int, str] | None = None,
    program: str | None = "/x/job",
) -> object:
    """What is found in this world."""
    monkeypatch.setattr(tree, "snapshot", lambda: {process.pid: process for process in table})
    monkeypatch.setattr(tree, "mark", lambda pid: (marks or {}).get(pid, ""))
    monkeypatch.setattr(tree, "is_alive", lambda pid: pid != 999)
    return search.look("run", BEGUN_US, program, {500})


def test_a_marked_leader_is_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the others of its tree."""
    table = (child(11, alive=True, session=10), child(10, alive=True))
    assert look(monkeypatch, *table, marks={10: "run", 11: "run"}) == Identity(10, TICKS)
    assert look(monkeypatch, *table, marks={10: "run"}, program=None) == Identity(10, TICKS)


def test_no_candidate_proves_that_it_never_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where we are the parent; elsewhere nobody can know."""
    others = (child(10, ticks=TICKS - 5), child(500), child(12, alive=True, session=7))
    assert look(monkeypatch, *others) is search.NEVER
    assert look(monkeypatch, *others, program=None) is search.UNKNOWN


def test_a_child_that_has_not_called_exec_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It bears the keeper's name; as a zombie it never called exec at all."""
    assert look(monkeypatch, child(10, "jobmgr-keeper", alive=True)) is search.LATER
    assert look(monkeypatch, child(10, "jobmgr-keeper")) is search.NEVER


def test_a_single_zombie_of_the_programs_name_is_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name, or two of them, and nobody can know."""
    assert look(monkeypatch, child(10)) == Identity(10, TICKS)
    assert look(monkeypatch, child(10, "other")) is search.UNKNOWN
    assert look(monkeypatch, child(10), child(11)) is search.UNKNOWN


def test_one_that_ends_while_we_look_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was alive in the table and lost its mark before that was read."""
    assert look(monkeypatch, child(999, alive=True)) is search.LATER
    assert look(monkeypatch, child(10, alive=True)) is search.UNKNOWN
