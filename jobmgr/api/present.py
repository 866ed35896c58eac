"""Rows as clients see them: camelCase JSON, RFC 3339 times, durations in milliseconds, sizes in bytes. Pure.

A signal goes by its name (`"SIGKILL"`), because its number differs between systems and says nothing to a reader; null where none ended it.
`result` of a completed job that reported none is `{exitCode, output}` with a link.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from jobmgr.api import answers
from jobmgr.clock import rfc3339
from jobmgr.job import Status, job_id, signal_name, task_id
from jobmgr.stats.findings import Eta
from jobmgr.store.records import Attempt, Job, Task

US_PER_MS = 1000
US_PER_S = 1_000_000

DELETED: Final = "deleted"
"""Said in place of a status of a job that is no more."""


def job_json(job: Job, eta: Eta | None = None) -> answers.Job:
    """One job, as in `GET /jobs/{id}` and in each element of `GET /jobs`, with what is expected of it."""
    began = _has_begun(job)
    return {
        "jobId": job_id(job.id),
        "jobName": job.name,
        "script": job.script,
        "args": job.args,
        "type": job.type,
        "params": job.params,
        "labels": job.labels,
        "status": job.status,
        "cause": job.cause,
        "error": job.error,
        "retries": job.retries,
        "exitCode": job.exit_code,
        "signal": _signal(job.signal),
        "duration": _milliseconds(job.duration_us) if began else None,
        "progress": job.progress,
        "message": job.message,
        "priority": job.priority,
        "node": job.node,
        "pid": job.pid,
        "createdAt": rfc3339(job.created_at),
        "startedAt": _time(job.started_at) if began else None,
        "finishedAt": _time(job.finished_at),
        "result": _result(job),
        "eta": eta,
        "numTask": job.num_tasks,
        "taskCounts": {status: count for status, count in job.counts.items() if count},
        "links": _job_links(job),
    }


def task_json(task: Task) -> answers.Task:
    """One task with the facts of its newest attempt."""
    newest = task.newest
    return {
        "taskId": task_id(task.job, task.number),
        "jobId": job_id(task.job),
        "task": task.number,
        "status": task.status,
        "args": task.args,
        "attempt": task.attempt,
        "failures": task.failures,
        "dueAt": _time(task.due_at),
        **(_ending(newest) if newest else _NO_ENDING),
        "links": {
            "job": f"/jobs/{job_id(task.job)}",
            "attempts": f"/jobs/{job_id(task.job)}/attempts?task={task.number}",
            "output": f"/jobs/{job_id(task.job)}/output?task={task.number}",
        },
    }


def attempt_json(attempt: Attempt) -> answers.Attempt:
    """One attempt with all that is known of it."""
    place = f"/jobs/{job_id(attempt.job)}"
    return {
        "jobId": job_id(attempt.job),
        "taskId": task_id(attempt.job, attempt.task_number),
        "task": attempt.task_number,
        "attempt": attempt.number,
        "round": attempt.round,
        "run": attempt.run,
        "status": attempt.status,
        **_ending(attempt),
        "coreDumped": attempt.core_dumped,
        "queueWait": _milliseconds(attempt.queue_wait_us),
        "cpuSeconds": None if attempt.cpu_us is None else attempt.cpu_us / US_PER_S,
        "peakRssBytes": attempt.peak_rss_bytes,
        "readBytes": attempt.read_bytes,
        "writeBytes": attempt.write_bytes,
        "outputBytes": attempt.output_bytes,
        "leftovers": attempt.leftovers,
        "result": _finite(attempt.result),
        "links": {"job": place, "output": f"{place}/output?task={attempt.task_number}&attempt={attempt.number}"},
    }


def _ending(attempt: Attempt) -> answers.Ending:
    """What a task shows of its newest attempt."""
    return {
        "cause": attempt.cause,
        "error": attempt.error,
        "exitCode": attempt.exit_code,
        "signal": _signal(attempt.signal),
        "duration": _milliseconds(attempt.duration_us),
        "progress": attempt.progress,
        "message": attempt.message,
        "node": attempt.node,
        "pid": attempt.pid,
        "startedAt": _time(_started_at(attempt)),
        "finishedAt": _time(attempt.ended_at),
    }


def _started_at(attempt: Attempt) -> int | None:
    """When its process began; until that is stored, when it was asked for. None: it ended, and no process of it is known."""
    if attempt.started_at is None and attempt.status in (Status.RUNNING, Status.PAUSED):
        return attempt.claimed_at
    return attempt.started_at


def _has_begun(job: Job) -> bool:
    """Whether it ever had a process, as far as it had a slot: not so where all its tasks failed, and none was tried again after a crash."""
    return job.retries > 0 or job.counts.get(Status.FAILED, 0) < job.num_tasks


_NO_ENDING: answers.Ending = {
    "cause": None,
    "error": None,
    "exitCode": None,
    "signal": None,
    "duration": None,
    "progress": None,
    "message": None,
    "node": None,
    "pid": None,
    "startedAt": None,
    "finishedAt": None,
}


def submitted_json(job: int, status: Status | None) -> answers.Submitted:
    """The reply to a submission, and to a verb. None: it was deleted (a repeated submission may ask for it)."""
    return {"success": True, "jobId": job_id(job), "status": status or DELETED}


def _signal(number: int | None) -> str | None:
    return None if number is None else signal_name(number)


def _job_links(job: Job) -> answers.JobLinks:
    place = f"/jobs/{job_id(job.id)}"
    links: answers.JobLinks = {"self": place, "tasks": f"{place}/tasks", "attempts": f"{place}/attempts"}
    if job.num_tasks == 1:
        links["output"] = f"{place}/output"
    return links


def _result(job: Job) -> Any:
    if job.result is not None:
        return _finite(job.result)
    if job.status is not Status.COMPLETED:
        return None
    links = _job_links(job)
    return {"exitCode": job.exit_code, "output": links.get("output", links["tasks"])}


def _finite(value: Any) -> Any:
    """A reported value without NaN and infinities, which are no JSON: they become null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _time(us: int | None) -> str | None:
    return None if us is None else rfc3339(us)


def _milliseconds(us: int | None) -> int | None:
    return None if us is None else round(us / US_PER_MS)
