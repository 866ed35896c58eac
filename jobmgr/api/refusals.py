"""What each refusal means to whoever called, for the OpenAPI document: when it comes, and a sentence as an example."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

REFUSALS: Mapping[HTTPStatus, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: (
        "The request is not valid: `errors` lists every wrong field or parameter with its remedy.",
        "/arguments/0: give a string, that is text in quotes",
    ),
    HTTPStatus.FORBIDDEN: (
        "It comes from a page of another origin, which may change and watch nothing here (`JOBMGR_ALLOWED_ORIGINS` lists those that may).",
        "Pages of other origins may not change or watch anything here; JOBMGR_ALLOWED_ORIGINS lists those that may.",
    ),
    HTTPStatus.NOT_FOUND: (
        "There is no such job, task, attempt, webhook or delivery; a malformed id is none either.",
        "There is no job job-7.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "The path is right, the method is not: `Allow` lists those that are.",
        "PUT is not possible on /jobs; possible: GET, HEAD, POST.",
    ),
    HTTPStatus.REQUEST_TIMEOUT: ("The body did not come in time.", "The body did not come within 60 seconds."),
    HTTPStatus.CONFLICT: (
        "The status of the job does not allow this (`jobStatus` says which it is), nobody named a program to run, or a webhook forbids it as it is.",
        "job-0 is running: cannot delete it; stop it first.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "The body is larger than `JOBMGR_MAX_BODY_BYTES`.",
        "The body may have at most 16,777,216 bytes (JOBMGR_MAX_BODY_BYTES).",
    ),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "The body is not `application/json` in UTF-8, or it is compressed.",
        "Send the body as application/json in UTF-8; with curl: -H 'Content-Type: application/json'.",
    ),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: (
        "There are no such bytes; `Content-Range` says how many there are.",
        "Ask for one range within the 118 bytes there are.",
    ),
    HTTPStatus.MISDIRECTED_REQUEST: (
        "The `Host` header names another server (`JOBMGR_ALLOWED_HOSTS` lists what this one answers to).",
        "This server does not answer to that Host; JOBMGR_ALLOWED_HOSTS lists further ones.",
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "The `Idempotency-Key` was used before with another body.",
        "This Idempotency-Key was already used with another body.",
    ),
    HTTPStatus.UPGRADE_REQUIRED: (
        "This is for WebSockets: connect with one.",
        "Connect with a WebSocket; GET /events gives the same events to any client of HTTP.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "A bug, or a broken disk. The server's log has the details under `id`.",
        "Something went wrong in the server; its log has it as 5f0c1d2e3a4b.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Not now: the server recovers, shuts down, has too much to write, or too many watch it. Nothing was changed; try again after `Retry-After`.",
        "The server is shutting down; try again when it is back.",
    ),
    HTTPStatus.INSUFFICIENT_STORAGE: (
        "Too little disk space is left (`JOBMGR_DISK_FLOOR_BYTES`). Nothing was changed.",
        "Too little disk space is left to accept new jobs.",
    ),
}
