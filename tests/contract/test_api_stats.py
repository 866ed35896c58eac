"""Statistics over HTTP: what is asked reaches the analyzer as it was meant, and what it says is sent as it is. Its answers are held here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from documents.saved import ANSWERS
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.failures import FailureKinds
from jobmgr.stats.query import EVERYTHING, Question, Target
from tests.contract.served import Served, serving

HOUR_US = 3_600_000_000
EIGHT = 1_795_334_400_000_000  # 2026-11-22T08:00:00Z


@dataclass
class Said:
    """What was asked of the statistics, and what they answer to a name."""

    questions: list[Question] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    known: bool = True


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Answers in place of computed ones."""
    said = Said()

    async def stats(_self: StatsAnalyzer, question: Question) -> Any:
        said.questions.append(question)
        return ANSWERS["GET /stats", "200"]

    async def of_name(_self: StatsAnalyzer, name: str) -> Any:
        said.names.append(name)
        return ANSWERS["GET /stats/jobs/{name}", "200"] if said.known else None

    async def kinds(_self: FailureKinds, **asked: Any) -> Any:
        said.failures.append(asked)
        return ANSWERS["GET /stats/failures", "200"]

    monkeypatch.setattr(StatsAnalyzer, "stats", stats)
    monkeypatch.setattr(StatsAnalyzer, "of_name", of_name)
    monkeypatch.setattr(FailureKinds, "read", kinds)
    return said


@pytest.fixture
async def served(tmp_path: Path, said: Said) -> AsyncIterator[Served]:
    """The server."""
    async with serving(tmp_path) as served:
        yield served


