"""What a list of jobs is asked by: which ones, in which order, from where on. Values only; `sqlite_listing` makes statements of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jobmgr.job import Status


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: those that pass every condition given. The default passes all."""

    statuses: frozenset[Status] | None = None
    name: str | None = None
    """Exactly this name."""
    type: str | None = None
    """Of this job type."""
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """With all of these labels; None: with any value."""
    since: int | None = None
    """Submitted at this instant (microseconds) or later."""
    until: int | None = None
    """Submitted before this instant."""
    q: str | None = None
    """This text is part of the name or of an argument (of the job or of one of its tasks); ASCII letters match in either case."""
    before: int | None = None
    """With an id below this: what was there at some instant, and nothing submitted since."""


EVERY_JOB = JobFilter()


class SortBy(StrEnum):
    """What a list is sorted by. Ties stand in the order of ids. Each has its index, which every job pays for when it is written.

    Not by duration: an index over values without any order cost the store a third of its throughput.
    """

    CREATED_AT = "createdAt"
    """The order of ids: that of submission."""
    FINISHED_AT = "finishedAt"
    """Jobs that are not finished stand last, in either direction."""
    NAME = "jobName"


@dataclass(frozen=True, slots=True)
class JobOrder:
    """In which order. Descending turns ids round too."""

    by: SortBy = SortBy.CREATED_AT
    descending: bool = False


OLDEST_FIRST = JobOrder()


@dataclass(frozen=True, slots=True)
class JobKey:
    """A place in an order, mostly that of a job: its value there (None: it has none, or the order is that of ids), and its id."""

    value: int | str | None
    id: int
