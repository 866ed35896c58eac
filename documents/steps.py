"""What a step of the collection's story is: one request with what must be true of its answer, and the scripts of Postman that hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from textwrap import dedent
from typing import Any

ANY = 0
"""In place of a status: any but a refusal."""

REMEMBER = 'pm.collectionVariables.set("jobId", pm.response.json().jobId);'
ENDED = '["completed", "crashed", "failed", "stopped", "lost"].includes(answer.status)'
PATIENCE = 300
"""How often the runner asks whether a job has ended, a tenth of a second apart."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `path`, `query` and `headers` give values to parameters of the route; the others are there, switched off.

    `checks`: what must be true, by the sentence that Postman shows. `until`: this, and all checks with it, is asked again until it is true.
    `before` and `after` are scripts of its own; `after` runs before the checks, and both may use `answer`, the JSON of the answer.
    """

    route: str
    name: str
    text: str = ""
    _: KW_ONLY
    folder: str = ""
    status: int = 200
    body: Any = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    until: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)

    def test(self) -> list[str]:
        """The lines of its test script."""
        lines = [f'pm.test("status {self.status}", () => pm.response.to.have.status({self.status}));']
        if self.status == ANY:
            lines = ['pm.test("it is not refused", () => pm.expect(pm.response.code).to.be.below(400));']
        if "answer" in self.after + self.until + "".join(self.checks.values()):
            lines.append("const answer = pm.response.json();")
        lines += dedent(self.after).strip().splitlines()
        checks = [f'pm.test("{name}", () => {check});' for name, check in self.checks.items()]
        return [*lines, *(_again(self.until, checks) if self.until else checks)]


def _again(until: str, checks: Sequence[str]) -> list[str]:
    """The checks once it is true; before that, the same request again, in a runner, a tenth of a second later."""
    return [
        'const asked = Number(pm.collectionVariables.get("asked")) + 1;',
        f"if (!({until}) && asked < {PATIENCE}) {{",
        "    // Not yet. In a runner the same request is sent again; by hand, send it again.",
        '    pm.collectionVariables.set("asked", asked);',
        "    postman.setNextRequest(pm.info.requestId);",
        "    setTimeout(() => {}, 100);",
        "} else {",
        '    pm.collectionVariables.set("asked", 0);',
        *(f"    {check}" for check in checks),
        "}",
    ]


def submission(name: str, text: str, body: Any, **more: Any) -> Step:
    """A step that submits one job, which later steps ask for."""
    return Step("POST /jobs", name, text, status=201, body=body, after=REMEMBER, **more)


def look(name: str, text: str, checks: Mapping[str, str], **more: Any) -> Step:
    """A step that looks at the job until it has ended, and then holds what it has become."""
    return Step("GET /jobs/{id}", name, text, until=ENDED, checks=checks, **more)
