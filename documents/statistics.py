"""The steps of the collection's story about all jobs together: what the statistics say, and the history that they are made of."""

from __future__ import annotations

from documents.history import fields_table
from documents.steps import Step

STATISTICS = (
    Step(
        "GET /stats",
        "Statistics",
        checks={
            "our jobs are counted": "pm.expect(answer.totalJobs).to.be.above(0)",
            "not all succeeded": "pm.expect(answer.overallSuccessRate).to.be.within(0.01, 0.99)",
            "it says how it was found": 'pm.expect(answer.analysis.method).to.eql("robust-BH")',
        },
    ),
    Step(
        "GET /stats",
        "What is slow",
        "The same search for what runs more than twice as long as is usual for its name.",
        query={"target": "slow", "maxPatterns": "5"},
        checks={"that was looked for": 'pm.expect(answer.analysis.target).to.eql("slow")'},
    ),
    Step(
        "GET /stats",
        "Ask what makes no sense",
        "Every wrong parameter is named with its remedy.",
        folder="statistics",
        status=400,
        query={"target": "luck", "maxPatterns": "0"},
        checks={
            "both are named": "pm.expect(answer.errors.map((each) => each.field))"
            '.to.have.members(["?target", "?maxPatterns"])',
        },
    ),
    Step(
        "GET /stats/jobs/{name}",
        "One name",
        path={"name": "locked"},
        checks={
            "it never succeeded": "pm.expect(answer.successRate).to.eql(0)",
            "each time it returned 3": 'pm.expect(answer.exitCodes).to.have.property("3")',
        },
    ),
    Step(
        "GET /stats/failures",
        "Kinds of failure",
        query={"name": "locked"},
        checks={
            "there is one": "pm.expect(answer.kinds).to.have.lengthOf(1)",
            "it has an example": "pm.expect(answer.kinds[0].example).to.not.be.empty",
        },
    ),
    Step(
        "GET /history",
        "History",
        f"One attempt a line, here those of the job that failed. The fields of a line:\n\n{fields_table()}",
        query={"name": "locked"},
        after=r'const lines = pm.response.text().trim().split("\n").map((line) => JSON.parse(line));',
        checks={
            "both attempts are there": "pm.expect(lines.slice(0, 2).map((line) => line.attempt)).to.eql([1, 2])",
            "each returned 3": "pm.expect(lines.every((line) => line.exitCode === 3)).to.be.true",
        },
    ),
)
