"""What statistics answer: the shapes of `GET /stats`, `/stats/jobs/{name}`, `/stats/failures` and of `eta`, field by field.

The meaning of each field is written here once; the API document, the pages and the report of the command line take it from here. The numbers
of the four known fields (`totalJobs`, `overallSuccessRate`, `patterns`, and in each its first four) are rounded as `basic` says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, le=1)]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Interval = Annotated[tuple[float, float], Field(description="From and to, with 95 % confidence.")]
Sentence = Annotated[str, Field(description="All of it in words.")]
NameOfJobs = Annotated[str, Field(description="The name of the jobs.", examples=["nightly-backup"])]


class Condition(TypedDict):
    """One thing that the tasks of a pattern have in common: a field of their history, or what is derived from it."""

    attribute: Annotated[str, Field(description="Which.", examples=["args.--batch"])]
    op: Annotated[Literal["==", "!=", ">", "<=", "in"], Field(description="How it compares.", examples=[">"])]
    value: Annotated[Any, Field(description="With what; null is unknown, `in` has a list.", examples=[64])]


class Pattern(TypedDict):
    """How the finished tasks did that have something in common."""

    pattern: Annotated[str, Field(description="What they have in common.", examples=["Argument count >= 2"])]
    matchCount: Annotated[Count, Field(description="How many there are.", examples=[12])]
    successRate: Annotated[
        Rate,
        Field(
            description="The share of them that completed; for another target, that did not have it.", examples=[0.75]
        ),
    ]
    differenceFromAverage: Annotated[
        str,
        Field(
            pattern=r"^[+-][0-9]+%$",
            description="How far that is from the overall rate, in percent of it.",
            examples=["-12%"],
        ),
    ]
    conditions: Annotated[list[Condition], Field(description="The same for programs; all of them hold.")]
    target: Annotated[Literal["success", "slow", "memory"], Field(description="What the rates are about.")]
    phase: Annotated[
        Literal["before", "runtime", "outcome"],
        Field(description="When it is known of a job: before it starts, while it runs, or only from how it went."),
    ]
    kind: Annotated[
        Literal["basic", "recurring", "bursty"],
        Field(
            description="`basic`: one of the known seven. `recurring`: found by the search, and it comes again and again. "
            "`bursty`: found, but mostly in a few episodes."
        ),
    ]
    significant: Annotated[bool, Field(description="Whether chance and bursts of failures cannot explain it.")]
    confidenceInterval: Annotated[Interval, Field(description="Of the success rate, with 95 % confidence.")]
    riskDifference: Annotated[
        Interval, Field(description="Success rate of these minus that of all others, with 95 % confidence.")
    ]
    p: Annotated[float | None, Field(description="The probability of such a difference where there is none.")]
    q: Annotated[float | None, Field(description="The same, after counting how many patterns were tried.")]
    support: Annotated[Rate, Field(description="The share of all finished tasks that match.")]
    episodes: Annotated[
        Count,
        Field(
            description="In how many parts of the time there was an excess of failures (or, for success, of successes)."
        ),
    ]
    confirmedOutOfTime: Annotated[
        bool | None,
        Field(
            description="Is it there in the first 70 % of the time, and did it hold in the last 30 %? null: too few."
        ),
    ]
    heldWithinName: Annotated[
        bool | None, Field(description="Is it there also among jobs of the same name? null: too few to say.")
    ]
    explainedBy: Annotated[str | None, Field(description="The pattern that accounts for this one, if one does.")]
    alsoMatches: Annotated[list[str], Field(description="Other descriptions of nearly the same tasks.")]
    excessFailures: Annotated[float, Field(description="So many more failed than if these were like all others.")]
    sentence: Sentence


class Incident(TypedDict):
    """A window of time in which far more failed than around it."""

    start: Annotated[Instant, Field(description="The first end of a task in it.")]
    end: Annotated[Instant, Field(description="The last.")]
    failed: Annotated[Count, Field(description="So many tasks crashed in it.")]
    of: Annotated[Count, Field(description="So many ended in it.")]
    where: Annotated[list[Condition], Field(description="What most of its failures have in common, if anything.")]
    sentence: Sentence


class Changepoint(TypedDict):
    """A name whose success has changed for good."""

    name: NameOfJobs
    at: Annotated[Instant, Field(description="The first run after the change.")]
    before: Annotated[Rate, Field(description="Success rate before.")]
    after: Annotated[Rate, Field(description="Success rate since.")]
    runsSince: Annotated[Count, Field(description="So many finished since.")]
    p: Annotated[
        float, Field(description="The probability of such a change somewhere in the series, where there is none.")
    ]
    sentence: Sentence


class Flakiness(TypedDict):
    """How often a run of a name passes when it is tried again after a crash."""

    passOnRetry: Annotated[Rate, Field(description="Drawn towards that of all names where there are few.")]
    interval: Interval
    retries: Annotated[Count, Field(description="So many crashes were followed by another attempt that ended.")]


class Analysis(TypedDict):
    """How the patterns were found."""

    target: Annotated[Literal["failure", "slow", "memory"], Field(description="What was looked for.")]
    finishedTasks: Annotated[Count, Field(description="So many tasks completed or crashed: what all rates count.")]
    hypotheses: Annotated[Count, Field(description="So many patterns were tried.")]
    method: Annotated[
        Literal["robust-BH"], Field(description="Robust variance over blocks of time, Benjamini–Hochberg.")
    ]
    fdr: Annotated[float, Field(description="The share of false ones that is borne among the significant.")]
    timeBlocks: Annotated[
        Count, Field(description="Parts of the time that count as independent; 0: too few for a search.")
    ]
    inflation: Annotated[float, Field(description="How many times larger the variance is than without bursts.")]
    computedAt: Annotated[Instant, Field(description="When.")]
    fresh: Annotated[bool, Field(description="Whether nothing has changed since.")]
    notes: Annotated[list[str], Field(description="What limits this answer, in words.")]


class Stats(TypedDict):
    """What the finished tasks say. Only completed and crashed ones count in rates; stopped, lost and failed ones in none."""

    totalJobs: Annotated[Count, Field(description="All jobs there are, of any status.", examples=[20])]
    overallSuccessRate: Annotated[
        Rate, Field(description="Completed ones of all tasks that completed or crashed, two decimals.", examples=[0.85])
    ]
    patterns: Annotated[
        list[Pattern],
        Field(
            description="What was discovered, the most telling first; then the basic ones that anything matches.",
            examples=[[]],
        ),
    ]
    incidents: Annotated[list[Incident], Field(description="Newest first.")]
    changepoints: Annotated[list[Changepoint], Field(description="Newest first.")]
    flakiness: Annotated[dict[str, Flakiness], Field(description="By name, the most retried first.")]
    analysis: Analysis


class Quantiles(TypedDict):
    """10, 50, 90 and 99 % of the runs were at most this."""

    p10: Annotated[float, Field(description="10 % were at most this.")]
    p50: Annotated[float, Field(description="Half of them were.")]
    p90: Annotated[float, Field(description="90 % were.")]
    p99: Annotated[float, Field(description="99 % were.")]


class Suggestion(TypedDict):
    """A limit that would have let pass what was good."""

    value: Annotated[float, Field(description="Seconds for a timeout, bytes for memory.")]
    basis: Annotated[str, Field(description="From what it follows.")]


class Trend(TypedDict):
    """The newer half of the finished runs against the older half."""

    before: Annotated[Rate, Field(description="Success rate of the older half.")]
    after: Annotated[Rate, Field(description="Success rate of the newer half.")]
    p: Annotated[float, Field(description="The probability of such a difference where there is none.")]
    sentence: Sentence


class HourOfDay(TypedDict):
    """The runs that were submitted in one hour of the day."""

    hour: Annotated[int, Field(ge=0, le=23, description="Its beginning; 14 is from 14:00 to 15:00.")]
    runs: Annotated[Count, Field(description="So many finished runs were submitted in it.")]
    successRate: Annotated[Rate | None, Field(description="null: none finished.")]


class NameReport(TypedDict):
    """What is known of the jobs of one name."""

    name: NameOfJobs
    runs: Annotated[Count, Field(description="Tasks that completed or crashed.")]
    completed: Annotated[Count, Field(description="Of these.")]
    crashed: Annotated[Count, Field(description="Of these.")]
    other: Annotated[dict[str, int], Field(description="Tasks that count in no rate, by status.")]
    successRate: Annotated[Rate | None, Field(description="Two decimals; null: none finished.")]
    interval: Annotated[Interval | None, Field(description="Of the success rate.")]
    duration: Annotated[Quantiles | None, Field(description="Of completed runs, milliseconds.")]
    peakRssBytes: Annotated[Quantiles | None, Field(description="Of completed runs, bytes.")]
    trend: Annotated[Trend | None, Field(description="null: too few runs.")]
    changepoint: Annotated[
        Changepoint | None, Field(description="When its success changed for good; null: it did not.")
    ]
    flakiness: Annotated[Flakiness | None, Field(description="What a retry is worth; null: nothing was retried.")]
    patterns: Annotated[list[Pattern], Field(description="What was discovered among its own runs.")]
    hours: Annotated[list[HourOfDay], Field(description="Hours of the day with a run, in `JOBMGR_TIMEZONE`.")]
    exitCodes: Annotated[
        dict[str, int], Field(description="How often the newest 100 attempts ended how: a code, or a signal by name.")
    ]
    suggestedTimeout: Annotated[Suggestion | None, Field(description="Seconds; null: too few completed.")]
    suggestedMemoryLimit: Annotated[Suggestion | None, Field(description="Bytes; null: too few completed.")]
    sentence: Sentence


class FailureKind(TypedDict):
    """Failed attempts whose last lines say the same, but for what is different in each: numbers, ids, times, paths."""

    fingerprint: Annotated[str, Field(description="The lines with what differs masked.")]
    id: Annotated[str, Field(description="A short name of the fingerprint, the same for ever.")]
    count: Annotated[Count, Field(description="So many attempts.")]
    jobs: Annotated[list[str], Field(description="Ids of the newest jobs with it, at most 20.")]
    names: Annotated[dict[str, int], Field(description="How often by name of job, the 20 most frequent, those first.")]
    firstSeen: Annotated[Instant, Field(description="When the first of them ended.")]
    lastSeen: Annotated[Instant, Field(description="When the newest did.")]
    trend: Annotated[
        Literal["new", "rising", "steady", "falling", "gone"],
        Field(description="The newer half of the time against the older."),
    ]
    example: Annotated[
        str, Field(description="The last lines of the newest one as they were, secrets masked; empty: none.")
    ]
    exitCodes: Annotated[
        dict[str, int],
        Field(
            description="How often they ended how: a code, a signal by name, or `spawn_error` for one that never ran."
        ),
    ]
    sentence: Sentence


class Failures(TypedDict):
    """What failed attempts said last, grouped."""

    failedAttempts: Annotated[Count, Field(description="All that were looked at: the newest 20,000 at most.")]
    kinds: Annotated[list[FailureKind], Field(description="The most frequent first.")]


class Eta(TypedDict):
    """When a running job is expected to end. Of one that waits: when it is expected to begin."""

    p10: Annotated[float, Field(ge=0, description="With 10 % probability it takes at most so many more seconds.")]
    p50: Annotated[float, Field(ge=0, description="With 50 %.")]
    p90: Annotated[float, Field(ge=0, description="With 90 %.")]
    at: Annotated[float, Field(description="The instant of p50, seconds since the epoch.")]
    basis: Annotated[str, Field(description="What it was learnt from.", examples=["23 runs of this name"])]
    quality: Annotated[Literal["good", "rough", "guess"], Field(description="How far to trust it.")]
    failureRisk: Annotated[
        Rate | None, Field(description="The probability that it crashes, having run so long; null: nothing known.")
    ]
    longerThanUsual: Annotated[
        bool, Field(description="It runs longer than nearly all of its like; which need not be bad.")
    ]
    sentence: Sentence
