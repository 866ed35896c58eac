"""What failing jobs of a whole server said last is kept, grouped, and tells no secret."""

import json
import shutil
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from jobmgr.stats.failures import FailureKinds
from jobmgr.stats.findings import Failures
from jobmgr.store.sqlite import SqliteStore
from tests.faults.servers import ROOT, Site

SECRET = "hunter22-swordfish"
SPILL = """#!/bin/sh
echo "the key is $TOKEN"
if [ "$1" = report ]; then printf '{"error": "key %s is bad"}\\n' "$TOKEN" >&3; else echo "no entry for $TOKEN!"; fi
exit 2
"""


async def failures(site: Site) -> Failures:
    """What the database says, once its server has left."""
    site.leave()
    store = SqliteStore(site.data)
    await store.open()
    try:
        return await FailureKinds(store).read()
    finally:
        await store.close()


def submit(site: Site, *arguments: str, script: str = "sample.sh", **fields: object) -> str:
    """A job that is tried once."""
    body = {"script": script, "jobName": "fails", "arguments": list(arguments), "retry": {"maxAttempts": 1}, **fields}
    answer = site.server.ask("POST", "/jobs", body)
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


@pytest.fixture
def sample(site: Site) -> Site:
    """A server that has the sample."""
    shutil.copy(ROOT / "scripts" / "jobs" / "sample.sh", site.directory / "scripts" / "sample.sh")
    site.start()
    return site


async def test_jobs_that_fail_alike_are_one_kind(sample: Site) -> None:
    """Whatever numbers they printed; those that said nothing, could not be started or went well are not among them."""
    alike = [
        submit(sample, "print", "begun", "print", f"row {row} of file-{row}.csv is bad", "exit", "3")
        for row in (1, 22, 4711)
    ]
    submit(sample, "exit", "3")
    submit(sample, "print", "row 5 of file-5.csv is fine")
    Path(sample.directory / "scripts" / "broken").write_text("#!/no/such/interpreter\n")
    Path(sample.directory / "scripts" / "broken").chmod(0o755)
    refused = submit(sample, script="broken")
    sample.server.wait_all_finished()
    error = sample.server.job(refused)["error"]
    found = await failures(sample)
    kinds = {kind["fingerprint"]: kind for kind in found["kinds"]}
    assert found["failedAttempts"] == 5
    assert sorted(kinds["row <n> of file-<n>.csv is bad"]["jobs"]) == sorted(alike)
    assert kinds["row <n> of file-<n>.csv is bad"]["exitCodes"] == {"3": 3}
    assert kinds["no output; exit code 3"]["count"] == 1
    assert [kind["jobs"] for kind in kinds.values() if kind["example"] == error] == [[refused]]


async def test_no_secret_is_in_what_failed_jobs_said(sample: Site) -> None:
    """Printed, reported, or given to each of two attempts; secrets of other lengths make the same kind."""
    sample.add_script("spill", SPILL)
    for secret in (SECRET, SECRET * 3):
        for how in ("print", "report"):
            submit(sample, how, script="spill", secretEnv={"TOKEN": secret}, retry={"maxAttempts": 2, "delay": 0.05})
    sample.server.wait_all_finished()
    found = await failures(sample)
    assert SECRET not in json.dumps(found)
    assert {kind["fingerprint"]: kind["count"] for kind in found["kinds"]} == {
        "no entry for ***!": 4,
        "reported error: key *** is bad": 4,
    }


async def test_words_are_kept_when_the_server_was_killed(sample: Site) -> None:
    """What ended while no server was there is read by the next one."""
    job = sample.server.submit("until", 3, cwd=str(sample.directory), retry={"maxAttempts": 1})
    sample.server.pid_of(job)
    sample.server.kill()
    sample.go()
    sample.start()
    assert sample.server.wait_status(job)["status"] == "crashed"
    [kind] = (await failures(sample))["kinds"]
    assert (kind["fingerprint"], kind["jobs"]) == ("line <n>", [job])
