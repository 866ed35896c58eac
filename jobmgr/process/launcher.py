"""The contract between the server, which decides, and whatever starts processes for it.

A launcher is handed launches and told to stop, signal or pause runs; what happened comes back as reports, in batches, on the event loop.
Two launchers meet this contract: `keepers.KeeperLauncher` (Linux and other Unixes: jobs survive the server) and
`direct.DirectLauncher` (everywhere: jobs end with the server). One contract suite runs over both.

Assumes one event loop; every method is called on it. Knows runs, never jobs, tasks or attempts. Decides nothing: no retry, no policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Because = Literal["", "stop", "checkpoint", "timeout", "deadline", "lease", "leftover", "shutdown"]
"""Which request ended a run first; empty: none did, the program ended by itself."""

DEFAULT_STOP_SIGNAL = 15
DEFAULT_STOP_TIMEOUT_S = 10.0
DEFAULT_OUTPUT_CAP_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to begin one run. Paths are absolute; `env` is added to the launcher's base environment."""

    run: str
    argv: tuple[str, ...]
    cwd: str
    output: str
    report: str
    env: Mapping[str, str] = field(default_factory=dict)
    errors: str | None = None
    """Where stderr goes; None: into `output`, in true order."""
    stdin: str | None = None
    """A file; None: /dev/null."""
    timeout_s: float | None = None
    """Longest run time; stands still while the run is paused."""
    deadline_us: int | None = None
    """Boot-clock instant (`clock.boot_us`) at which the run is stopped, paused or not."""
    stop_signal: int = DEFAULT_STOP_SIGNAL
    stop_timeout_s: float = DEFAULT_STOP_TIMEOUT_S
    """Grace between `stop_signal` and KILL, for every stop of this run, asked or by a clock."""
    leftovers: Literal["stop", "keep"] = "stop"
    output_cap_bytes: int = DEFAULT_OUTPUT_CAP_BYTES


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run cost: from the kernel's account of the reaped leader and the children it waited for."""

    cpu_us: int
    peak_rss_bytes: int
    """Of the largest single process; never below the launcher's own size, which the kernel counts in before exec."""
    read_bytes: int
    write_bytes: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The program runs. `started_at` is wall time in microseconds, `start_ticks` the kernel's start time (identity with pid)."""

    run: str
    pid: int
    start_ticks: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Unbegun:
    """Nothing ran: no process, descriptor or journal room to be had just now. The same launch may be tried again with a new run."""

    run: str
    error: str


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """Nothing ran and nothing will: `errno` of what failed, and `error`, a sentence naming the missing file, interpreter or right."""

    run: str
    errno: int
    error: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The program ran and ended. Exactly one of `code` and `signal` is set. `usage` is None where the kernel's account was lost."""

    run: str
    code: int | None
    signal: int | None
    because: Because
    pid: int
    started_at: int
    ended_at: int
    """Wall time, microseconds; `duration_us` comes from the boot clock and is the truth about time."""
    duration_us: int
    output_bytes: int
    usage: Usage | None = None
    core_dumped: bool = False
    leftovers: int = 0
    """Processes still alive when the leader ended (stopped or kept, as the launch said)."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """The program began and is gone, and nobody could see how it ended."""

    run: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """Answer of recovery: the run is alive and taken up again; its end will be reported. `silent`: its keeper does not answer."""

    run: str
    pid: int | None
    start_ticks: int | None
    started_at: int | None
    followed: bool = False
    """Its keeper is dead: followed by identity until it ends, then `Vanished` (or its true end, where this server is its parent)."""
    silent: bool = False


Report = Begun | Unbegun | SpawnFailed | Ended | Vanished
Found = Held | Ended | SpawnFailed | Unbegun | Vanished
OnReports = Callable[[Sequence[Report]], None]


class Launcher(Protocol):
    """Start, stop and watch runs. A report may come twice (after a reconnect); the receiver is idempotent by run."""

    survives: bool
    """Whether runs outlive this server."""

    async def open(self) -> None:
        """Make ready to launch. Raises `errors.LauncherError` with a sentence when it cannot."""
        ...

    async def recover(self) -> dict[str, Found]:
        """Take up what earlier servers left behind: every run known to any keeper or journal here, by run id.

        A run not in the answer never began and never will: that is certain when this returns.
        Idempotent; reports of the runs taken up start to flow afterwards.
        """
        ...

    def launch(self, launches: Sequence[Launch]) -> None:
        """Ask for these runs; never blocks. Every one is answered by Begun, Unbegun or SpawnFailed, and a begun one by Ended or Vanished."""
        ...

    def stop(
        self, run: str, because: Because = "stop", *, grace_s: float | None = None, signal: int | None = None
    ) -> None:
        """Stop the whole tree of a run: signal, wait `grace_s` (None: the launch's), KILL until nothing is left.

        Its Ended comes when the tree is gone. Repeating it shortens the grace, never extends it. Unknown or ended runs are ignored.
        """
        ...

    def signal(self, run: str, number: int) -> None:
        """Send one signal to the leader of a run."""
        ...

    def pause(self, run: str) -> None:
        """Freeze the tree of a run (SIGSTOP); its timeout stands still."""
        ...

    def resume(self, run: str) -> None:
        """Let a frozen tree go on (SIGCONT)."""
        ...

    def ack(self, runs: Sequence[str]) -> None:
        """The ends of these runs are committed: they may be forgotten."""
        ...

    async def close(self) -> None:
        """Let go: running runs go on where `survives`, else they are stopped first. Safe to repeat."""
        ...
