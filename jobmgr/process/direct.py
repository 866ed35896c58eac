"""The launcher without a keeper: programs are children of the server itself and end with it. For Windows, and where no keeper can run.

Meets `launcher.Launcher` with asyncio's subprocesses. What it cannot give: runs do not survive the server; `Ended.usage` is None and
`core_dumped` False (asyncio reaps the child and keeps its account to itself); the report file is not at fd 3, only in JOBMGR_REPORT; a daemon
that clears its environment may escape (`portable_tree`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import signal as signals
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import psutil

from jobmgr import clock
from jobmgr.process import portable_tree, spawn_errors
from jobmgr.process.launcher import Because, Begun, Ended, Found, Launch, OnReports, SpawnFailed, Unbegun
from jobmgr.process.run_files import open_regular

if sys.platform == "linux":
    from jobmgr.process import kernel, output_cap, tree

_BUSY_RETRY_S = 0.05
_BUSY_LIMIT_S = 1.0
_FIRST_LOOK_S = 0.01
_SLOWEST_LOOK_S = 0.25
_UNKILLABLE_S = 30.0
_CAP_LOOK_S = 1.0
_KILL = 9


@dataclass(slots=True, eq=False)
class _Run:
    """One run that began; lives in memory only."""

    launch: Launch
    pid: int
    started_at: int
    started_boot: int
    known: set[psutil.Process]
    because: Because = ""
    paused: bool = False
    kill_at: float | None = None
    """Loop time at which the grace of a stop ends."""
    timeout_left: float | None = None
    signalled: set[psutil.Process] = field(default_factory=set)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def members(self) -> set[psutil.Process]:
        return portable_tree.members(self.launch.run, self.known)


class DirectLauncher:
    """Start programs as children of this process."""

    survives = False

    def __init__(self, *, environment: Mapping[str, str], on_reports: OnReports) -> None:
        self._environment = dict(environment)
        self._on_reports = on_reports
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, _Run] = {}
        self._unwanted: dict[str, Because] = {}
        """Runs that were stopped before they began, and why."""
        self._closed = False

    async def open(self) -> None:
        """On Linux orphans of the jobs become our children, so that we see what they leave behind."""
        if sys.platform == "linux":
            kernel.become_subreaper()

    async def recover(self) -> dict[str, Found]:
        """Nothing outlives a server that launched directly."""
        return {}

    def launch(self, launches: Sequence[Launch]) -> None:
        """Ask for these runs."""
        for launch in launches:
            if self._closed:
                self._on_reports([Unbegun(launch.run, "The server is leaving.")])
                continue
            task = asyncio.get_running_loop().create_task(self._live(launch), name=f"run {launch.run}")
            self._asked[launch.run] = task
            task.add_done_callback(functools.partial(self._forget, launch.run))

    def stop(
        self, run: str, because: Because = "stop", *, grace_s: float | None = None, signal: int | None = None
    ) -> None:
        """Stop the whole tree of a run."""
        held = self._runs.get(run)
        if held is None:
            if run in self._asked:  # On its way: not cancelled, a child may exist already.
                self._unwanted.setdefault(run, because)
            return
        first = held.kill_at is None
        grace = held.launch.stop_timeout_s if grace_s is None else max(grace_s, 0.0)
        kill_at = asyncio.get_running_loop().time() + grace
        held.kill_at = kill_at if held.kill_at is None else min(held.kill_at, kill_at)
        if first:
            held.because = because
            self._ask(held, signal or held.launch.stop_signal)
        self._arm(held, "kill", max(held.kill_at - asyncio.get_running_loop().time(), 0.0), self._kill)

    def signal(self, run: str, number: int) -> None:
        """Send one signal to the leader of a run."""
        held = self._runs.get(run)
        if held is not None:
            for process in held.known:
                if process.pid == held.pid:
                    portable_tree.send(process, number)

    def pause(self, run: str) -> None:
        """Freeze the tree; its timeout stands still."""
        held = self._runs.get(run)
        if held is None or held.paused or held.kill_at is not None:
            return
        held.paused = True
        timer = held.timers.pop("timeout", None)
        if timer is not None:
            held.timeout_left = timer.when() - asyncio.get_running_loop().time()
            timer.cancel()
        for process in held.members():
            portable_tree.suspend(process, on=True)

    def resume(self, run: str) -> None:
        """Let a frozen tree go on."""
        held = self._runs.get(run)
        if held is None or not held.paused:
            return
        held.paused = False
        if held.timeout_left is not None:
            self._arm(held, "timeout", held.timeout_left, self._time_out)
        for process in held.members():
            portable_tree.suspend(process, on=False)

    def ack(self, runs: Sequence[str]) -> None:
        """Nothing is remembered here beyond the report."""

    async def close(self) -> None:
        """Stop everything and wait for it."""
        self._closed = True
        for run in list(self._asked):
            self.stop(run, "shutdown")
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    # --- the life of one run

    def _forget(self, run: str, task: asyncio.Task[None]) -> None:
        self._asked.pop(run, None)
        self._unwanted.pop(run, None)
        task.result()  # An error here is one of ours: let the event loop say so.

    async def _live(self, launch: Launch) -> None:
        process = await self._start(launch)
        if process is None:
            return
        held = self._hold(launch, process.pid)
        if launch.run in self._unwanted:
            self.stop(launch.run, self._unwanted[launch.run])
        code = await process.wait()
        for timer in held.timers.values():
            timer.cancel()
        left = held.members() if self._may_have_left(held) else set()
        ended = self._ended(held, code, len(left))
        requested = held.kill_at is not None
        if left and requested:
            await self._clean_up(held)
        self._runs.pop(launch.run, None)
        self._on_reports([ended])
        if left and not requested and launch.leftovers == "stop":
            await self._clean_up(held)

    async def _start(self, launch: Launch) -> asyncio.subprocess.Process | None:
        """The child, or None when it was reported why there is none."""
        give_up_at = asyncio.get_running_loop().time() + _BUSY_LIMIT_S
        while True:
            if launch.run in self._unwanted:
                self._on_reports([Unbegun(launch.run, "It was stopped before it began.")])
                return None
            try:
                return await self._spawn(launch)
            except (OSError, ValueError) as error:
                number = getattr(error, "errno", None) or errno.EINVAL
                if number == errno.ETXTBSY and asyncio.get_running_loop().time() < give_up_at:
                    await asyncio.sleep(_BUSY_RETRY_S)
                    continue
                self._on_reports([self._refused(launch, number, error)])
                return None

    async def _spawn(self, launch: Launch) -> asyncio.subprocess.Process:
        program = spawn_errors.resolve(launch.argv[0], self._env(launch).get("PATH"), launch.cwd)
        if sys.platform != "win32" and "/" not in program:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
        with _files(launch) as (stdin, stdout, stderr):
            return await asyncio.create_subprocess_exec(
                *launch.argv,
                executable=None if sys.platform == "win32" else program,
                cwd=launch.cwd,
                env=self._env(launch),
                start_new_session=sys.platform != "win32",
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )

    def _env(self, launch: Launch) -> dict[str, str]:
        return {**self._environment, **launch.env, portable_tree.MARK: launch.run}

    def _refused(self, launch: Launch, number: int, error: Exception) -> SpawnFailed | Unbegun:
        if number in spawn_errors.SHORTAGES or (isinstance(error, _FileTrouble) and number == errno.ENOENT):
            return Unbegun(launch.run, str(error))
        if isinstance(error, _FileTrouble):
            sentence = f"A file of the run cannot be opened: {error.strerror} ({error.filename})."
            return SpawnFailed(launch.run, number, sentence)
        if not isinstance(error, OSError):
            return SpawnFailed(launch.run, number, f"The arguments or the environment cannot be passed on: {error}.")
        if error.filename == launch.cwd and not (os.path.isdir(launch.cwd) and os.access(launch.cwd, os.X_OK)):
            return SpawnFailed(launch.run, number, spawn_errors.explain_cwd(number, launch.cwd))
        return SpawnFailed(launch.run, number, spawn_errors.explain(number, launch.argv, launch.cwd, self._env(launch)))

    def _hold(self, launch: Launch, pid: int) -> _Run:
        known: set[psutil.Process] = set()
        ticks = 0
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(pid)
            known.add(leader)
            ticks = int(leader.create_time() * 100)
        if sys.platform == "linux" and (found := tree.find(pid)) is not None:
            ticks = found.start_ticks
        held = _Run(launch, pid, clock.now_us(), clock.boot_us(), known)
        self._runs[launch.run] = held
        if launch.timeout_s is not None:
            self._arm(held, "timeout", launch.timeout_s, self._time_out)
        if launch.deadline_us is not None:
            left = (launch.deadline_us - clock.boot_us()) / clock.MICROSECONDS
            self._arm(held, "deadline", left, lambda run: self.stop(run.launch.run, "deadline"))
        self._arm(held, "cap", _CAP_LOOK_S, self._enforce_cap)
        self._on_reports([Begun(launch.run, pid, ticks, held.started_at)])
        return held

    def _ended(self, held: _Run, code: int, leftovers: int) -> Ended:
        launch = held.launch
        by_signal = code < 0 and sys.platform != "win32"
        size = 0
        with contextlib.suppress(OSError):
            size = os.stat(launch.output).st_size
        return Ended(
            launch.run,
            None if by_signal else code,
            -code if by_signal else None,
            held.because,
            pid=held.pid,
            started_at=held.started_at,
            ended_at=clock.now_us(),
            duration_us=clock.boot_us() - held.started_boot,
            output_bytes=size,
            leftovers=leftovers,
        )

    # --- stopping

    def _time_out(self, held: _Run) -> None:
        self.stop(held.launch.run, "timeout")

    def _ask(self, held: _Run, number: int) -> None:
        for process in held.members():
            with contextlib.suppress(OSError):
                if sys.platform == "win32" or os.getpgid(process.pid) == held.pid:
                    portable_tree.send(process, number)
            if sys.platform != "win32" and (held.paused or process.pid == held.pid):
                portable_tree.send(process, signals.SIGCONT)
        held.paused = False

    def _kill(self, held: _Run) -> None:
        """The leader's end is what `_live` waits for; it sees to the rest."""
        for process in held.members():
            portable_tree.send(process, _KILL)
        self._arm(held, "kill", _SLOWEST_LOOK_S, self._kill)

    async def _clean_up(self, held: _Run) -> None:
        """Signal what is left until nothing is, or nothing can be done."""
        loop = asyncio.get_running_loop()
        held.kill_at = loop.time() + held.launch.stop_timeout_s if held.kill_at is None else held.kill_at
        pause = _FIRST_LOOK_S
        while (left := held.members()) and loop.time() < held.kill_at + _UNKILLABLE_S:
            killing = loop.time() >= held.kill_at
            for process in left:
                if killing:
                    portable_tree.send(process, _KILL)
                elif process not in held.signalled:
                    held.signalled.add(process)
                    portable_tree.send(process, held.launch.stop_signal)
            await asyncio.sleep(min(pause, max(held.kill_at - loop.time(), _FIRST_LOOK_S)))
            pause = min(pause * 2, _SLOWEST_LOOK_S)
        _reap(held)

    def _may_have_left(self, held: _Run) -> bool:
        """One look at our own children tells on Linux whether a look at all processes is worth its time."""
        if sys.platform == "linux" and held.kill_at is None:
            leaders = {other.pid for other in self._runs.values() if other is not held}
            return any(pid not in leaders for pid in tree.children())
        return True

    def _enforce_cap(self, held: _Run) -> None:
        if sys.platform == "linux":
            for path in filter(None, (held.launch.output, held.launch.errors)):
                with contextlib.suppress(OSError), open(path, "ab", opener=open_regular) as file:
                    output_cap.enforce(file.fileno(), held.launch.output_cap_bytes)
            self._arm(held, "cap", _CAP_LOOK_S, self._enforce_cap)

    def _arm(self, held: _Run, name: str, delay: float, action: Any) -> None:
        former = held.timers.pop(name, None)
        if former is not None:
            former.cancel()
        held.timers[name] = asyncio.get_running_loop().call_later(delay, action, held)


class _FileTrouble(OSError):
    """A file of the run, not the program, is the trouble."""


@contextlib.contextmanager
def _files(launch: Launch) -> Iterator[tuple[IO[bytes] | int, IO[bytes], IO[bytes]]]:
    with contextlib.ExitStack() as stack:
        try:
            output = stack.enter_context(open(launch.output, "ab", opener=open_regular))
            stack.enter_context(open(launch.report, "ab", opener=open_regular))
            errors = stack.enter_context(open(launch.errors, "ab", opener=open_regular)) if launch.errors else output
            stdin = (
                stack.enter_context(open(launch.stdin, "rb", opener=open_regular))
                if launch.stdin
                else asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            raise _FileTrouble(error.errno, error.strerror, error.filename) from error
        yield stdin, output, errors


def _reap(held: _Run) -> None:
    """Orphans that became ours: nobody else waits for them."""
    if sys.platform != "win32":
        for process in held.known:
            if process.pid != held.pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
