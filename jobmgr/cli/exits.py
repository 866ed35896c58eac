"""The exit codes of the command line, in one place: those of jobmgr itself, and what `run` and `wait` make of how a job ended."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

OK = 0
REFUSED = 1
USAGE = 2
NO_SERVER = 3
INTERRUPTED = 130
BROKEN_PIPE = 141

TIME_UP = 124
OWN_FAILURE = 125
"""`run` and `wait`: jobmgr itself failed. Their other codes are the job's."""
NEVER_RAN = 127
LOST = 123
_BY_SIGNAL = 128
_UNKNOWN_SIGNAL = 255

COMMANDS: Mapping[int, str] = {
    OK: "done",
    REFUSED: "the server refused (no such job, not possible in this status, a wrong field), or something else went wrong",
    USAGE: "the command line or a setting is wrong; nothing was asked",
    NO_SERVER: "no server answers, or it went away in the middle of its answer",
    INTERRUPTED: "Ctrl+C",
    BROKEN_PIPE: "whoever read the output closed it (`| head`); not an error",
}
"""What every command but `run` and `wait` ends with."""

JOBS: Mapping[str, str] = {
    "0": "the job completed (with `--success-code` the code that it ended with)",
    "1–255": "the job's own exit code",
    "128 + n": "the job was ended by signal n: 137 is SIGKILL, 139 SIGSEGV",
    str(LOST): "lost: how it ended cannot be known",
    str(TIME_UP): "the job's `--timeout` or `--deadline` passed, or that of `wait`",
    str(OWN_FAILURE): "jobmgr itself failed: a wrong option, no server, refused",
    str(NEVER_RAN): "the job never ran: its program could not be started",
    str(INTERRUPTED): "the job was stopped, by whomever",
}
"""What `run` and `wait` end with."""


def of_job(job: Mapping[str, Any]) -> int:
    """The exit code that tells how this finished job ended."""
    status, code = job.get("status"), job.get("exitCode")
    if status == "completed":
        return int(code or OK)
    if status == "crashed":
        return _of_crash(job, code)
    return {"failed": NEVER_RAN, "stopped": INTERRUPTED, "lost": LOST}.get(str(status), OWN_FAILURE)


def _of_crash(job: Mapping[str, Any], code: int | None) -> int:
    if job.get("cause") in {"timeout", "deadline"}:
        return TIME_UP
    if job.get("signal"):
        return _of_signal(str(job["signal"]))
    # A crash is never success, even where 0 is not a success code.
    return code or REFUSED


def _of_signal(name: str) -> int:
    number = getattr(signal, name, None)
    if isinstance(number, signal.Signals):
        return _BY_SIGNAL + number
    digits = "".join(filter(str.isdigit, name))
    return min(_BY_SIGNAL + int(digits), _UNKNOWN_SIGNAL) if digits else _UNKNOWN_SIGNAL
