"""Values of the collection that no schema has: saved answers that make sense as a whole, and what parameters would usually be given."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jobmgr.errors import NoProgram

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
    sentence = f"job-0 is {status}: cannot {verb} it."
    return _refused(HTTPStatus.CONFLICT, sentence, jobId="job-0", jobStatus=status)


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
    ("GET /openapi.json", "200"): {"openapi": "3.1.0", "info": {"title": "jobmgr"}, "paths": {}},
    ("GET /readyz", "200"): {"ready": True},
    ("GET /readyz", "503"): {"ready": False, "reason": "shutting down"},
    ("GET /jobs/{id}/output", "200"): "a\nb\n",
    ("GET /jobs/{id}/output", "206"): "a",
}
"""Saved answers, by route and status, where examples of single fields do not make a sensible whole."""
