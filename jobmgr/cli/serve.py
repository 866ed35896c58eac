"""`jobmgr serve`: puts the server together, tells what it is and where it keeps things, and takes it apart in order.

Nothing of the outside world is touched before the settings are known to be good, the data directory is locked and the port is bound.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from jobmgr import __version__, log
from jobmgr.admission import Admission
from jobmgr.api.server import ApiServer
from jobmgr.catalog import Catalog, load_catalog
from jobmgr.cli.leaving import Leaving, listed, say
from jobmgr.clock import boot_id
from jobmgr.config import Loaded, Settings, load
from jobmgr.errors import JobmgrError, SettingsError
from jobmgr.manager import JobManager
from jobmgr.output import OutputFiles
from jobmgr.overdue import OverdueWatch
from jobmgr.process.inherited import base_environment
from jobmgr.process.launcher import Launcher, OnReports
from jobmgr.recovery import incarnation
from jobmgr.store.base import Owner
from jobmgr.store.sqlite import SqliteStore
from jobmgr.upkeep import Upkeep

SWITCH_INTERVAL_S = 0.001
SAMPLE = "sample.sh"
"""The one of scripts/jobs that takes any arguments."""
EXIT_FATAL = 70
"""Something failed after which going on could lose a job; the next start recovers (sysexits: EX_SOFTWARE)."""


def run() -> int:
    """Load the settings and serve until a signal; the exit code."""
    loaded = _loaded()
    settings = loaded.settings
    admission = _admission(settings, load_catalog(settings.catalog), loaded.environ)
    log.configure(settings.log_file, max_bytes=settings.log_max_bytes, files=settings.log_files)
    # The store's writer shares the interpreter with the event loop; with the default of 5 ms a busy loop keeps it from its commit so long.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return asyncio.run(_serve(settings, admission, _launcher(settings, loaded.environ)))
    except JobmgrError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug, or a lack that nobody thought of: a sentence, not a traceback, for the person.
        _log_fatal(error, settings)
        return EXIT_FATAL
    finally:
        log.close()


def _loaded() -> Loaded:
    """The settings. Warnings come before what is wrong: a misspelt name may explain it."""
    try:
        loaded = load()
    except SettingsError as error:
        _warn(error.warnings)
        raise
    _warn(loaded.warnings)
    return loaded


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(f"warning: {warning}")


def _admission(settings: Settings, catalog: Catalog, environ: Mapping[str, str]) -> Admission:
    return Admission(
        default_script=settings.job_script_path,
        scripts_dir=settings.scripts_dir,
        retries=settings.retry,
        catalog=catalog,
        search_path=environ.get("PATH", os.defpath) if settings.allow_commands else None,
        callable_hosts=settings.callable_hosts,
    )


async def _serve(settings: Settings, admission: Admission, make_launcher: Callable[[OnReports], Launcher]) -> int:
    on_fatal = partial(_die, settings)
    store = SqliteStore(settings.data_dir, on_fatal=on_fatal)
    await store.open()
    if store.opening is not None:
        log.get_logger().info("database opened", **store.opening.facts())
    try:
        outputs = OutputFiles(settings.data_dir / "output")
        owner = _owner(settings)
        manager = JobManager(settings, store, outputs, make_launcher, owner, on_fatal=on_fatal)
        api = ApiServer(settings, manager, admission, store, outputs)
        await _listen(api, settings)
        leaving = Leaving(settings, manager)
        try:
            watch = OverdueWatch(store, api.analyzer.usual_us, node=settings.node_name)
            duties = (Upkeep(settings, store, outputs), watch)
            await _live(settings, manager, api, duties, leaving)
        finally:
            await api.webhooks.stop()  # No news where all went well; it must not outlive the store.
            await manager.close()
            await api.stop()
        leaving.tell()
        return 0
    finally:
        await store.close()


async def _listen(api: ApiServer, settings: Settings) -> None:
    """Listen. Where another jobmgr has the port, say that it is one: a person may have forgotten it."""
    try:
        await api.start()
    except SettingsError as error:
        from jobmgr.doctor import server  # Only a start that fails needs it.

        other = await asyncio.to_thread(server.jobmgr_at, settings.host, settings.port) if settings.port else None
        if other is None:
            raise
        place = f"{settings.host}:{settings.port}"
        raise SettingsError([f"PORT: {place} is in use by {other}; stop that one or set another PORT"]) from error


async def _live(
    settings: Settings,
    manager: JobManager,
    api: ApiServer,
    duties: Sequence[Upkeep | OverdueWatch],
    leaving: Leaving,
) -> None:
    if await leaving.start():
        for duty in duties:
            duty.start()
        api.webhooks.start()
        log.get_logger().info("server started", version=__version__, address=api.address, pid=os.getpid())
        _announce(settings, api.address, manager)
        await leaving.asked()
        for duty in duties:
            await duty.stop()
    await leaving.leave()
    await api.webhooks.stop()  # Last: jobs that end because the server leaves are told of too.


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


def _die(settings: Settings, error: BaseException) -> None:
    """Leave at once: what is not committed is in the keepers' journals, and the next start applies it."""
    _log_fatal(error, settings)
    log.close()
    os._exit(EXIT_FATAL)


