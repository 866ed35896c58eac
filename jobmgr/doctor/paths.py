"""Directories and programs: are they there, whose are they, may this user use them, and do they lie on a disk that keeps its word."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

from jobmgr.catalog import load_catalog
from jobmgr.config import Settings
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.errors import SettingsError
from jobmgr.process.spawn_errors import foresee

NETWORK = frozenset(
    (
        "afs",
        "ceph",
        "cifs",
        "9p",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
    )
) | {"smbfs", "vboxsf", "virtiofs"}
"""File systems that are not on this machine's own disks."""
OF_PROGRAMS = frozenset({".bash", ".exe", ".js", ".lua", ".php", ".pl", ".py", ".rb", ".run", ".sh", ".tcl", ".zsh"})
"""Endings of files that are there to be run."""
OF_READERS = frozenset({"AUTHORS", "CHANGELOG", "COPYING", "LICENSE", "MAKEFILE", "NOTICE", "README", "TODO"})
"""Names without an ending of files that are not."""
PROGRAM_MARKS = (b"#!", b"\x7fELF")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_NAMED = 5


def checks(settings: Settings, search: str | None) -> tuple[Callable[[], Iterable[Finding]], ...]:
    """One for each thing that the settings name. `search` is the PATH of jobs."""
    return (
        lambda: data_directory(settings.data_dir),
        lambda: [_log(settings.log_file)],
        lambda: [_scripts(settings.scripts_dir, search)],
        lambda: [_program(settings.job_script_path, search)],
        lambda: _catalog(settings.catalog),
    )


def data_directory(directory: Path) -> Iterator[Finding]:
    """Whether a server can live in it, or make it."""
    there = existing(directory)
    if not _usable(there):
        yield problem(
            "data directory",
            f"{there}{_owner(there)} may not be written by {_this_user()}",
            "the server cannot keep anything, so it refuses to start",
            "run it as the owner, change the rights, or set JOBMGR_DATA_DIR to a directory of your own",
        )
    elif there != directory:
        yield ok("data directory", f"{directory} is not there yet", "the first start makes it, for its owner only")
    else:
        yield _rights(directory)
    yield _file_system(there)


def existing(path: Path) -> Path:
    """The path itself, or the nearest above it that is there."""
    return next(
        place for place in (path, *path.parents) if os.path.exists(place)
    )  # Path.exists raises what one may not see.


def _usable(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)


def _this_user() -> str:
    if sys.platform == "win32":
        return "this user"
    return f"user {os.getuid()}"


def _owner(path: Path) -> str:
    return f" (of user {path.stat().st_uid}, mode {_mode(path):04o})" if sys.platform != "win32" else ""


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _rights(directory: Path) -> Finding:
    name, shown = "data directory", f"{directory}{_owner(directory)}"
    means = "the server may use it, and others may not look into it"
    if sys.platform == "win32":
        return ok(name, shown, "the server may use it")
    mode, remedy = _mode(directory), f"type: chmod 700 '{directory}'"
    if mode & stat.S_IWOTH:
        means = "anybody on this machine could change it, so the server refuses to start"
        return problem(name, shown, means, remedy)
    if mode & 0o077:
        means = "others may look into it: they see names and times of jobs, and what is not 0600"
        return warning(name, shown, means, remedy)
    if directory.stat().st_uid != os.getuid():
        means = "this user may use it, but what this user makes anew there its owner cannot use"
        return warning(name, shown, means, "run the server always as the same user")
    return ok(name, shown, means)


def _file_system(there: Path) -> Finding:
    name, kind = "file system", file_system(there)
    if kind in NETWORK:
        return problem(
            name,
            f"{there} is on {kind}, a network file system",
            "locks and the database's shared memory are not reliable there: the database can be damaged",
            "set JOBMGR_DATA_DIR to a directory on a local disk",
        )
    if kind in IN_MEMORY:
        return warning(name, f"{there} is on {kind}", "it is memory: all is gone when the machine starts anew")
    return ok(
        name, f"{there} is on {kind or 'an unknown file system'}", "no network file system, which would not be safe"
    )


