"""Finding and signalling processes: a pid is never trusted alone."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.waiting import eventually_blocking

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process import tree
from jobmgr.process.tree import Identity, Kinship, Process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own session, marked."""
    with subprocess.Popen(
        ["sleep", "600"], env={"X": "1", "JOBMGR_RUN": "r-1", "Y": ""}, start_new_session=True
    ) as process:
        yield process
        process.kill()


def identity(pid: int) -> Identity:
    """Of a process that is there."""
    found = tree.find(pid)
    assert found is not None
    return found.identity


def test_a_process_is_found_with_its_parent_and_session(sleeper: subprocess.Popen[bytes]) -> None:
    """As the kernel says it."""
    found = tree.find(sleeper.pid)
    assert found is not None
    assert (found.parent, found.group, found.session, found.alive) == (os.getpid(), sleeper.pid, sleeper.pid, True)


@pytest.mark.parametrize("name", ["a) R 1 1 1", "( (", "x y"])
def test_a_process_with_an_odd_name_is_read_right(name: str) -> None:
    """Brackets and spaces in the name shift no field."""
    fields = " ".join(["S", "11", "12", "13", *["0"] * 15, "99", *["0"] * 30])
    assert tree._parse(5, f"5 ({name}) {fields}\n".encode()) == Process(5, 99, 11, 12, 13, name, alive=True)


def test_the_mark_is_read_from_the_environment(sleeper: subprocess.Popen[bytes]) -> None:
    """Empty where there is none, or no process."""
    assert tree.mark(sleeper.pid) == "r-1"
    assert tree.mark(2**22 + 1) == ""


def test_the_mark_is_the_variable_not_its_likeness() -> None:
    """A name that only ends like it does not count."""
    with subprocess.Popen(["sleep", "600"], env={"MY_JOBMGR_RUN": "no", "OTHER": "JOBMGR_RUN=no"}) as process:
        assert tree.mark(process.pid) == ""
        process.kill()


def test_a_signal_reaches_exactly_this_process(sleeper: subprocess.Popen[bytes]) -> None:
    """With the right start time."""
    assert tree.send(identity(sleeper.pid), signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM


def test_fault_17_a_recycled_pid_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    """Another start time is another process."""
    pid, ticks = identity(sleeper.pid)
    assert not tree.send(Identity(pid, ticks - 1), signal.SIGKILL)
    assert sleeper.poll() is None


@pytest.mark.parametrize("pid", [-1, 0, 1, None])
def test_nobody_signals_all_or_itself(monkeypatch: pytest.MonkeyPatch, pid: int | None) -> None:
    """Neither everybody, nor init, nor its own group, nor (None) itself."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda *signal: sent.append(signal))
    assert not tree.send(identity(os.getpid()) if pid is None else Identity(pid, 1), 0)
    tree.send_group(os.getpgrp() if pid is None else pid, 0)
    assert sent == []


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    """It cannot be signalled any more, but is still listed as a child."""
    who = identity(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    eventually_blocking(lambda: not tree.is_same(who))
    assert sleeper.pid in tree.children()
    assert not tree.send(who, 0)


def process(pid: int, parent: int, session: int, *, ticks: int = 100, alive: bool = True) -> Process:
    """One line of a made-up table."""
    return Process(pid, ticks, parent, session, session, "x", alive)


def members(
    table: list[Process], marks: dict[int, str], *, root: int | None, known: list[Identity] | None = None
) -> list[int]:
    """Who belongs to the run led by 1000 in a made-up world."""
    kinship = Kinship({entry.pid: entry for entry in table}, root)
    kinship._marks = {entry.pid: marks.get(entry.pid, "") for entry in table}
    return [found.pid for found in kinship.members("run", Identity(1000, 100), known or [])]


def test_mark_session_and_ancestry_make_a_member() -> None:
    """Each alone is enough below the keeper; a stranger has none of them."""
    table = [
        process(1000, 500, 1000),
        process(1001, 500, 1000),
        process(1002, 500, 1002),
        process(1003, 1002, 1003),
        process(1004, 500, 1004),
    ]
    assert members(table, {1002: "run", 1004: "other"}, root=500) == [1000, 1001, 1002, 1003]


def test_what_does_not_descend_from_the_keeper_is_no_member() -> None:
    """Not even with the mark: it cannot have come from there."""
    assert members([process(1000, 500, 1000), process(1001, 1, 1001)], {1001: "run"}, root=500) == [1000]


def test_a_session_number_used_again_is_not_the_runs() -> None:
    """The leader's pid belongs to somebody who started later."""
    table = [process(1000, 500, 1000, ticks=200), process(1001, 1000, 1000, ticks=201)]
    assert members(table, {1000: "other", 1001: "other"}, root=500) == []
    assert members(table, {}, root=500) == []


def test_without_a_keeper_a_session_counts_only_while_its_leader_is_there() -> None:
    """Otherwise it could be anybody's; a zombie leader still proves it."""
    follower = process(1001, 1, 1000)
    assert members([follower], {}, root=None) == []
    assert members([process(1000, 1, 1000, alive=False), follower], {}, root=None) == [1001]


def test_who_was_a_member_stays_one() -> None:
    """Also when it was orphaned and nothing tells any more."""
    assert members([process(1001, 1, 1001, ticks=7)], {}, root=None, known=[Identity(1001, 7)]) == [1001]
    assert members([process(1001, 1, 1001, ticks=8)], {}, root=None, known=[Identity(1001, 7)]) == []


def test_a_circle_in_a_table_read_while_it_changed_does_no_harm() -> None:
    """Pids may be reused between two lines."""
    assert members([process(1001, 1002, 1), process(1002, 1001, 1)], {}, root=500) == []
    assert members([process(1001, 1002, 1), process(1002, 1001, 1)], {}, root=None) == []


def test_a_process_amid_exec_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    """For a moment it has no environment; that is no proof that it has no mark."""
    answers = [b"", b"", b"A=1\0JOBMGR_RUN=r-2\0"]
    monkeypatch.setattr(tree, "_environment", lambda _: answers.pop(0))
    assert tree.mark(sleeper.pid) == "r-2"
