"""What a list of jobs must be, said in Python: which jobs pass a filter, and where each stands in an order."""

from __future__ import annotations

from collections.abc import Sequence

from jobmgr.job import JobSpec
from jobmgr.store.listing import JobFilter, JobOrder, SortBy
from jobmgr.store.records import Job


def passes(found: JobFilter, job: Job, tasks: Sequence[Sequence[str]] = ()) -> bool:
    """Whether a job, with the arguments that its tasks have of their own, passes a filter."""
    texts = (job.name, *job.args, *(argument for args in tasks for argument in args))
    return (
        (found.statuses is None or job.status in found.statuses)
        and found.name in (None, job.name)
        and found.type in (None, job.type)
        and all(key in job.labels and value in (None, job.labels[key]) for key, value in found.labels.items())
        and (found.since is None or job.created_at >= found.since)
        and (found.until is None or job.created_at < found.until)
        and (found.before is None or job.id < found.before)
        and (found.q is None or any(ascii_lower(found.q) in ascii_lower(text) for text in texts))
    )


def ascii_lower(text: str) -> str:
    """The text with its ASCII letters in lower case, all others as they are."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def value_of(job: Job, order: JobOrder) -> int | str | None:
    """What a job is sorted by before its id."""
    return {SortBy.CREATED_AT: None, SortBy.FINISHED_AT: job.finished_at, SortBy.NAME: job.name}[order.by]


def listed(
    jobs: Sequence[Job], found: JobFilter, order: JobOrder, specs: dict[int, JobSpec] | None = None
) -> list[int]:
    """The ids of the jobs that pass, in order; those without a value last."""
    own = {number: spec.tasks or () for number, spec in (specs or {}).items()}
    passing = [job for job in jobs if passes(found, job, own.get(job.id, ()))]
    having = [job for job in passing if value_of(job, order) is not None]
    lacking = [job for job in passing if value_of(job, order) is None]
    for part in (having, lacking):
        part.sort(key=lambda job: (value_of(job, order) or 0, job.id), reverse=order.descending)
    return [job.id for job in having + lacking]
