"""Every error jobmgr raises on purpose.

JobmgrError
├── SettingsError          wrong settings, all of them at once
├── DataDirError           the data directory cannot be used (in use, not writable, damaged)
│   └── DatabaseDamaged    the database failed its check; it is never replaced by an empty one
├── LauncherError          processes cannot be started or reached
├── InvalidRequest         bad input: every wrong field with its remedy                → 400
├── NoProgram              nothing to run: no script in the request, none configured  → 409
├── NotFound               no such job, task, attempt or output                        → 404
├── WrongStatus            a verb that the status does not allow                       → 409
├── Conflict               what is asked for is not possible as things stand           → 409
├── IdempotencyMismatch    the key was used with another body                          → 422
├── Recovering             the server has not taken up yet what ran before             → 503
├── ShuttingDown           the server is leaving                                       → 503
├── Overloaded             too much is waiting to be written                           → 503
├── TooManyWatchers        as many watch as this server has room for                   → 503
├── DiskFull               below the disk floor                                        → 507
└── ClientError            a client could not have what it asked for
    ├── NoServer           no server answers there
    ├── ConnectionLost     the server went away in the middle of an answer
    └── Refusal            the server said no: its HTTP status and its sentence

The class docstring is the default message. The HTTP status is chosen in `api/middleware.py` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class JobmgrError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class SettingsError(JobmgrError):
    """The settings are wrong. `warnings`: what is doubtful besides; a wrong setting may well have to do with it."""

    def __init__(self, problems: Sequence[str], warnings: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(problems))


class DataDirError(JobmgrError):
    """The data directory cannot be used."""


class DatabaseDamaged(DataDirError):
    """The database is damaged."""


class LauncherError(JobmgrError):
    """Processes cannot be started."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: where it is (JSON pointer, empty for the whole body) and what to do about it."""

    field: str
    problem: str


class InvalidRequest(JobmgrError):
    """The request is not valid."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.problem}" if p.field else p.problem for p in problems))


class NoProgram(JobmgrError):
    """Nothing to run: give "script" in the request, or set JOB_SCRIPT_PATH."""


class NotFound(JobmgrError):
    """There is no such thing here."""

    def __init__(self, what: str, name: str, *, remedy: str = "") -> None:
        self.what, self.name = what, name
        super().__init__(f"There is no {what} {name}. {remedy}".rstrip())


class WrongStatus(JobmgrError):
    """The status does not allow this."""

    def __init__(self, job: str, verb: str, status: str) -> None:
        self.job, self.verb, self.status = job, verb, status
        first = "; stop it first" if verb in {"delete", "restart"} else ""
        super().__init__(f"{job} is {status}: cannot {verb} it{first}.")


class Conflict(JobmgrError):
    """This is not possible as things stand."""


class IdempotencyMismatch(JobmgrError):
    """This Idempotency-Key was already used with another body."""


class Recovering(JobmgrError):
    """The server is still taking up what ran before; try again in a moment."""


class ShuttingDown(JobmgrError):
    """The server is shutting down; try again when it is back."""


class Overloaded(JobmgrError):
    """Too many changes are waiting to be written; try again shortly."""


class TooManyWatchers(JobmgrError):
    """As many watch already as this server has room for (JOBMGR_MAX_WATCHERS, and the open files it may have)."""


class DiskFull(JobmgrError):
    """Too little disk space is left to accept new jobs."""


class ClientError(JobmgrError):
    """The server could not be asked."""


class NoServer(ClientError):
    """No server answers."""

    def __init__(self, url: str, reason: str | None = None) -> None:
        self.url = url
        why = f" ({reason})" if reason else ""
        super().__init__(f"No server answers at {url}{why}. Start one with ./scripts/serve, or set JOBMGR_URL.")


class ConnectionLost(ClientError):
    """The connection to the server was lost before its answer was whole; try again."""


class Refusal(ClientError):
    """The server refused."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)