async def get(served: Served, path: str, status: int = 200) -> Any:
    """The JSON of an answer, strictly: NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    async with served.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return json.loads(await answer.text(), parse_constant=refuse)


async def test_without_parameters_everything_is_asked(served: Served, said: Said) -> None:
    """The answer is sent as it is."""
    assert await get(served, "/stats") == ANSWERS["GET /stats", "200"]
    assert said.questions == [EVERYTHING]


async def test_a_question_is_what_its_parameters_say(served: Served, said: Said) -> None:
    """Each of them."""
    window = "since=2026-11-22T08:00:00Z&until=2026-11-22T10:00:00%2B01:00"
    await get(served, f"/stats?target=slow&name=a%20b&group=g&maxPatterns=50&minSupport=3&{window}")
    asked = Question(Target.SLOW, EIGHT, EIGHT + HOUR_US, "a b", "g", max_patterns=50, min_support=3)
    assert said.questions == [asked]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("target=luck", {"?target": "give one of failure, slow, memory"}),
        ("maxPatterns=0", {"?maxPatterns": "give a whole number from 1 to 50"}),
        ("maxPatterns=51", {"?maxPatterns": "give a whole number from 1 to 50"}),
        ("maxPatterns=", {"?maxPatterns": "give a whole number from 1 to 50"}),
        ("minSupport=0", {"?minSupport": "give a whole number from 1 to"}),
        ("minSupport=1.5", {"?minSupport": "give a whole number from 1 to"}),
        ("since=yesterday", {"?since": "give a time like 2026-11-22T08:00:00Z"}),
        ("until=2026-11-22", {"?until": "give a time like 2026-11-22T08:00:00Z"}),
        ("since=2026-11-22T08:00:00Z&until=2026-11-22T08:00:00Z", {"?until": "give a time after since"}),
        ("name=", {"?name": "give a text"}),
        ("group=", {"?group": "give a text"}),
        ("maxPattern=3", {"?maxPattern": "did you mean maxPatterns?"}),
        ("name=a&name=b", {"?name": "give it once"}),
        (
            "target=x&minSupport=-1&until=x",
            {"?target": "give one of", "?minSupport": "give a", "?until": "give a time"},
        ),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    served: Served, said: Said, query: str, wrong: dict[str, str]
) -> None:
    """400 with every wrong parameter and its remedy; nothing is computed."""
    problem = await get(served, f"/stats?{query}", 400)
    found = {each["field"]: each["problem"] for each in problem["errors"]}
    assert set(found) == set(wrong)
    assert all(remedy in found[name] for name, remedy in wrong.items())
    assert said.questions == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("plain", "plain"),
        ("a%20b", "a b"),
        ("a/b/c", "a/b/c"),
        ("a%2Fb", "a/b"),
        ("/a/", "/a/"),
        ("100%25", "100%"),
        ("%2541", "%41"),
        ("a%3Fb%23c", "a?b#c"),
        ("%C3%BC%F0%9F%8E%89", "ü🎉"),
        ("a+b", "a+b"),
        ("x%0Ay", "x\ny"),
        ("failures", "failures"),
        ("x" * 3000, "x" * 3000),
    ],
)
async def test_a_name_may_be_anything(served: Served, said: Said, path: str, name: str) -> None:
    """What stands behind the last slash, decoded once."""
    head = f"GET /stats/jobs/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await served.raw(head.encode())  # As it is: clients tidy up addresses.
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert said.names == [name]


async def test_the_report_on_a_name_is_sent(served: Served) -> None:
    """As it is."""
    assert await get(served, "/stats/jobs/nightly-backup") == ANSWERS["GET /stats/jobs/{name}", "200"]


async def test_a_name_that_was_never_seen_is_not_found(served: Served, said: Said) -> None:
    """Quoted, with what to do about it; a long one is not repeated in full, and nothing in it harms a terminal."""
    said.known = False
    problem = await get(served, "/stats/jobs/nightly-bckup", 404)
    assert problem["error"] == (
        "There is no finished job named “nightly-bckup”. Names count exactly; GET /jobs?q=TEXT finds jobs by a part of theirs."
    )
    assert len((await get(served, f"/stats/jobs/{'x' * 3000}", 404))["error"]) < 300
    assert "“a\\x1b[2J é”" in (await get(served, "/stats/jobs/a%1B%5B2J%20%C3%A9", 404))["error"]


@pytest.mark.parametrize("query", ["since=2026-11-22T08:00:00Z", "name=x", "target=slow"])
async def test_a_report_on_a_name_takes_no_parameters(served: Served, said: Said, query: str) -> None:
    """What would be ignored is refused."""
    await get(served, f"/stats/jobs/a?{query}", 400)
    assert said.names == []


async def test_kinds_of_failure_are_sent(served: Served, said: Said) -> None:
    """Twenty of them, of any time, unless something else is asked."""
    assert await get(served, "/stats/failures") == ANSWERS["GET /stats/failures", "200"]
    await get(served, "/stats/failures?since=2026-11-22T08:00:00Z&until=2026-11-22T09:00:00Z&name=x&limit=500")
    assert said.failures == [
        {"since": None, "until": None, "name": None, "limit": 20},
        {"since": EIGHT, "until": EIGHT + HOUR_US, "name": "x", "limit": 500},
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "since=x", "group=g", "target=slow"])
async def test_wrong_questions_about_failures_are_refused(served: Served, said: Said, query: str) -> None:
    """By name, as everywhere."""
    problem = await get(served, f"/stats/failures?{query}", 400)
    assert problem["errors"][0]["field"] == f"?{query.partition('=')[0]}"
    assert said.failures == []


@pytest.mark.parametrize("path", ["/stats", "/stats/failures", "/stats/jobs/a"])
async def test_statistics_can_only_be_read(served: Served, path: str) -> None:
    """405 with the methods that there are; HEAD is one."""
    async with served.client.post(path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    async with served.client.head(path) as answer:
        assert answer.status == 200


async def test_without_a_name_there_is_no_report(served: Served) -> None:
    """404, as of any address that is none."""
    await get(served, "/stats/jobs/", 404)
    await get(served, "/stats/jobs", 404)
