"""`jobmgr analyze FILE`: what `jobmgr stats` would say of a history that lies in a file, from wherever it comes. Needs no server.

The same computation and the same report as those of a server. "Now" is the newest instant in the file, so the same file always says the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from datetime import tzinfo

    from jobmgr.cli.history_file import HistoryFile
    from jobmgr.stats.columns import Columns
    from jobmgr.stats.query import Question


@click.command(
    cls=Verb,
    examples=(
        "jobmgr analyze jobs.jsonl",
        "jobmgr export | jobmgr analyze - --since 30d",
        "jobmgr analyze jobs.jsonl.gz --name-report nightly-backup",
        "jobmgr analyze jobs.jsonl --json | jq '.etas'",
    ),
)
@click.argument("file", metavar="FILE")
@click.option("--name-report", metavar="NAME", help="Tell all that is known of the jobs of this name.")
@options.question(options.AGO)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what GET /stats would answer, and the etas of running jobs."
)
def analyze(*, file: str, name_report: str | None, as_json: bool, **asked: Any) -> None:
    """Analyze a history in a file; needs no server.

    FILE holds JSON lines, one attempt a line, as `jobmgr export` writes them (docs/history.md), packed by gzip or not; - is stdin. Lines that
    cannot be used are left out and told on stderr. What lies back (--since 7d) counts from the newest time in the file.
    """
    if name_report is not None:
        options.refuse(asked, "with --name-report")
    from jobmgr.cli.history_file import HistoryFile
    from jobmgr.stats.summary import columns_of

    history, zone = HistoryFile(file), _zone()
    columns = columns_of(history.rows())
    for complaint in history.complaints():
        terminal.say(complaint)
    made = _of_name(name_report, columns, history, zone) if name_report is not None else None
    answer = made or _of_all(_question(asked, history.newest), columns, history, zone)
    if as_json:
        from jobmgr.stats.outlook import etas_of

        etas = {} if made else {"etas": etas_of(columns, history.newest)}
        options.print_json(options.compact({**answer, **etas}))
        return
    for line in _lines(answer, file, of_name=name_report is not None):
        print(line)


def _lines(answer: Mapping[str, Any], file: str, *, of_name: bool) -> Iterator[str]:
    if of_name:
        from jobmgr.cli.name_report import name_lines

        return name_lines(answer)
    from jobmgr.cli.stats_report import stats_lines

    return stats_lines(answer, again=f"jobmgr analyze {shlex.quote(file) if file.isprintable() else 'FILE'}")


def _zone() -> tzinfo:
    """Where hours of the day are counted: JOBMGR_TIMEZONE, as the server reads it. Raises SettingsError where that is no time zone."""
    from datetime import UTC

    from jobmgr import environment

    name = environment.read().given(("JOBMGR_TIMEZONE",)).get("JOBMGR_TIMEZONE")
    if name is None:
        return UTC
    from jobmgr.config import time_zone
    from jobmgr.errors import SettingsError

    try:
        return time_zone(name)
    except ValueError as error:
        raise SettingsError([f"JOBMGR_TIMEZONE={name}: {error}"]) from None


def _question(asked: Mapping[str, Any], newest: int) -> Question:
    """What was asked; a time that lies back counts from the newest instant."""
    from dataclasses import replace

    from jobmgr.stats.query import EVERYTHING, Target

    given = {name: value for name, value in asked.items() if value is not None}
    for name in ("since", "until"):
        if name in given:
            given[name] = options.instant(given[name], newest)
    if "target" in given:
        given["target"] = Target(given["target"])
    return replace(EVERYTHING, **given)


def _of_all(question: Question, columns: Columns, history: HistoryFile, zone: tzinfo) -> Mapping[str, Any]:
    from jobmgr.stats.summary import summarize

    return summarize(columns, question, total_jobs=history.jobs, now=history.newest, zone=zone)


def _of_name(name: str, columns: Columns, history: HistoryFile, zone: tzinfo) -> Mapping[str, Any]:
    """The report on one name. Raises JobmgrError where there is none."""
    from jobmgr.errors import JobmgrError
    from jobmgr.stats.report import report_of

    report = report_of(columns, name, now=history.newest, zone=zone)
    if report is None:
        raise JobmgrError(f"There is no job named {name} in {history.shown_name}. Names count exactly.")
    return report
