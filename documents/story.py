"""What a person wants to see of the interface, in the order of a first day: the requests of the Postman collection that are written by hand.

Run from top to bottom against a server with the sample scripts they need nothing from outside, and leave nothing that hinders the next run.
Each step says which route it asks and what must be true of the answer, in the JavaScript of Postman; `collection` adds to it all that the
OpenAPI document knows of that route, and the routes that no step asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from documents.statistics import STATISTICS
from documents.steps import REMEMBER, Step, look, submission
from documents.webhooks import WEBHOOKS

VARIABLES: Mapping[str, tuple[str, str]] = {
    "baseUrl": ("http://localhost:3000", "Where the server listens."),
    "jobId": ("job-0", "The job that the requests ask for; set by each submission."),
    "firstId": ("job-0", "The job that was submitted first; its output is read later."),
    "cursor": ("", "Where the next page of the list begins; set by `The newest two`."),
    "webhookId": ("webhook-0", "The webhook that the requests ask for; set by `Make a webhook`."),
    "deliveryId": ("delivery-0", "A delivery, as `GET /deliveries` lists them."),
    "idempotencyKey": ("", "The key of `Submit once`; made anew by it."),
    "asked": ("0", "How often the runner has asked for the end of a job; bounded."),
}
"""The variables of the collection: what they begin with and what they are for."""

SCRIPT = "sample.sh"


JOBS = (
    Step(
        "POST /jobs",
        "Submit a job",
        "The smallest submission: a name and arguments for the program that the server runs by default (`JOB_SCRIPT_PATH`).",
        status=201,
        body={"jobName": "hello", "arguments": ["a", "b"]},
        after=REMEMBER + '\npm.collectionVariables.set("firstId", pm.response.json().jobId);',
        checks={
            "it says where the job is": 'pm.response.to.have.header("Location", "/jobs/" + answer.jobId)',
            "the job waits or runs": 'pm.expect(answer.status).to.be.oneOf(["pending", "running", "completed"])',
        },
    ),
    look(
        "Look at it",
        "Until it has ended: a runner asks again, by hand send it again.",
        {
            "it completed": 'pm.expect(answer.status).to.eql("completed")',
            "its exit code is 0": "pm.expect(answer.exitCode).to.eql(0)",
            "nothing went wrong": "pm.expect(answer.error).to.eql(null)",
        },
    ),
    Step(
        "GET /jobs/{id}/tasks",
        "Its tasks",
        checks={
            "there is one": "pm.expect(answer).to.have.lengthOf(1)",
            "its number is 0": 'pm.expect(answer[0].taskId).to.eql(answer[0].jobId + ".0")',
        },
    ),
    Step(
        "GET /jobs/{id}/attempts",
        "Its attempts",
        checks={
            "there is one": "pm.expect(answer).to.have.lengthOf(1)",
            "it completed": 'pm.expect(answer[0].status).to.eql("completed")',
        },
    ),
    submission(
        "Submit one that fails",
        "It prints a line, then returns 3, and is tried twice.",
        {
            "jobName": "locked",
            "script": SCRIPT,
            "arguments": ["error", "the door is locked", "exit", "3"],
            "retry": {"maxAttempts": 2, "delay": 0.1},
        },
    ),
    look(
        "Read why",
        "`error` says in a sentence what went wrong, with the last line that it printed.",
        {
            "it crashed": 'pm.expect(answer.status).to.eql("crashed")',
            "because of its exit code": 'pm.expect(answer.cause).to.eql("exit")',
            "which was 3": "pm.expect(answer.exitCode).to.eql(3)",
            "it was tried again once": "pm.expect(answer.retries).to.eql(1)",
            "the sentence has its last line": 'pm.expect(answer.error).to.include("the door is locked")',
        },
    ),
    Step(
        "GET /jobs/{id}/attempts",
        "Both attempts",
        "Of one task only, by `task`.",
        query={"task": "0"},
        checks={
            "there are two": "pm.expect(answer.map((each) => each.attempt)).to.eql([1, 2])",
            "both returned 3": "pm.expect(answer.map((each) => each.exitCode)).to.eql([3, 3])",
        },
    ),
    submission(
        "Submit many tasks",
        "The same program five times; `{index}` becomes the number of the task.",
        {"jobName": "frames", "script": SCRIPT, "arguments": ["frame-{index}.png"], "numTask": 5},
    ),
    look(
        "Count its tasks",
        "`taskCounts` says how many tasks are in which status.",
        {"all five completed": "pm.expect(answer.taskCounts).to.eql({completed: 5})"},
    ),
    Step(
        "GET /jobs/{id}/tasks",
        "All its tasks",
        checks={
            "there are five": 'pm.response.to.have.header("X-Total-Count", "5")',
            "numbered from 0": "pm.expect(answer.map((each) => each.task)).to.eql([0, 1, 2, 3, 4])",
        },
    ),
    submission(
        "Arguments per task",
        "One list of arguments for each task.",
        {"jobName": "encode", "script": SCRIPT, "tasks": [["a.mp4"], ["b.mp4"]]},
    ),
    Step(
        "POST /jobs",
        "Submit a list",
        "Many jobs at once: all of them are stored, or none.",
        status=201,
        body=[{"jobName": "first"}, {"jobName": "second", "retry": False}],
        checks={"there is a reply for each": "pm.expect(answer).to.have.lengthOf(2)"},
    ),
    submission(
        "Submit with all",
        "Everything that can be said of a job which runs a script.",
        {
            "jobName": "everything",
            "script": SCRIPT,
            "arguments": ["print", "task {index}"],
            "numTask": 2,
            "priority": "High",
            "labels": {"team": "media"},
            "retry": {
                "maxAttempts": 3,
                "delay": 1,
                "factor": 2,
                "maxDelay": 60,
                "jitter": 0.1,
                "on": ["exit", "signal", "timeout"],
                "exitCodes": [1, 2],
            },
            "env": {"LANG": "C"},
            "secretEnv": {"API_KEY": "correct-horse-battery"},
            "cwd": "/",
            "timeout": 60,
            "deadline": 3600,
            "stopTimeout": 10,
            "stopSignal": "TERM",
            "leftovers": "stop",
            "successCodes": [0],
            "stderr": "separate",
        },
    ),
    Step(
        "POST /jobs",
        "Submit once",
        "With an `Idempotency-Key` a submission can be sent again without fear, after a cut connection for instance.",
        status=201,
        body={"jobName": "only-once"},
        headers={"Idempotency-Key": "{{idempotencyKey}}"},
        before='pm.collectionVariables.set("idempotencyKey", pm.variables.replaceIn("{{$guid}}"));',
        after=REMEMBER,
    ),
    Step(
        "POST /jobs",
        "Submit it again",
        "The same key and the same body: the same job.",
        status=201,
        body={"jobName": "only-once"},
        headers={"Idempotency-Key": "{{idempotencyKey}}"},
        checks={
            "it is the same job": 'pm.expect(answer.jobId).to.eql(pm.collectionVariables.get("jobId"))',
            "the reply says so": 'pm.response.to.have.header("Idempotency-Replayed", "true")',
        },
    ),
    Step(
        "POST /jobs",
        "Get it wrong",
        "Every wrong field is named with its remedy, and nothing is submitted.",
        status=400,
        body={"jobNam": "typo", "arguments": ["a", 1], "timeout": -1},
        checks={
            "all three are named": "pm.expect(answer.errors.map((each) => each.field))"
            '.to.have.members(["/jobNam", "/arguments/1", "/timeout"])',
            "the right name is near": 'pm.expect(answer.error).to.include("jobName")',
        },
    ),
    Step(
        "GET /jobs",
        "List all jobs",
        checks={"there are some": "pm.expect(answer).to.not.be.empty"},
    ),
    Step(
        "GET /jobs",
        "List the failed",
        "`failed` finds those that crashed too.",
        query={"status": "failed", "q": "DOOR"},
        checks={
            "there are some": "pm.expect(answer).to.not.be.empty",
            "all went wrong": 'answer.forEach((job) => pm.expect(job.status).to.be.oneOf(["crashed", "failed"]))',
        },
    ),
    Step(
        "GET /jobs",
        "The newest two",
        "A page; its `Link` header leads to the next one.",
        query={"sort": "-createdAt", "limit": "2"},
        after=r"""
        const [, next] = /[?&]cursor=([^&>]+)/.exec(pm.response.headers.get("Link"));
        pm.collectionVariables.set("cursor", decodeURIComponent(next));
        pm.collectionVariables.set("jobId", pm.response.json()[1].jobId);
        """,
        checks={"they are two": "pm.expect(answer).to.have.lengthOf(2)"},
    ),
    Step(
        "GET /jobs",
        "The next two",
        query={"sort": "-createdAt", "limit": "2", "cursor": "{{cursor}}"},
        checks={
            "they are older": "pm.expect(Number(answer[0].jobId.slice(4)))"
            '.to.be.below(Number(pm.collectionVariables.get("jobId").slice(4)))',
        },
    ),
)

VERBS = (
    submission(
        "Submit a long one",
        "It would sleep for ten minutes.",
        {"jobName": "long", "script": SCRIPT, "arguments": ["sleep", "600"], "retry": False},
        folder="verbs",
    ),
    Step(
        "DELETE /jobs/{id}",
        "Delete it too early",
        "Not while it runs: `jobStatus` says what stands in the way.",
        folder="verbs",
        status=409,
        checks={"its status is told": 'pm.expect(answer.jobStatus).to.be.oneOf(["pending", "running"])'},
    ),
    Step("POST /jobs/{id}/stop", "Stop it"),
    look("See it stopped", "", {"it stopped": 'pm.expect(answer.status).to.eql("stopped")'}, folder="verbs"),
    Step(
        "POST /jobs/{id}/restart",
        "Restart it",
        checks={"it waits or runs": 'pm.expect(answer.status).to.be.oneOf(["pending", "running"])'},
    ),
    Step("POST /jobs/{id}/stop", "Stop it again"),
    look("See it stopped again", "", {"it stopped": 'pm.expect(answer.status).to.eql("stopped")'}, folder="verbs"),
    Step(
        "DELETE /jobs/{id}",
        "Delete it",
        folder="verbs",
        checks={"it is deleted": 'pm.expect(answer.status).to.eql("deleted")'},
    ),
    Step(
        "GET /jobs/{id}",
        "See it gone",
        "What is not there is answered like every problem: `error` says it in a sentence.",
        folder="verbs",
        status=404,
        checks={"the job is named": 'pm.expect(answer.error).to.include(pm.collectionVariables.get("jobId"))'},
    ),
)

FIRST = {"id": "{{firstId}}"}
OUTPUT = (
    Step(
        "GET /jobs/{id}/output",
        "All of it",
        "What the very first job printed.",
        path=FIRST,
        checks={"it is as printed": r'pm.expect(pm.response.text()).to.eql("a\nb\n")'},
    ),
    Step(
        "GET /jobs/{id}/output",
        "The last line",
        path=FIRST,
        query={"tail": "1"},
        checks={"it is one line": r'pm.expect(pm.response.text()).to.eql("b\n")'},
    ),
    Step(
        "GET /jobs/{id}/output",
        "A range of bytes",
        path=FIRST,
        headers={"Range": "bytes=0-0"},
        status=206,
        checks={
            "it is one byte": 'pm.expect(pm.response.text()).to.eql("a")',
            "of four": 'pm.response.to.have.header("Content-Range", "bytes 0-0/4")',
        },
    ),
    Step(
        "GET /jobs/{id}/output",
        "A file to save",
        path=FIRST,
        query={"download": "true"},
        checks={"it has a name": 'pm.expect(pm.response.headers.get("Content-Disposition")).to.include("filename=")'},
    ),
    submission(
        "Submit a slow one",
        "It prints a line, waits, and prints another.",
        {
            "jobName": "talking",
            "script": SCRIPT,
            "arguments": ["print", "begun", "progress", "50", "sleep", "0.3", "print", "done"],
        },
        folder="output",
    ),
    Step(
        "GET /jobs/{id}/output",
        "Follow it",
        "The answer goes on until the attempt is over.",
        query={"follow": "true"},
        checks={"nothing is left out": r'pm.expect(pm.response.text()).to.eql("begun\ndone\n")'},
    ),
)

TYPES = (
    Step(
        "GET /types",
        "Job types",
        "What may be submitted as `type`, from the server's catalog (`jobs.toml`), with all that a form needs.",
        checks={
            "the samples are there": "pm.expect(answer.map((each) => each.name))"
            '.to.include.members(["upload", "extract", "team"])',
        },
    ),
    Step(
        "GET /types/{name}",
        "One type",
        path={"name": "extract"},
        checks={"it needs an archive": 'pm.expect(answer.params[0]).to.include({name: "archive", required: true})'},
    ),
    Step(
        "POST /jobs",
        "Get its parameters wrong",
        "Parameters are checked before there is a job, and refused by name.",
        folder="types",
        status=400,
        body={"type": "team", "params": {"nam": "typo", "directory": "/srv/teams"}},
        checks={
            "both are named": "pm.expect(answer.errors.map((each) => each.field))"
            '.to.have.members(["/params/nam", "/params/name"])',
        },
    ),
)

LIVE = (
    Step(
        "GET /events",
        "What has happened",
        "With `wait` the answer is JSON and comes as soon as there is something; without it, a stream that does not end.",
        query={"wait": "0", "after": "0", "limit": "5"},
        checks={
            "it is told in order, or said to be gone": "pm.expect(answer.reset || answer.events.every("
            "(each, n) => n === 0 || each.seq > answer.events[n - 1].seq)).to.eql(true)",
        },
    ),
    Step(
        "GET /events",
        "Wait for the next event",
        "At most a second; `seq` is where to go on.",
        query={"wait": "1"},
        checks={"it says where to go on": "pm.expect(answer.seq).to.be.above(0)"},
    ),
    Step(
        "GET /ws",
        "A WebSocket",
        "Open it as a WebSocket request of Postman (`ws://localhost:3000/ws`); asked for like this it says so.",
        status=426,
        checks={"it says what to do": 'pm.expect(answer.error).to.include("WebSocket")'},
    ),
)

SERVER = (
    Step("GET /healthz", "Health", checks={"it is well": 'pm.expect(answer.status).to.eql("ok")'}),
    Step("GET /readyz", "Ready", checks={"it takes jobs": "pm.expect(answer.ready).to.eql(true)"}),
    Step(
        "GET /openapi.json",
        "OpenAPI document",
        checks={"it is OpenAPI 3.1": "pm.expect(answer.openapi).to.match(/^3\\.1/)"},
    ),
    Step("GET /docs", "Swagger UI", "Open it in a browser."),
)

STORY: Sequence[Step] = (*JOBS, *VERBS, *OUTPUT, *TYPES, *LIVE, *WEBHOOKS, *STATISTICS, *SERVER)
