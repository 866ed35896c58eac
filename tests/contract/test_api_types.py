"""The routes of job types, and what a submission of one shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmgr import log
from tests.contract.served import Served, a_job, serving

CATALOG = """
[types.sync]
description = "Copies things"
script = "program.sh"
job = { timeout = 60, env = { INNER = "inner-value" } }
params.from = { description = "from where", argument = "{}" }
params.rate = { type = "number", minimum = 0.5, default = 2, argument = "--rate={}" }
params.mode = { choices = ["fast", "safe"], required = false, argument = "--mode={}" }
params.dry = { type = "boolean", argument = "--dry" }
params.key = { secret = true, variable = "KEY", pattern = "[a-z ]+", maxLength = 30 }

[types.absent]
script = "absent.sh"
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with two types; the script of one is missing."""
    (tmp_path / "jobs.toml").write_text(CATALOG)
    async with serving(tmp_path) as served:
        yield served


async def get(served: Served, path: str, status: int = 200) -> Any:
    """The JSON of an answer with this status."""
    async with served.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def test_types_are_listed_with_all_that_a_form_needs(served: Served) -> None:
    """In the order of the file; whether the program is there is told, how values reach it is not."""
    sync, absent = await get(served, "/types")
    assert (sync["name"], sync["description"], sync["available"]) == ("sync", "Copies things", True)
    assert (absent["name"], absent["available"], absent["params"]) == ("absent", False, [])
    assert sync["job"] == {"timeout": 60}
    params = {param["name"]: param for param in sync["params"]}
    assert list(params) == ["from", "rate", "mode", "dry", "key"]
    assert [name for name, param in params.items() if param["required"]] == ["from", "key"]
    assert (params["rate"]["type"], params["rate"]["minimum"], params["rate"]["default"]) == ("number", 0.5, 2)
    assert params["mode"]["choices"] == ["fast", "safe"]
    assert params["key"] == {
        "name": "key", "type": "string", "description": "", "required": True, "default": None, "choices": None,
        "minimum": None, "maximum": None, "pattern": "[a-z ]+", "maxLength": 30, "secret": True,
    }  # fmt: skip


async def test_one_type_is_shown_by_its_name(served: Served) -> None:
    """The same as in the list; 404 for one that is not there."""
    assert await get(served, "/types/sync") == (await get(served, "/types"))[0]
    assert "job type nothing" in (await get(served, "/types/nothing", 404))["error"]


async def test_without_a_catalog_there_are_no_types(tmp_path: Path) -> None:
    """An empty list, not an error."""
    async with serving(tmp_path) as served:
        assert await get(served, "/types") == []


async def test_no_answer_shows_the_environment_of_a_type(served: Served) -> None:
    """What its entry sets there may be meant for the program alone."""
    async with served.client.get("/types") as answer:
        assert "inner-value" not in await answer.text()


async def test_a_type_is_submitted_with_its_parameters(served: Served) -> None:
    """The spec has arguments, variables and defaults."""
    body = {"type": "sync", "params": {"from": "a", "dry": True, "key": "open sesame"}}
    async with served.client.post("/jobs", json=body) as answer:
        assert answer.status == 201, await answer.text()
    [spec] = served.manager.submitted
    assert (spec.type, spec.args, spec.timeout) == ("sync", ("a", "--rate=2", "--dry"), 60)
    assert (spec.secret_env, spec.params["key"]) == ({"KEY": "open sesame"}, "***")


async def test_bad_parameters_are_refused_by_name_and_nothing_is_created(served: Served) -> None:
    """All of them at once; a secret one is not quoted."""
    body = {"type": "sync", "params": {"fro": "a", "rate": 0, "mode": "quick", "key": "OPEN SESAME"}}
    async with served.client.post("/jobs", json=body) as answer:
        assert answer.status == 400
        problem = await answer.json(content_type=None)
        assert "OPEN SESAME" not in await answer.text()
    assert {wrong["field"] for wrong in problem["errors"]} == {
        "/params/fro", "/params/from", "/params/rate", "/params/mode", "/params/key",
    }  # fmt: skip
    assert served.untouched


async def test_a_job_shows_type_parameters_and_labels(served: Served) -> None:
    """As they were given; secret ones were masked before they were kept."""
    served.rows.add(a_job(1, type="sync", params={"from": "a", "key": "***"}, labels={"team": "media"}))
    job = await get(served, "/jobs/job-1")
    assert (job["type"], job["params"], job["labels"]) == ("sync", {"from": "a", "key": "***"}, {"team": "media"})


async def test_a_bug_shows_no_secret_either(served: Served, tmp_path: Path) -> None:
    """What fails unexpectedly is in the log with its traceback, and the values it was about are not."""
    log.configure(tmp_path / "app.log")
    try:
        served.manager.fails = RuntimeError("no luck")
        body = {"type": "sync", "params": {"from": "a", "key": "open sesame"}, "secretEnv": {"S": "hunter22"}}
        async with served.client.post("/jobs", json=body) as answer:
            said = await answer.text()
            assert answer.status == 500
        assert log.flush()
    finally:
        log.close()
    logged = (tmp_path / "app.log").read_text()
    assert "no luck" in logged
    for secret in ("open sesame", "hunter22"):
        assert secret not in said
        assert secret not in logged
