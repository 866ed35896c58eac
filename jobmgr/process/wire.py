"""Launches and reports as the keeper's protocol and journal write them. Pure."""

from __future__ import annotations

from typing import Any, cast

from jobmgr.process.launcher import (
    Because,
    Begun,
    Ended,
    Found,
    Held,
    Launch,
    Report,
    SpawnFailed,
    Unbegun,
    Usage,
    Vanished,
)

MICROSECONDS = 1_000_000

Record = dict[str, Any]


def launch_message(launch: Launch) -> Record:
    """One launch of a `start` line."""
    return {
        "run": launch.run,
        "argv": list(launch.argv),
        "cwd": launch.cwd,
        "env": dict(launch.env),
        "stdin": launch.stdin,
        "launch": {
            "report": launch.report,
            "output": launch.output,
            "errors": launch.errors,
            "stop_signal": launch.stop_signal,
            "grace": microseconds(launch.stop_timeout_s),
            "timeout": None if launch.timeout_s is None else microseconds(launch.timeout_s),
            "deadline": launch.deadline_us,
            "leftovers": launch.leftovers,
            "cap": launch.output_cap_bytes,
        },
    }


def microseconds(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * MICROSECONDS)


def outcome(record: Record) -> Report | None:
    """What a record says last: how the run ended, or that it begun; None: it was asked for and its start is under way."""
    if "end" in record:
        return _ended(record)
    if "failed" in record:
        return SpawnFailed(record["run"], record["failed"]["errno"], record["failed"]["error"])
    if "unbegun" in record:
        return Unbegun(record["run"], record["unbegun"]["error"])
    if "pid" in record:
        return Begun(record["run"], record["pid"], record["ticks"], record["at"])
    return None


def found(record: Record, *, silent: bool = False) -> Found:
    """A record of a keeper that lives, as recovery's answer."""
    said = outcome(record)
    if said is None or isinstance(said, Begun):
        return held(record, silent=silent)
    return said


def held(record: Record, *, followed: bool = False, silent: bool = False) -> Held:
    """A run that is alive."""
    return Held(record["run"], record.get("pid"), record.get("ticks"), record.get("at"), followed, silent)


def vanished(record: Record) -> Vanished:
    """A run that is gone unseen."""
    return Vanished(record["run"], record.get("pid"))


def _ended(record: Record) -> Ended:
    end = record["end"]
    return Ended(
        record["run"],
        end["code"],
        end["signal"],
        cast(Because, end["because"]),
        pid=record["pid"],
        started_at=record["at"],
        ended_at=end["at"],
        duration_us=end["duration"],
        output_bytes=end["output"],
        usage=_usage(record.get("usage")),
        core_dumped=end["core"],
        leftovers=record.get("leftovers", 0),
    )


def _usage(usage: Record | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(usage["cpu"], usage["rss"], usage["read"], usage["write"])