def file_system(path: Path) -> str:
    """The kind of file system that a path is on; empty where that cannot be told."""
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    above = [str(place) for place in (path.resolve(), *path.resolve().parents)]
    return next((mounts[place] for place in above if place in mounts), "")


def _log(file: Path) -> Finding:
    there = existing(file.parent)
    if not _usable(there):
        found = f"{there} cannot be written by {_this_user()}"
    elif file.is_dir():
        found = f"{file} is a directory"
    elif file.exists() and not os.access(file, os.W_OK):
        found = f"{file} cannot be written by {_this_user()}"
    else:
        return ok("log", f"{file}{'' if os.path.exists(file) else ' (not there yet)'}", "the server may write it")
    means = "the server refuses to start without its log"
    return problem("log", found, means, "change the rights, or set JOBMGR_LOG_FILE")


def _scripts(directory: Path, search: str | None) -> Finding:
    remedy = "put executable files there (chmod +x), or set JOBMGR_SCRIPTS_DIR"
    try:
        files = sorted(entry for entry in directory.iterdir() if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        return warning("scripts", f"{directory}: {error.strerror}", 'no submission can name a "script"', remedy)
    meant = [file for file in files if _is_meant_to_run(file)]
    wrong = [why for file in meant if (why := foresee(str(file), search))]
    programs = [file.name for file in meant if os.access(file, os.X_OK)]
    if not programs:
        found = f"{directory} has {len(files)} files, none executable by this user"
        return warning("scripts", " ".join([f"{found}.", *wrong[:_NAMED]]), 'no submission can name a "script"', remedy)
    if wrong:
        means = "jobs that name one of these would fail"
        mend = "mend what is named, or move it elsewhere; what programs only import or read may stay as it is"
        return warning("scripts", f"{directory}: " + " ".join(wrong[:_NAMED]), means, mend)
    return ok("scripts", f"{directory} has {_counted(programs)}", 'submissions may name them as "script"')


def _is_meant_to_run(file: Path) -> bool:
    """Documents and data are not, whatever their rights say: some disks (vfat, shares) call every file executable."""
    suffix = file.suffix.lower()
    if suffix in OF_PROGRAMS and not file.name.startswith("_"):  # `_shared.py` is there to be imported.
        return True
    try:
        with file.open("rb") as opened:
            if opened.read(4).startswith(PROGRAM_MARKS):
                return True
    except OSError:
        pass  # It may be executed and not be read.
    return not suffix and file.name.upper() not in OF_READERS and os.access(file, os.X_OK)


def _counted(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} programs: {', '.join(names[:_NAMED])}{more}"


def _program(path: Path | None, search: str | None) -> Finding:
    if path is None:
        means = "submissions without a program are refused (409), except by a server that ./scripts/serve started, which supplies the sample"
        return ok("program", "JOB_SCRIPT_PATH is unset", means)
    if why := foresee(str(path), search):
        means = "submissions that name no program would fail"
        return problem(
            "program", f"JOB_SCRIPT_PATH: {why}", means, "mend it, or set JOB_SCRIPT_PATH to another program"
        )
    return ok("program", f"{path}", "runs for submissions that name none")


def _catalog(file: Path) -> Iterator[Finding]:
    try:
        types = load_catalog(file).types
    except SettingsError as error:
        for text in error.problems:
            yield problem(
                "catalog", text, "the server refuses to start", "correct it; docs/types.md says how entries are written"
            )
        return
    if not types:
        yield ok("catalog", f"{file} has no job types", 'submissions name a "script" or the default program')
    else:
        yield ok(
            "catalog", f"{file} has {len(types)} job types: {', '.join(types)}", 'submissions may name them as "type"'
        )
