"""A whole server is asked by schemathesis what its OpenAPI document says it can be asked, and must answer as that says.

`SCHEMATHESIS_CASES` sets how many random requests each route gets besides the systematic ones (default 25, so that the suite stays quick):

    SCHEMATHESIS_CASES=500 ./scripts/test -k openapi_fuzz

What the document cannot say is fitted to the machine before a request is sent, and nothing else: see `fit`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from jobmgr.addresses import MAX_URL
from jobmgr.api.bodies import SCRIPT, SECRET, URL
from jobmgr.api.jobs import IDEMPOTENCY_KEY, MAX_KEY_CHARS
from jobmgr.api.openapi import document
from jobmgr.api.routes import ROUTES
from jobmgr.submission import MAX_NAME, MAX_PARAMS
from tests.faults.servers import Site

if TYPE_CHECKING:
    Case = schemathesis.Case[Any]
else:
    Case = schemathesis.Case

CASES = int(os.environ.get("SCHEMATHESIS_CASES", "25"))
TIMEOUT_S = 60 + CASES * 4
MOST_TASKS = 20
PROGRAM = "end.sh"
JOB_TYPE = "end"
KEY = "[ -~]+"
RECEIVER = "127.0.0.1"
NOWHERE = f"http://{RECEIVER}:9/"
"""Nobody listens there."""

CONFIG = SchemathesisConfig.from_dict(
    {
        # NUL: JSON schema can say of a text that it holds none only by a pattern on every field, which nobody could read.
        # test_api_refusals.py has it.
        "generation": {"allow-x00": False, "database": "none"},
        "operations": [
            {
                # A cursor is good only for the list that it came from, a key of labels can be asked for once.
                "include-operation-id": "listJobs",
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}},
            },
            {
                # Nobody knows beforehand how many webhooks there are already.
                "include-operation-id": "createWebhook",
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "409"]}},
            },
            *(
                # As for listJobs.
                {
                    "include-operation-id": operation,
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}},
                }
                for operation in ("watchEvents", "watchOrWelcome")
            ),
            *(
                # A time that ends before it begins is refused.
                {
                    "include-operation-id": operation,
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}},
                }
                for operation in ("statistics", "kindsOfFailure")
            ),
            {
                # Which task, stream and bytes may be asked for depends on the job.
                "include-operation-id": "showOutput",
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "416"]}},
            },
        ],
    }
)
# A copy: `fit` writes into bodies, and examples of the document are among them.
SCHEMA = schemathesis.openapi.from_dict(deepcopy(document(ROUTES)), config=CONFIG).exclude(
    path="/ws"
)  # For WebSockets: what a plain request gets there is 426.
SETTINGS = settings(
    max_examples=CASES,
    deadline=None,
    derandomize="SCHEMATHESIS_CASES"
    not in os.environ,  # The suite asks the same each time; who sets the number wants news.
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server listens whose jobs end at once."""
    site = Site(tmp_path_factory.mktemp("site"), MAX_CONCURRENT_TASKS="2", JOBMGR_RETRY="0")
    site.add_script(PROGRAM, "#!/bin/sh\n")
    catalog = site.directory / "jobs.toml"
    catalog.write_text(f'[types.{JOB_TYPE}]\nscript = "{PROGRAM}"\n')
    try:
        site.start(
            JOB_SCRIPT_PATH=str(site.directory / "scripts" / PROGRAM),
            JOBMGR_CATALOG=str(catalog),
            JOBMGR_ALLOW_COMMANDS="true",
            JOBMGR_WEBHOOK_HOSTS=RECEIVER,
        )
        address = site.server.address()
        assert address is not None
        yield address
        site.leave()
    finally:
        site.kill_everything()


def fit(case: Case) -> None:
    """Fit submissions to the machine, and let no two different ones have the same key, which the document says is refused."""
    key = case.headers.get(IDEMPOTENCY_KEY)
    if isinstance(key, str) and len(key) <= MAX_KEY_CHARS and re.fullmatch(KEY, key):
        case.headers[IDEMPOTENCY_KEY] = f"{key[:200]} {hashlib.sha256(repr(case.body).encode()).hexdigest()[:16]}"
    if case.operation.path == "/events":
        fit_wait(case)
    for submission in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(submission, dict):
            fit_submission(submission)
            fit_address(submission)


