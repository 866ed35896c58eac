"""The handlers of statistics: read the question, ask the analyzer, send what it found. Nothing is computed here.

A name of jobs may hold anything, slashes too: in a path it is what stands after `/stats/jobs/`, decoded.
"""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jobmgr.api.parts import PARTS
from jobmgr.api.query import Instant, Query, Text, Whole, asked
from jobmgr.api.send import json_answer
from jobmgr.errors import NotFound
from jobmgr.stats.findings import Failures, NameReport, Stats
from jobmgr.stats.labels import quoted
from jobmgr.stats.query import MOST_PATTERNS, Question, Target

LIMIT_OF_PATTERNS = 50
USUAL_KINDS = 20
LIMIT_OF_KINDS = 500


class _Window(Query):
    """Which part of the time."""

    since: Instant | None = Field(None, description="Only what ended at this instant or later.")
    until: Instant | None = Field(None, description="Only what ended before this instant.")

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: int | None, info: ValidationInfo) -> int | None:
        since = info.data.get("since")
        if since is not None and until is not None and until <= since:
            raise PydanticCustomError("order", "give a time after since, or leave one of them out")
        return until


class StatsQuery(_Window):
    """Which jobs to look at, and for what."""

    target: Literal["failure", "slow", "memory"] = Field(
        "failure",
        description="What is looked for: `failure`; `slow`, more than twice the median time of the name; `memory`, likewise.",
    )
    name: Text | None = Field(None, description="Only jobs of exactly this name.", examples=["nightly-backup"])
    group: Text | None = Field(None, description="Only jobs of this group.", examples=["video"])
    maxPatterns: Annotated[int, Whole(1, LIMIT_OF_PATTERNS)] = Field(
        MOST_PATTERNS, description="At most so many discovered patterns; the basic ones come besides."
    )
    minSupport: Annotated[int, Whole(1)] | None = Field(
        None, description="So many tasks at least match a pattern; by default 1 % of all, but 10 to 50."
    )

    def question(self) -> Question:
        """The same for the statistics."""
        return Question(
            Target(self.target),
            since=self.since,
            until=self.until,
            name=self.name,
            group=self.group,
            max_patterns=self.maxPatterns,
            min_support=self.minSupport,
        )


class FailuresQuery(_Window):
    """Which failures."""

    name: Text | None = Field(None, description="Only jobs of exactly this name.", examples=["nightly-backup"])
    limit: Annotated[int, Whole(1, LIMIT_OF_KINDS)] = Field(USUAL_KINDS, description="At most so many kinds.")


async def statistics(request: web.Request) -> web.StreamResponse:
    """What the finished jobs say.

    How many jobs there are, which share of the finished tasks completed, and what goes with failure: first what was discovered, with
    how sure that is, then seven basic patterns that are always counted. Incidents, changes and flaky names besides.
    Stopped, lost and failed tasks count in no rate. `analysis` says how old the answer is. docs/statistics.md explains it in plain words.
    """
    answer: Stats = await request.app[PARTS].analyzer.stats(asked(request, StatsQuery).question())
    return json_answer(answer)


async def report_on_name(request: web.Request) -> web.StreamResponse:
    """What is known of the jobs of one name.

    How often they succeed, how long they take and how much memory, what changed and when, at which hours, which limits would fit.
    A slash in the name may stand as it is or as `%2F`.
    """
    name = request.match_info["name"]
    answer: NameReport | None = await request.app[PARTS].analyzer.of_name(name)
    if answer is None:
        remedy = "Names count exactly; GET /jobs?q=TEXT finds jobs by a part of theirs."
        raise NotFound("finished job named", quoted(name), remedy=remedy)
    return json_answer(answer)


async def kinds_of_failure(request: web.Request) -> web.StreamResponse:
    """What failed attempts said last, grouped.

    Attempts whose last lines differ only in numbers, ids, times and paths are of one kind, counted together, with an example and their jobs.
    """
    query = asked(request, FailuresQuery)
    answer: Failures = await request.app[PARTS].failures.read(
        since=query.since, until=query.until, name=query.name, limit=query.limit
    )
    return json_answer(answer)
