"""Trying a launcher: runs with files of their own, every report kept, and waiting for the ones a test is about."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from jobmgr.process.launcher import Begun, Ended, Launch, Launcher, Report, SpawnFailed, Unbegun, Vanished
from tests.waiting import eventually

ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
T = TypeVar("T")
AnyReport = TypeVar("AnyReport", Begun, Ended, SpawnFailed, Unbegun, Vanished)


class Trial:
    """A launcher, or several one after the other, below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keepers = directory / "keepers"
        self.reports: list[Report] = []
        self.launchers: list[Launcher] = []
        self._numbers = count()

    @property
    def launcher(self) -> Launcher:
        return self.launchers[-1]

    def on_reports(self, reports: Sequence[Report]) -> None:
        self.reports.extend(reports)

    async def open(self, launcher: Launcher) -> Launcher:
        """Open it; it is closed, and all it runs is stopped, at the end of the test."""
        self.launchers.append(launcher)
        await launcher.open()
        return launcher

    def make(self, *argv: str, run: str | None = None, **fields: Any) -> Launch:
        """A launch whose files are named by its run."""
        run = run or f"run-{next(self._numbers)}-{os.getpid()}"
        fields.setdefault("cwd", str(self.directory))
        return Launch(run, argv, output=self.path(run, "out"), report=self.path(run, "report"), **fields)

    def path(self, run: str, kind: str) -> str:
        return str(self.directory / f"{run}.{kind}")

    def output(self, run: str) -> str:
        return Path(self.path(run, "out")).read_text()

    def start(self, *argv: str, **fields: Any) -> str:
        """Launch it; gives its run."""
        launch = self.make(*argv, **fields)
        self.launcher.launch([launch])
        return launch.run

    def shell(self, script: str, **fields: Any) -> str:
        """Launch a shell script."""
        return self.start("/bin/sh", "-c", script, **fields)

    def python(self, code: str, **fields: Any) -> str:
        """Launch a Python program."""
        return self.start(sys.executable, "-c", code, **fields)

    def find(self, run: str, kind: type[AnyReport]) -> AnyReport | None:
        return next((report for report in self.reports if report.run == run and isinstance(report, kind)), None)

    async def wait(self, run: str, kind: type[AnyReport]) -> AnyReport:
        """The first report of this kind about this run."""
        return await present(lambda: self.find(run, kind))

    async def ended(self, run: str) -> Ended:
        return await self.wait(run, Ended)

    async def begun(self, run: str) -> Begun:
        return await self.wait(run, Begun)

    async def said(self, run: str, text: str) -> str:
        """Wait until its output holds this text, and give the output."""

        def output() -> str | None:
            path = Path(self.path(run, "out"))
            found = path.read_text() if path.exists() else ""
            return found if text in found else None

        return await present(output)

    async def outcome(self, *argv: str, **fields: Any) -> Ended:
        """Launch it and wait for its end."""
        return await self.ended(self.start(*argv, **fields))

    def script(self, name: str, content: str | bytes, mode: int = 0o755) -> str:
        """A file to execute."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return str(path)


async def present(look: Callable[[], T | None]) -> T:
    """Wait until a look finds something, and return that."""
    found: T | None = await eventually(look)
    assert found is not None
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def true_program() -> str:
    """Something that does nothing and ends well."""
    found = shutil.which("true")
    assert found is not None
    return found