def fit_wait(case: Case) -> None:
    """Wait for no event: nothing happens here meanwhile, and a stream would not end at all. Streams have tests of their own."""
    wait = case.query.get("wait")
    if wait is None or (isinstance(wait, int | str) and str(wait).isdecimal()):
        case.query["wait"] = "0"


def fit_submission(submission: dict[str, Any]) -> None:
    """Name what is there (the document cannot know which scripts, types and commands are), and no more tasks than a test has time for."""
    script = submission.get("script")
    if isinstance(script, str) and len(script) <= 4096 and re.search(SCRIPT, script):
        submission["script"] = PROGRAM
    job_type = submission.get("type")
    if isinstance(job_type, str) and 1 <= len(job_type) <= MAX_NAME:
        submission["type"] = JOB_TYPE
        if isinstance(params := submission.get("params"), dict) and len(params) <= MAX_PARAMS:
            submission["params"] = {}
    command = submission.get("command")
    if isinstance(command, list) and command and isinstance(command[0], str):
        command[0] = "true"
    fit_secrets(submission)
    number = submission.get("numTask")
    if isinstance(number, int | float) and MOST_TASKS < number <= 1_000_000:
        submission["numTask"] = MOST_TASKS


def fit_address(body: dict[str, Any]) -> None:
    """Tell nobody: which hosts may be called no schema can say, and a test calls none but this machine."""
    for name in ("url", "callbackUrl"):
        if isinstance(url := body.get(name), str) and len(url) <= MAX_URL and re.search(URL, url):
            body[name] = NOWHERE


def fit_secrets(submission: dict[str, Any]) -> None:
    """Secrets are in no other field, neither their names nor their values: no schema can say so."""
    secrets, env = submission.get("secretEnv"), submission.get("env")
    if not isinstance(secrets, dict):
        return
    for name, value in secrets.items():
        if isinstance(value, str) and re.search(SECRET, value):
            secrets[name] = f"secret {hashlib.sha256(value.encode()).hexdigest()}"
        if isinstance(env, dict) and isinstance(env.get(name), str):
            del env[name]


@SCHEMA.parametrize()
@SETTINGS
@pytest.mark.timeout(TIMEOUT_S)
def test_a_route_answers_as_the_document_says(case: Case, address: str) -> None:
    """Status, headers, media type and body are documented ones; what the schema allows is accepted, what it forbids is refused."""
    fit(case)
    case.call_and_validate(base_url=address)


@pytest.mark.timeout(TIMEOUT_S)
def test_what_one_answer_leads_to_is_as_the_document_says(address: str) -> None:
    """Jobs are submitted and then looked at, stopped, restarted and deleted, in any order; what was deleted is not found again."""
    asked: list[str] = []
    found: list[BaseException] = []

    class Workflow(SCHEMA.as_state_machine()):  # type: ignore[misc]  # the class is made at run time
        """From answer to answer, along the links of the document."""

        def before_call(self, case: Case) -> None:
            fit(case)
            if case.headers:
                # A repeated key leads to the jobs of then, which may be deleted by now.
                case.headers.pop(IDEMPOTENCY_KEY, None)

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": address}

        def validate_response(self, response: Any, case: Case, **more: Any) -> None:
            asked.append(case.operation.label)
            try:
                super().validate_response(response, case, **more)
            except FailureGroup as failure:
                found.append(failure)

    # The server remembers, so the same requests lead elsewhere the second time: hypothesis then gives up the run, and gets another one.
    chosen = settings(
        SETTINGS, max_examples=1 + CASES // 5, stateful_step_count=8, derandomize=False, phases=[Phase.generate]
    )
    runs = 0
    while len(asked) < CASES * 2 and runs < CASES and not found:
        runs += 1
        with suppress(Flaky):
            Workflow.run(settings=chosen)
    assert not found, found[0]
    assert len(set(asked)) > 2, asked
