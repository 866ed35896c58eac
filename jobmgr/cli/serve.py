"""`jobmgr serve`: puts the server together, tells what it is and where it keeps things, and takes it apart in order.

Nothing of the outside world is touched before the settings are known to be good, the data directory is locked and the port is bound.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial

from jobmgr import __version__, log
from jobmgr.admission import Admission
from jobmgr.api.server import ApiServer
from jobmgr.clock import boot_id
from jobmgr.config import Settings, load
from jobmgr.manager import JobManager
from jobmgr.output import OutputFiles
from jobmgr.process.inherited import base_environment
from jobmgr.process.launcher import Launcher, OnReports
from jobmgr.recovery import incarnation
from jobmgr.store.base import Owner
from jobmgr.store.sqlite import SqliteStore
from jobmgr.upkeep import Upkeep

SWITCH_INTERVAL_S = 0.001
EXIT_FATAL = 70
"""Something failed after which going on could lose a job; the next start recovers (sysexits: EX_SOFTWARE)."""


def run() -> int:
    """Load the settings and serve until a signal; the exit code."""
    loaded = load()
    for warning in loaded.warnings:
        _say(f"warning: {warning}")
    settings = loaded.settings
    log.configure(settings.log_file, max_bytes=settings.log_max_bytes, files=settings.log_files)
    # The store's writer shares the interpreter with the event loop; with the default of 5 ms a busy loop keeps it from its commit so long.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return asyncio.run(_serve(settings, _launcher(settings, loaded.environ)))
    finally:
        log.close()


async def _serve(settings: Settings, make_launcher: Callable[[OnReports], Launcher]) -> int:
    store = SqliteStore(settings.data_dir, on_fatal=_die)
    await store.open()
    try:
        outputs = OutputFiles(settings.data_dir / "output")
        owner = _owner(settings)
        manager = JobManager(settings, store, outputs, make_launcher, owner, on_fatal=_die)
        admission = Admission(
            default_script=settings.job_script_path, scripts_dir=settings.scripts_dir, retries=settings.retry
        )
        api = ApiServer(settings, manager, admission, store, outputs)
        await api.start()
        try:
            return await _live(settings, manager, api, Upkeep(settings, store, outputs))
        finally:
            await manager.close()
            await api.stop()
    finally:
        await store.close()


async def _live(settings: Settings, manager: JobManager, api: ApiServer, upkeep: Upkeep) -> int:
    signals = _signals()
    await manager.start()
    upkeep.start()
    log.get_logger().info("server started", version=__version__, address=api.address, pid=os.getpid())
    _announce(settings, api.address, manager)
    await signals.get()
    await upkeep.stop()
    manager.quiesce()
    if manager.running_jobs:
        leave = asyncio.create_task(_leave(settings, manager))
        again = asyncio.create_task(signals.get())
        await asyncio.wait({leave, again}, return_when=asyncio.FIRST_COMPLETED)
        for task in (leave, again):
            task.cancel()
        await asyncio.gather(leave, again, return_exceptions=True)
    _tell_left(manager)
    log.get_logger().info("server stopped", detached=len(manager.running_jobs))
    return 0


async def _leave(settings: Settings, manager: JobManager) -> None:
    """What JOBMGR_SHUTDOWN says about running jobs; cancelled by a second signal."""
    running = _listed(manager.running_jobs)
    match settings.shutdown if manager.survives else "stop":
        case "detach":
            return
        case "stop":
            _say(f"stopping {running}; Ctrl+C again {_LEAVES[manager.survives]}")
            await manager.stop_running()
            await manager.wait_idle()
        case _:
            _say(f"waiting up to {settings.shutdown_timeout:g} s for {running}; Ctrl+C again leaves them running")
            await manager.wait_idle(settings.shutdown_timeout)


_LEAVES = {True: "leaves them running", False: "kills them"}


def _tell_left(manager: JobManager) -> None:
    if manager.running_jobs and manager.survives:
        _say(
            f"left running: {_listed(manager.running_jobs)}. The next start takes them up; to stop them without a server:"
        )
        _say("  jobmgr stop --all --offline")


def _listed(jobs: tuple[str, ...]) -> str:
    return ", ".join(jobs[:10]) + (f" and {len(jobs) - 10} more" if len(jobs) > 10 else "")


def _owner(settings: Settings) -> Owner:
    token = incarnation(secrets.token_hex(8), survives=settings.launcher == "keeper")
    return Owner(settings.node_name, token, boot_id())


def _launcher(settings: Settings, environ: Mapping[str, str]) -> Callable[[OnReports], Launcher]:
    environment = base_environment(environ, settings.pass_env, windows=os.name == "nt")
    if sys.platform == "linux" and settings.launcher == "keeper":
        from jobmgr.process.keepers import KeeperLauncher

        return lambda on_reports: KeeperLauncher(
            settings.data_dir / "keepers", environment=environment, on_reports=on_reports
        )
    from jobmgr.process.direct import DirectLauncher

    return lambda on_reports: DirectLauncher(environment=environment, on_reports=on_reports)


def _signals() -> asyncio.Queue[int]:
    """The signals that end the server, as they come."""
    arrived: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, arrived.put_nowait, number)
        except NotImplementedError:  # Windows
            signal.signal(number, partial(_wake, loop, arrived))
    return arrived


def _wake(loop: asyncio.AbstractEventLoop, arrived: asyncio.Queue[int], number: int, _frame: object) -> None:
    loop.call_soon_threadsafe(arrived.put_nowait, number)


def _die(error: BaseException) -> None:
    """Leave at once: what is not committed is in the keepers' journals, and the next start applies it."""
    log.get_logger().critical("the server cannot go on", exc_info=error)
    log.close()
    os._exit(EXIT_FATAL)


def _announce(settings: Settings, address: str, manager: JobManager) -> None:
    print(f"jobmgr {__version__} listens on {address}")
    print(f"  data      {settings.data_dir}")
    print(f"  log       {settings.log_file}")
    print(f"  scripts   {settings.scripts_dir}")
    print(
        f"  program   {settings.job_script_path or '(none: set JOB_SCRIPT_PATH, or name a script in each submission)'}"
    )
    print(
        f"  slots     {settings.slots}"
        + ("" if manager.survives else "; jobs end with the server (JOBMGR_LAUNCHER=direct)")
    )
    if manager.running_jobs:
        print(f"  taken up  {_listed(manager.running_jobs)}")
    print("Try it:")
    print(
        f'  curl {address}/jobs -H \'Content-Type: application/json\' -d \'{{"jobName": "hello", "arguments": ["a", "b"]}}\'',
        flush=True,
    )


def _say(text: str) -> None:
    print(f"jobmgr: {text}", file=sys.stderr, flush=True)
