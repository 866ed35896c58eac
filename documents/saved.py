"""Values of the collection that no schema has: saved answers that make sense as a whole, and what parameters would usually be given."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jobmgr.errors import Conflict, NoProgram, WrongStatus
from jobmgr.history import HistoryRow, to_line
from jobmgr.webhooks.manager import MOST_WEBHOOKS

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

_BEFORE, _NOW = "2026-11-20T02:00:00.250Z", "2026-11-22T08:00:00.250Z"
_PATTERN: Mapping[str, Any] = {
    "pattern": "--codec is av1",
    "matchCount": 160,
    "successRate": 0.71,
    "differenceFromAverage": "-15%",
    "conditions": [{"attribute": "args.--codec", "op": "==", "value": "av1"}],
    "target": "success",
    "phase": "before",
    "kind": "recurring",
    "significant": True,
    "confidenceInterval": [0.63, 0.77],
    "riskDifference": [-0.25, -0.1],
    "p": 0.0000012,
    "q": 0.0021,
    "support": 0.27,
    "episodes": 9,
    "confirmedOutOfTime": True,
    "heldWithinName": True,
    "explainedBy": None,
    "alsoMatches": [],
    "excessFailures": 28.4,
    "sentence": "Jobs whose --codec is av1 fail 29 % of the time (47 of 160), others 11 % (49 of 440).",
}
_CHANGE: Mapping[str, Any] = {
    "name": "nightly-backup",
    "at": _BEFORE,
    "before": 0.98,
    "after": 0.71,
    "runsSince": 41,
    "p": 0.0001,
    "sentence": "Since 2026-11-20 02:00 the success of nightly-backup fell from 98 % to 71 %.",
}
_FLAKINESS: Mapping[str, Any] = {"passOnRetry": 0.64, "interval": [0.4, 0.83], "retries": 11}

_RUNNING: Mapping[str, Any] = {
    "jobId": "job-12",
    "jobName": "encode",
    "script": "/srv/jobmgr/encode.sh",
    "args": ["in.mp4", "out.mp4"],
    "type": None,
    "params": {},
    "labels": {"team": "media"},
    "status": "running",
    "cause": None,
    "error": None,
    "retries": 0,
    "exitCode": None,
    "signal": None,
    "duration": None,
    "progress": 40,
    "message": "page 3 of 9",
    "priority": 0,
    "node": "here-3000",
    "pid": 4711,
    "createdAt": _NOW,
    "startedAt": "2026-11-22T08:00:00.254Z",
    "finishedAt": None,
    "result": None,
    "eta": {
        "p10": 96.4,
        "p50": 131.0,
        "p90": 214.8,
        "at": 1_795_334_531.254,
        "basis": "23 runs of this name",
        "quality": "good",
        "failureRisk": 0.06,
        "longerThanUsual": False,
        "sentence": "About 2 min 11 s more (1 min 36 s to 3 min 35 s in 8 of 10 cases), judging by 23 runs of this name.",
    },
    "numTask": 1,
    "taskCounts": {"running": 1},
    "links": {
        "self": "/jobs/job-12",
        "tasks": "/jobs/job-12/tasks",
        "attempts": "/jobs/job-12/attempts",
        "output": "/jobs/job-12/output",
    },
}

ANSWERS: Mapping[tuple[str, str], Any] = {
    ("GET /jobs", "200"): [_RUNNING],
    ("GET /jobs/{id}", "200"): _RUNNING,
    ("GET /stats", "200"): {
        "totalJobs": 612,
        "overallSuccessRate": 0.84,
        "patterns": [_PATTERN],
        "incidents": [
            {
                "start": _BEFORE,
                "end": "2026-11-20T03:10:00.000Z",
                "failed": 17,
                "of": 20,
                "where": [{"attribute": "node", "op": "==", "value": "here-3000"}],
                "sentence": "From 02:00 to 03:10 on 20 November 17 of 20 tasks failed, all on here-3000.",
            }
        ],
        "changepoints": [_CHANGE],
        "flakiness": {"nightly-backup": _FLAKINESS},
        "analysis": {
            "target": "failure",
            "finishedTasks": 600,
            "hypotheses": 18_658,
            "method": "robust-BH",
            "fdr": 0.05,
            "timeBlocks": 14,
            "inflation": 1.3,
            "computedAt": _NOW,
            "fresh": True,
            "notes": [],
        },
    },
    ("GET /stats/jobs/{name}", "200"): {
        "name": "nightly-backup",
        "runs": 141,
        "completed": 127,
        "crashed": 14,
        "other": {"stopped": 3},
        "successRate": 0.9,
        "interval": [0.84, 0.94],
        "duration": {"p10": 1200, "p50": 4300, "p90": 9100, "p99": 61_000},
        "peakRssBytes": {"p10": 12_582_912, "p50": 14_680_064, "p90": 52_428_800, "p99": 94_371_840},
        "trend": {
            "before": 0.97,
            "after": 0.83,
            "p": 0.0087,
            "sentence": "The newer half of its runs succeeds less often: 83 %, before 97 %.",
        },
        "changepoint": _CHANGE,
        "flakiness": _FLAKINESS,
        "patterns": [_PATTERN],
        "hours": [{"hour": 2, "runs": 141, "successRate": 0.9}],
        "exitCodes": {"0": 86, "1": 12, "SIGKILL": 2},
        "suggestedTimeout": {"value": 123, "basis": "twice the longest 99 % of 127 completed runs"},
        "suggestedMemoryLimit": {"value": 141_557_760, "basis": "1.5 times the largest 99 % of 127 completed runs"},
        "sentence": "90 % of 141 runs of nightly-backup completed.",
    },
    ("GET /stats/failures", "200"): {
        "failedAttempts": 87,
        "kinds": [
            {
                "fingerprint": "cp: cannot create <path>: No space left on device",
                "id": "5f1c09a2",
                "count": 54,
                "jobs": ["job-88", "job-80"],
                "names": {"nightly-backup": 40, "encode": 14},
                "firstSeen": _BEFORE,
                "lastSeen": _NOW,
                "trend": "rising",
                "example": "cp: cannot create /backup/88: No space left on device",
                "exitCodes": {"1": 54},
                "sentence": "54 of 87 failed attempts ended with: cp: cannot create <path>: No space left on device",
            }
        ],
    },
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
    ("POST /webhooks", "409"): _refused(
        HTTPStatus.CONFLICT,
        str(Conflict(f"There are {MOST_WEBHOOKS} webhooks already, and no more are possible; remove one first.")),
    ),
    ("PATCH /webhooks/{webhook}", "409"): _refused(
        HTTPStatus.CONFLICT,
        "webhook-0 is the callback of a job: of one only url and enabled can be changed; make a webhook for the rest.",
    ),
    ("POST /webhooks/{webhook}/test", "409"): _refused(
        HTTPStatus.CONFLICT, str(Conflict("webhook-0 is disabled; enable it first."))
    ),
    ("POST /deliveries/{delivery}/redeliver", "409"): _refused(
        HTTPStatus.CONFLICT, str(Conflict("delivery-0 is pending: it is delivered anyway."))
    ),
    ("GET /history", "200"): to_line(_ATTEMPT).decode(),
    ("GET /openapi.json", "200"): {"openapi": "3.1.0", "info": {"title": "jobmgr"}, "paths": {}},
    ("GET /readyz", "200"): {"ready": True},
    ("GET /readyz", "503"): {"ready": False, "reason": "shutting down"},
    ("GET /jobs/{id}/output", "200"): "a\nb\n",
    ("GET /jobs/{id}/output", "206"): "a",
}
"""Saved answers, by route and status, where examples of single fields do not make a sensible whole."""
