"""Every JSON answer as a type: the handlers' functions return them, mypy holds that they do, and `openapi` describes them from here.

The names are those of the interface: camelCase fields, times in RFC 3339, durations in milliseconds, sizes in bytes. Every field is there in
every answer; what is not known is null. Only what is marked NotRequired may be missing. Says what fields mean, not how they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from jobmgr.job import Cause, Status
from jobmgr.stats.findings import Eta

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[int, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]
Place = Annotated[str, WithJsonSchema({"type": "string", "format": "uri-reference"})]
JobId = Annotated[str, Field(pattern=r"^job-(0|[1-9][0-9]*)$")]
TaskId = Annotated[str, Field(pattern=r"^job-(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$")]


class JobLinks(TypedDict):
    """Where there is more about a job."""

    self: Annotated[Place, Field(description="The job.", examples=["/jobs/job-0"])]
    tasks: Annotated[Place, Field(description="Its tasks.", examples=["/jobs/job-0/tasks"])]
    attempts: Annotated[Place, Field(description="The attempts of all its tasks.", examples=["/jobs/job-0/attempts"])]
    output: NotRequired[
        Annotated[
            Place, Field(description="What it printed; of a job with one task only.", examples=["/jobs/job-0/output"])
        ]
    ]


class Job(TypedDict):
    """One job as it is now.

    Of a job with many tasks, `exitCode`, `signal`, `cause` and `error` are those of the first task that failed, and `duration` is the
    time from the first beginning to the last end.
    """

    jobId: Annotated[JobId, Field(description="Its id, never used again; gaps are normal.", examples=["job-0"])]
    jobName: Annotated[str, Field(description="As submitted; by default the name of its program.", examples=["hello"])]
    script: Annotated[str, Field(description="Absolute path of the program.", examples=["/srv/jobmgr/sample.sh"])]
    args: Annotated[Sequence[str], Field(description="The arguments of the program.", examples=[["a", "b"]])]
    type: Annotated[
        str | None, Field(description="The job type that it was submitted as; null: none.", examples=["upload", None])
    ]
    params: Annotated[
        Mapping[str, Any],
        Field(description="What was given for the parameters of its type; secret ones as `***`.", examples=[{}]),
    ]
    labels: Annotated[
        Mapping[str, str], Field(description="Names and values to find it by.", examples=[{"team": "media"}])
    ]
    status: Annotated[Status, Field(description="Where it is in its life.", examples=["completed"])]
    cause: Annotated[
        Cause | None, Field(description="Why it ended; null while it has not, and of a completed one.", examples=[None])
    ]
    error: Annotated[
        str | None,
        Field(
            description="What went wrong, in one sentence with the last line that it printed; null: nothing did.",
            examples=[None],
        ),
    ]
    retries: Annotated[Count, Field(description="Crashes that were tried again in this round.", examples=[0])]
    exitCode: Annotated[int | None, Field(description="What the program returned; null: nothing yet.", examples=[0])]
    signal: Annotated[
        str | None, Field(description="Name of the signal that ended it; null: none did.", examples=[None, "SIGKILL"])
    ]
    duration: Annotated[
        Milliseconds | None, Field(description="Milliseconds that its last attempt took.", examples=[1042])
    ]
    progress: Annotated[
        float | None,
        Field(ge=0, le=100, description="0 to 100, as it last reported; null: it reports none.", examples=[100]),
    ]
    message: Annotated[str | None, Field(description="What it last said of itself.", examples=[None, "page 3 of 9"])]
    priority: Annotated[
        int, Field(description="Higher ones begin first; Regular is 0 and High is 10.", examples=[0, 10])
    ]
    node: Annotated[str | None, Field(description="The server that runs or ran it.", examples=["here-3000"])]
    pid: Annotated[
        int | None, Field(description="Process id of the running attempt; of a job with one task.", examples=[4711])
    ]
    createdAt: Annotated[Time, Field(description="When it was submitted.", examples=["2026-11-22T08:00:00.250Z"])]
    startedAt: Annotated[
        Time | None,
        Field(description="When its first attempt of this round began.", examples=["2026-11-22T08:00:00.254Z"]),
    ]
    finishedAt: Annotated[
        Time | None, Field(description="When it ended; null: it has not.", examples=["2026-11-22T08:00:01.296Z"])
    ]
    result: Annotated[
        Any,
        Field(
            description="What it reported as its result; of a completed job that reported none, exit code and place of output.",
            examples=[{"exitCode": 0, "output": "/jobs/job-0/output"}],
        ),
    ]
    eta: Annotated[
        Eta | None,
        Field(
            description="When it is expected to end, or while it waits to begin, learnt from earlier runs; null: nothing is known.",
            examples=[None],
        ),
    ]
    numTask: Annotated[int, Field(ge=1, description="How many tasks it has.", examples=[1])]
    taskCounts: Annotated[
        Mapping[Status, int],
        Field(description="How many of its tasks are in each status; no zeros.", examples=[{"completed": 1}]),
    ]
    links: JobLinks


class Ending(TypedDict):
    """How an attempt ended, as far as it has."""

    cause: Annotated[Cause | None, Field(description="Why it ended; null: it has not, or it completed.")]
    error: Annotated[
        str | None, Field(description="What went wrong, in one sentence.", examples=["exited with 3 after 1.0 s: oops"])
    ]
    exitCode: Annotated[int | None, Field(description="What the program returned.", examples=[3])]
    signal: Annotated[str | None, Field(description="Name of the signal that ended it.", examples=[None, "SIGKILL"])]
    duration: Annotated[Milliseconds | None, Field(description="Milliseconds that it took.", examples=[1042])]
    progress: Annotated[
        float | None, Field(ge=0, le=100, description="0 to 100, as it last reported.", examples=[62.5])
    ]
    message: Annotated[str | None, Field(description="What it last said of itself.", examples=[None])]
    node: Annotated[str | None, Field(description="The server that runs or ran it.", examples=["here-3000"])]
    pid: Annotated[int | None, Field(description="Its process id.", examples=[4711])]
    startedAt: Annotated[
        Time | None, Field(description="When its process began.", examples=["2026-11-22T08:00:00.254Z"])
    ]
    finishedAt: Annotated[Time | None, Field(description="When it ended.", examples=["2026-11-22T08:00:01.296Z"])]


class TaskLinks(TypedDict):
    """Where there is more about a task."""

    job: Annotated[Place, Field(description="Its job.", examples=["/jobs/job-0"])]
    attempts: Annotated[Place, Field(description="Its attempts.", examples=["/jobs/job-0/attempts?task=0"])]
    output: Annotated[
        Place, Field(description="What its newest attempt printed.", examples=["/jobs/job-0/output?task=0"])
    ]


class TaskHead(TypedDict):
    """What of a task comes before the facts of its newest attempt."""

    taskId: Annotated[TaskId, Field(description="Id of its job and its number.", examples=["job-0.0"])]
    jobId: Annotated[JobId, Field(description="Its job.", examples=["job-0"])]
    task: Annotated[Count, Field(description="Its number in the job, from 0.", examples=[0])]
    status: Annotated[Status, Field(description="Where it is in its life.", examples=["crashed"])]
    args: Annotated[
        Sequence[str] | None,
        Field(
            description="Its own arguments, of a job submitted with `tasks`; null: those of the job.", examples=[None]
        ),
    ]
    attempt: Annotated[Count, Field(description="Number of its newest attempt; 0 before the first.", examples=[2])]
    failures: Annotated[Count, Field(description="Counted failures in this round.", examples=[2])]
    dueAt: Annotated[
        Time | None, Field(description="When its next attempt may begin; null: it waits for no time.", examples=[None])
    ]


class Task(TaskHead, Ending):
    """One task of a job with the facts of its newest attempt, which are null before the first."""

    links: TaskLinks


class AttemptLinks(TypedDict):
    """Where there is more about an attempt."""

    job: Annotated[Place, Field(description="Its job.", examples=["/jobs/job-0"])]
    output: Annotated[Place, Field(description="What it printed.", examples=["/jobs/job-0/output?task=0&attempt=1"])]


class AttemptHead(TypedDict):
    """What of an attempt comes before its ending."""

    jobId: Annotated[JobId, Field(description="Its job.", examples=["job-0"])]
    taskId: Annotated[TaskId, Field(description="Its task.", examples=["job-0.0"])]
    task: Annotated[Count, Field(description="Number of its task.", examples=[0])]
    attempt: Annotated[int, Field(ge=1, description="Its number within the task, from 1.", examples=[1])]
    round: Annotated[int, Field(ge=1, description="In which round of the job; restart begins another.", examples=[1])]
    run: Annotated[
        str, Field(description="Random id of its launch, in the job's environment as JOBMGR_RUN.", examples=["b0d5…"])
    ]
    status: Annotated[
        Status,
        Field(description="That of its task after it; retried: it crashed and another follows.", examples=["retried"]),
    ]


class Attempt(AttemptHead, Ending):
    """One execution of one task with all that is known of it."""

    coreDumped: Annotated[bool, Field(description="Whether the kernel wrote a core file.", examples=[False])]
    queueWait: Annotated[
        Milliseconds | None, Field(description="Milliseconds from when it could have begun until it did.", examples=[3])
    ]
    cpuSeconds: Annotated[
        float | None, Field(ge=0, description="Processor time of the whole tree, in seconds.", examples=[0.71])
    ]
    peakRssBytes: Annotated[
        Bytes | None,
        Field(
            description="Peak memory of its largest process. Never less than about 12 MiB: the kernel counts what started it, too.",
            examples=[12_582_912],
        ),
    ]
    readBytes: Annotated[Bytes | None, Field(description="Read from storage.", examples=[0])]
    writeBytes: Annotated[Bytes | None, Field(description="Written to storage.", examples=[4096])]
    outputBytes: Annotated[Bytes | None, Field(description="Printed.", examples=[118])]
    leftovers: Annotated[Count, Field(description="Processes that it left behind when it ended.", examples=[0])]
    result: Annotated[Any, Field(description="What it reported as its result; null: nothing.", examples=[None])]
    links: AttemptLinks


class Submitted(TypedDict):
    """The reply to a submission and to a verb."""

    success: Annotated[Literal[True], Field(description="Problems say false here.")]
    jobId: Annotated[JobId, Field(description="The job.", examples=["job-0"])]
    status: Annotated[
        Status | Literal["deleted"],
        Field(description="Its status now; deleted: it is there no more.", examples=["running"]),
    ]


class Parameter(TypedDict):
    """One parameter of a job type: what a value may be. null: nothing is said."""

    name: Annotated[str, Field(description="Its name in `params`.", examples=["file"])]
    type: Annotated[
        Literal["string", "integer", "number", "boolean"], Field(description="What a value is.", examples=["string"])
    ]
    description: Annotated[str, Field(description="What it is for.", examples=["The file, as a path on the server"])]
    required: Annotated[bool, Field(description="Whether a submission must give it.", examples=[True])]
    default: Annotated[
        bool | int | float | str | None, Field(description="What holds where it is not given.", examples=[None, 50])
    ]
    choices: Annotated[
        Sequence[bool | int | float | str] | None,
        Field(description="The only values there are.", examples=[None, ["webm", "mp4"]]),
    ]
    minimum: Annotated[float | None, Field(description="The least value of a number.", examples=[None, 1])]
    maximum: Annotated[float | None, Field(description="The greatest value of a number.", examples=[None, 100])]
    pattern: Annotated[
        str | None, Field(description="A regular expression for the whole text.", examples=[None, "[0-9a-f]{64}"])
    ]
    maxLength: Annotated[int | None, Field(description="Most characters of a text.", examples=[None, 64])]
    secret: Annotated[
        bool, Field(description="Whether its value is shown nowhere; jobs show it as `***`.", examples=[False])
    ]


class JobTypeLinks(TypedDict):
    """Where there is more about a job type."""

    self: Annotated[Place, Field(description="The type.", examples=["/types/upload"])]


class JobType(TypedDict):
    """A job type: what may be submitted as `type`, with what parameters."""

    name: Annotated[str, Field(description="What a submission gives as `type`.", examples=["upload"])]
    description: Annotated[str, Field(description="What it does.", examples=["Copies a file into a directory"])]
    script: Annotated[str, Field(description="Its program, below the scripts directory.", examples=["upload.py"])]
    available: Annotated[
        bool, Field(description="Whether its program is there now; else a submission is refused.", examples=[True])
    ]
    params: Annotated[
        Sequence[Parameter], Field(description="Its parameters, in the order of the catalog.", examples=[[]])
    ]
    job: Annotated[
        Mapping[str, Any],
        Field(
            description="Its defaults for other fields of a submission, without `env`; what the submission says wins.",
            examples=[{"timeout": 3600}],
        ),
    ]
    links: JobTypeLinks


Seq = Annotated[int, Field(ge=0)]


class FeedEvent(TypedDict):
    """One committed change. Its number and its kind tell it from all others."""

    event: Annotated[str, Field(description="Its kind.", examples=["job-update"])]
    seq: Annotated[Seq, Field(description="Its number: they rise in the order of the changes.", examples=[17])]
    at: Annotated[Time, Field(description="When it happened.", examples=["2026-11-28T08:00:00.250Z"])]
    data: Annotated[
        Mapping[str, Any],
        Field(description="What it tells, by its kind.", examples=[{"jobId": "job-0", "status": "running"}]),
    ]


class FeedPage(TypedDict):
    """What a long poll gives."""

    events: Annotated[Sequence[FeedEvent], Field(description="What happened, in order; empty when the time was up.")]
    seq: Annotated[Seq, Field(description="Where to go on: the next `after`.", examples=[17])]
    reset: Annotated[
        bool,
        Field(
            description="What was asked for is no longer kept: fetch `GET /jobs`, and go on after `seq`.",
            examples=[False],
        ),
    ]


class StreamedEvent(TypedDict):
    """One of a stream of server-sent events."""

    id: NotRequired[Annotated[str, Field(description="Where to go on: `Last-Event-ID`.", examples=["17"])]]
    event: NotRequired[Annotated[str, Field(description="Its kind.", examples=["job-update"])]]
    data: NotRequired[
        Annotated[
            str, Field(description="JSON: what it tells.", examples=['{"jobId":"job-0","status":"running","seq":17}'])
        ]
    ]


class Health(TypedDict):
    """The server answers."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Whether new jobs would be taken now."""

    ready: Annotated[bool, Field(description="Whether new jobs would be taken now.", examples=[True])]
    reason: NotRequired[
        Annotated[
            Literal["recovering", "shutting down"],
            Field(description="Why not; given only then.", examples=["recovering"]),
        ]
    ]


