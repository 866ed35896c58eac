"""Values of the collection that no schema has: saved answers that make sense as a whole, and what parameters would usually be given."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jobmgr.errors import NoProgram, WrongStatus
from jobmgr.history import HistoryRow, to_line

USUAL: Mapping[str, str] = {
    "Idempotency-Key": "{{$guid}}",
    "Range": "bytes=0-999",
    "tail": "20",
    "limit": "20",
    "q": "door",
}
"""What parameters that are switched off would be given, where their schemas have no example."""


def _refused(status: HTTPStatus, error: str, **more: Any) -> Mapping[str, Any]:
    return {"success": False, "title": status.phrase, "status": int(status), "error": error, **more}


def _too_early(verb: str, status: str) -> Mapping[str, Any]:
    sentence = str(WrongStatus("job-0", verb, status))
    return _refused(HTTPStatus.CONFLICT, sentence, jobId="job-0", jobStatus=status)


_ATTEMPT = HistoryRow(
    job_id="job-0",
    task=0,
    job_name="locked",
    script="/srv/jobmgr/sample.sh",
    args=("exit", "3"),
    priority=0,
    group=None,
    node="here-3000",
    created_at=1_795_334_400_250_000,
    started_at=1_795_334_400_254_000,
    finished_at=1_795_334_401_296_000,
    status="crashed",
    cause="exit",
    exit_code=3,
    signal=None,
    round=1,
    attempt=1,
    retries=0,
    duration_us=1_042_000,
    queue_wait_us=3_000,
    peak_rss_bytes=12_582_912,
    cpu_us=710_000,
    read_bytes=0,
    write_bytes=4096,
    output_bytes=118,
    concurrency=1,
)

ANSWERS: Mapping[tuple[str, str], Any] = {
    ("POST /jobs", "400"): _refused(
        HTTPStatus.BAD_REQUEST,
        "/jobNam: unknown field; did you mean jobName?",
        errors=[{"field": "/jobNam", "problem": "unknown field; did you mean jobName?"}],
    ),
    ("POST /jobs", "409"): _refused(HTTPStatus.CONFLICT, str(NoProgram())),
    ("DELETE /jobs/{id}", "409"): _too_early("delete", "running"),
    ("POST /jobs/{id}/restart", "409"): _too_early("restart", "running"),
    ("POST /jobs/{id}/stop", "409"): _too_early("stop", "completed"),
    ("DELETE /jobs/{id}", "200"): {"success": True, "jobId": "job-0", "status": "deleted"},
    ("POST /jobs/{id}/stop", "200"): {"success": True, "jobId": "job-0", "status": "stopped"},
    ("GET /history", "200"): to_line(_ATTEMPT).decode(),
    ("GET /openapi.json", "200"): {"openapi": "3.1.0", "info": {"title": "jobmgr"}, "paths": {}},
    ("GET /readyz", "200"): {"ready": True},
    ("GET /readyz", "503"): {"ready": False, "reason": "shutting down"},
    ("GET /jobs/{id}/output", "200"): "a\nb\n",
    ("GET /jobs/{id}/output", "206"): "a",
}
"""Saved answers, by route and status, where examples of single fields do not make a sensible whole."""
