"""Options and arguments that mean the same in every command, and the words they take."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from jobmgr.cli import completion

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # Generic only in newer releases of click.

Function = TypeVar("Function", bound=Callable[..., Any])

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TERM = r"[0-9]+(?:\.[0-9]+)?(?:ms|min|s|m|h|d|w)"
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|min|s|m|h|d|w)")
_JOB = re.compile(r"(?:job-)?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?")


class Duration(ParamType):
    """Seconds, or an amount with units: `90`, `1.5h`, `1h30m`, `2d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = value.strip().lower()
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return float(text)
        if re.fullmatch(f"({_TERM})+", text):
            return sum(float(amount) * _SECONDS[unit] for amount, unit in _AMOUNT.findall(text))
        return self.fail(f"{value!r} is no duration; write seconds, or 30s, 5m, 1h30m, 2d", param, ctx)


class Moment(ParamType):
    """A time: how long ago (`1h`, `2d`), or RFC 3339 (`2026-11-22T08:00:00Z`; without a zone: of this machine)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """RFC 3339 in UTC."""
        text = value.strip()
        try:
            if re.fullmatch(f"({_TERM})+", text.lower()):
                ago = timedelta(seconds=Duration().convert(text, param, ctx))
                return _rfc3339(datetime.now(UTC) - ago)
            return _rfc3339(datetime.fromisoformat(text).astimezone(UTC))
        except (ValueError, OverflowError):
            self.refuse(value, param, ctx)

    def refuse(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        """With the remedy."""
        self.fail(
            f"{value!r} is no time; write how long ago (1h, 2d) or a time such as 2026-11-22T08:00:00Z", param, ctx
        )


class Ago(Moment):
    """A time, where how long ago means before an instant that is not known yet."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A timedelta, or RFC 3339 in UTC."""
        if re.fullmatch(f"({_TERM})+", value.strip().lower()):
            try:
                return timedelta(seconds=Duration().convert(value, param, ctx))
            except OverflowError:
                self.refuse(value, param, ctx)
        return super().convert(value, param, ctx)


def instant(given: str | timedelta, now: int) -> int:
    """What `Ago` read, as microseconds since the epoch; `now` likewise."""
    from jobmgr.clock import parse_rfc3339

    if isinstance(given, timedelta):
        return now - given // timedelta(microseconds=1)
    at = parse_rfc3339(given)
    assert at is not None  # Moment made it.
    return at


def _rfc3339(time: datetime) -> str:
    # Not by strftime, which writes the year 1 as 1.
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class Pair(ParamType):
    """NAME and VALUE around the first `=` (or another mark)."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Both."""
        if isinstance(value, tuple):
            return value
        name, mark, rest = value.partition("=")
        if not mark or not name:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, rest


class JobId(ParamType):
    """`job-7`, or just `7`; with a task `7.3` where that is asked for."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id as the API writes it; a task stays behind its dot."""
        found = _JOB.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no job; write an id such as job-7 (or 7)", param, ctx)
        return f"job-{found[1]}" + (f".{found[2]}" if found[2] else "")


DURATION, MOMENT, AGO, PAIR, JOB = Duration(), Moment(), Ago(), Pair(), JobId()

URL = click.option(
    "--url",
    envvar="JOBMGR_URL",
    metavar="URL",
    help="Address of the server; default: JOBMGR_URL, else PORT, from the environment or .env.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print what the API answered, as JSON.")
TARGETS = ("failure", "slow", "memory")


def question(moment: ParamType) -> Callable[[Function], Function]:
    """What a question to the statistics may narrow; `moment`: how its times are read."""
    wanted = (
        click.option("--target", type=click.Choice(TARGETS), help="What is looked for; default: failure."),
        click.option("--since", type=moment, help="Only what ended then or later: 7d (ago), or 2026-11-22T08:00:00Z."),
        click.option("--until", type=moment, help="Only what ended before."),
        click.option("--name", metavar="NAME", help="Only jobs of exactly this name."),
        click.option("--group", metavar="GROUP", help="Only jobs of this group."),
        click.option("--max-patterns", metavar="N", type=click.IntRange(1, 50), help="Show at most N discovered patterns; default: 12."),
        click.option("--min-support", metavar="N", type=click.IntRange(1), help="Only patterns that at least N tasks match."),
    )  # fmt: skip

    def add(function: Function) -> Function:
        for option in reversed(wanted):
            function = option(function)
        return function

    return add


def refuse(given: Mapping[str, Any], where: str) -> None:
    """Refuse options that would be ignored. Raises UsageError for what is not None or False."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None and value is not False]
    if names:
        raise click.UsageError(f"{', '.join(names)} cannot be used {where}")


QUIET = click.option("--quiet", "-q", is_flag=True, help="Print job ids only.")


def one_job(function: Function) -> Function:
    """The argument JOB."""
    return click.argument("job", type=JOB, shell_complete=completion.complete_jobs)(function)


def many_jobs(*, required: bool = True) -> Callable[[Function], Function]:
    """The argument JOB, more than once."""
    return click.argument(
        "jobs",
        type=JOB,
        nargs=-1,
        required=required,
        metavar="JOB..." if required else "[JOB]...",
        shell_complete=completion.complete_jobs,
    )


def without_task(job: str) -> str:
    """The job, of which no single task may be named here. Raises UsageError."""
    if "." in job:
        raise click.UsageError(f"{job} is a task; name its job, {job.partition('.')[0]}")
    return job


def pairs(given: tuple[tuple[str, str], ...], option: str) -> Mapping[str, str]:
    """As a dictionary. Raises UsageError for a name that is given twice."""
    made: dict[str, str] = {}
    for name, value in given:
        if name in made:
            raise click.UsageError(f"{option} {name} is given twice")
        made[name] = value
    return made


def print_json(body: bytes) -> None:
    """What the API answered, one line."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body.rstrip() + b"\n")
    sys.stdout.buffer.flush()


def compact(value: Any) -> bytes:
    """As the API would write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
