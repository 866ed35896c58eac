"""Starting one program: its files opened, its directory entered, its environment made, a session of its own.

Uses `os.posix_spawn` (vfork, exact errno, no code between fork and exec). The working directory is changed in the caller itself, which must
therefore have a single thread: the keeper. Every descriptor but 0-3 is close-on-exec. Standard library only.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobmgr.process import run_files, spawn_errors

assert sys.platform == "linux"

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""A handler does not outlive exec, an ignored signal does; each one to be reset costs a system call while the caller stands still."""


class NotStarted(Exception):
    """Nothing ran. `shortage`: nothing is wrong with the launch, it may be tried again."""

    def __init__(self, number: int, sentence: str, *, shortage: bool) -> None:
        super().__init__(sentence)
        self.errno, self.sentence, self.shortage = number, sentence, shortage


class Started(NamedTuple):
    """A child that runs, and the descriptors of its files that its holder keeps: its outputs, and its report."""

    pid: int
    outputs: tuple[int, ...]
    report: int


def start(launch: Mapping[str, Any], environment: Mapping[str, str], null: int) -> Started:
    """Start what a launch of the keeper's protocol describes. Raises NotStarted; leaves no descriptor open then."""
    env = {**environment, **launch["env"], "JOBMGR_RUN": launch["run"]}
    opened: list[int] = []
    try:
        kept, report, actions = _open_files(launch, null, opened)
        _enter(launch["cwd"])
        pid = _execute(launch["argv"], launch["cwd"], env, actions)
    except NotStarted:
        for fd in opened:
            os.close(fd)
        raise
    for fd in opened:
        if fd not in kept and fd != report:
            os.close(fd)
    return Started(pid, kept, report)


def _open_files(
    launch: Mapping[str, Any], null: int, opened: list[int]
) -> tuple[tuple[int, ...], int, list[tuple[int, int, int]]]:
    held = launch["launch"]
    try:
        output = _opened(held["output"], run_files.CREATE, opened)
        errors = _opened(held["errors"], run_files.CREATE, opened) if held["errors"] else output
        report = _opened(held["report"], run_files.CREATE, opened)
        stdin = _opened(launch["stdin"], os.O_RDONLY, opened) if launch["stdin"] else null
    except OSError as error:
        sentence = f"A file of the run cannot be opened: {error.strerror} ({error.filename})."
        number = error.errno or 0
        # A directory that somebody removed is made anew for the next try; a right that is missing stays missing.
        shortage = number in spawn_errors.SHORTAGES or number == errno.ENOENT
        raise NotStarted(number, sentence, shortage=shortage) from error
    dup = os.POSIX_SPAWN_DUP2
    actions = [(dup, stdin, 0), (dup, output, 1), (dup, errors, 2), (dup, report, 3)]
    return ((output,) if errors == output else (output, errors)), report, actions


def _opened(path: str, flags: int, opened: list[int]) -> int:
    fd = run_files.open_regular(path, flags)
    opened.append(fd)
    return fd


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        number = error.errno or 0
        raise NotStarted(number, spawn_errors.explain_cwd(number, cwd), shortage=False) from error


@functools.cache
def _ignored() -> tuple[int, ...]:
    """What is ignored here, whoever wanted it: a job starts with every signal as usual. Asked once; the keeper sets them at its start."""
    inherited = (number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)
    return tuple({*_IGNORED_BY_PYTHON, *(int(number) for number in inherited)})


def _execute(argv: list[str], cwd: str, env: dict[str, str], actions: list[tuple[int, int, int]]) -> int:
    program = spawn_errors.resolve(argv[0], env.get("PATH"), cwd)
    if "/" not in program:
        raise NotStarted(errno.ENOENT, spawn_errors.explain(errno.ENOENT, argv, cwd, env), shortage=False)
    try:
        return os.posix_spawn(
            program,
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_ignored(),
        )
    except OSError as error:
        number = error.errno or 0
        shortage = number in spawn_errors.SHORTAGES
        sentence = os.strerror(number) if shortage else spawn_errors.explain(number, argv, cwd, env)
        raise NotStarted(number, sentence, shortage=shortage) from error
    except ValueError as error:  # A NUL, or a character that the file system's encoding cannot say.
        raise NotStarted(
            errno.EINVAL, f"The arguments or the environment cannot be passed on: {error}.", shortage=False
        ) from error