class WrongField(TypedDict):
    """One wrong field with its remedy."""

    field: Annotated[
        str,
        Field(
            description="Where: a JSON pointer into the body, `?name` for a parameter, the name of a header; empty for the whole body.",
            examples=["/arguments/0"],
        ),
    ]
    problem: Annotated[str, Field(description="What to do about it.", examples=["Input should be a valid string"])]


class Problem(TypedDict):
    """What every refused request is answered with (RFC 9457): one sentence in `error`, and all wrong fields in `errors`."""

    success: Literal[False]
    title: Annotated[str, Field(description="The status in words.", examples=["Bad Request"])]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.", examples=[400])]
    error: Annotated[
        str,
        Field(
            description="What is wrong and what to do, in a sentence or a few.",
            examples=["/arguments/0: Input should be a valid string"],
        ),
    ]
    errors: NotRequired[Annotated[Sequence[WrongField], Field(description="Every wrong field; of status 400.")]]
    jobId: NotRequired[Annotated[JobId, Field(description="The job whose status does not allow the verb; of 409.")]]
    jobStatus: NotRequired[Annotated[Status, Field(description="That status.", examples=["running"])]]
    id: NotRequired[
        Annotated[str, Field(description="What to look for in the server's log; of 500.", examples=["5f0c1d2e3a4b"])]
    ]