def _log_fatal(error: BaseException, settings: Settings) -> None:
    """One line for the person, who is told where the traceback is."""
    what = f"{type(error).__name__}: {error}"
    log.get_logger().critical("the server cannot go on", error=what, log=str(settings.log_file), exc_info=error)


def _announce(settings: Settings, address: str, manager: JobManager) -> None:
    print(f"jobmgr {__version__} listens on {address}")
    print(f"  try out   {address}/docs")
    print(f"  data      {settings.data_dir}")
    print(f"  log       {settings.log_file}")
    print(f"  scripts   {settings.scripts_dir}")
    print(f"  program   {_program(settings.job_script_path)}")
    print(
        f"  slots     {settings.slots}"
        + ("" if manager.survives else "; jobs end with the server (JOBMGR_LAUNCHER=direct)")
    )
    if manager.running_jobs:
        print(f"  taken up  {listed(manager.running_jobs)}")
    example = _example(settings)
    if example is None:
        print(
            f"Nothing to run yet: put an executable file into {settings.scripts_dir}, or set JOB_SCRIPT_PATH.",
            flush=True,
        )
        return
    print("Try it:")
    print(
        f"  curl {quote(f'{address}/jobs')} -H 'Content-Type: application/json' -d {quote(json.dumps(example))}",
        flush=True,
    )


def _program(path: Path | None) -> str:
    if path is None:
        return "(none: set JOB_SCRIPT_PATH, or name a script in each submission)"
    checkout = Path(__file__).resolve().parents[2]
    # ./scripts/serve supplies it to a person who set nothing, and says nothing itself. Path.resolve raises where links go in a circle.
    is_sample = os.path.realpath(path) == os.path.realpath(checkout / "scripts" / "jobs" / SAMPLE)
    return f"{path}" + (" (the sample; set JOB_SCRIPT_PATH to choose another)" if is_sample else "")


def _example(settings: Settings) -> dict[str, object] | None:
    """A submission that works here as it is; None where there is no program at all."""
    arguments: dict[str, object] = {"jobName": "hello", "arguments": ["a", "b"]}
    if settings.job_script_path:
        return arguments
    try:
        entries = sorted(settings.scripts_dir.iterdir())
    except OSError:
        return None
    scripts = [entry.name for entry in entries if _is_program(entry)]
    if SAMPLE in scripts:
        return {"script": SAMPLE, **arguments}
    return {"script": scripts[0]} if scripts else None


def _is_program(path: Path) -> bool:
    # Names that cannot be shown as they are cannot be typed either.
    return path.name.isprintable() and path.is_file() and os.access(path, os.X_OK)
