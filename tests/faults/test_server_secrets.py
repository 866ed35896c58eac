"""Secrets in a whole server: the program gets them, also after kill -9, and nothing else ever shows them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from jobmgr.secrets import parts_of
from tests.faults.servers import Server, Site
from tests.waiting import eventually_blocking

# Tells its secret in every way that a program has, keeps what it got in a file of its own, and crashes with the secret as its last word.
SPILL = """#!/bin/sh
printf '%s' "$TOKEN" > "got.$JOBMGR_JOB_ID.$JOBMGR_ATTEMPT"
echo begun
while [ -n "$WAITS" ] && [ ! -e go ]; do sleep 0.05; done
printf 'out %s%s end\\n' "$TOKEN" "$TOKEN"
printf 'err %s\\n' "$TOKEN" >&2
if [ -z "$SILENT" ]; then
    printf '{"progress": 50, "message": "m %s", "error": "e %s"}\\n' "$TOKEN" "$TOKEN" >&3
    printf '{"result": {"list": ["r %s"], "%s": {"deep": "%s"}}, "checkpoint": "%s"}\\n' "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" >&3
fi
printf 'last %s' "$TOKEN"
printf 'last %s' "$TOKEN" >&2
exit 1
"""
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQDZ\n-----END PRIVATE KEY-----"
SECRETS = ["hunter22-swordfish", "pässwörd → 秘密", "two words.*[x]+$", "x" * 3000 + "y", PEM]
MAX_SHORT = 200
"""What is longer fits into no name and no label."""
CATALOG = """
[types.spill]
script = "spill"
params.token = { variable = "TOKEN", secret = true }
params.other = { variable = "OTHER", required = false, pattern = "[a-z]+" }
"""


def submissions(secret: str) -> list[dict[str, Any]]:
    """The same secret, given in each way; two attempts each. A program that would report it as broken JSON says nothing on fd 3."""
    more = {"retry": {"maxAttempts": 2, "delay": 0.05}, "env": {"SILENT": "yes"} if "\n" in secret else {}}
    return [
        {"script": "spill", "secretEnv": {"TOKEN": secret}, "stderr": "separate", "cwd": "CWD", **more},
        {"type": "spill", "params": {"token": secret}, "cwd": "CWD", **more},
    ]


def refused(secret: str) -> list[Any]:
    """What is wrong in many ways, with the secret in it."""
    kept = {"script": "spill", "secretEnv": {"TOKEN": secret}}
    short: list[Any] = [
        {**kept, "jobName": f"name {secret}"},
        {**kept, "script": f"{secret}/spill"},
        {**kept, "labels": {"a": secret}},
        {"secretEnv": {"TOKEN": secret}, "type": secret},
        {**kept, secret: 5},
    ]
    return [
        *(short if len(secret) < MAX_SHORT else []),
        {**kept, "arguments": [secret]},
        {**kept, "tasks": [[secret]]},
        {**kept, "env": {"A": secret}},
        {**kept, "command": [secret]},
        {**kept, "secretEnv": {"TOKEN": [secret]}},
        {**kept, "secretEnv": {"LD_PRELOAD": secret}},
        {"type": "spill", "params": {"token": [secret]}},
        {"type": "spill", "params": {"token": secret, "other": secret}},
        [{"type": "spill", "params": {"tokn": secret}}],
    ]


def answers(server: Server, job: str) -> list[str]:
    """Everything that the interface says of a job, and of all."""
    output = f"/jobs/{job}/output?attempt="
    paths = [
        f"/jobs/{job}",
        f"/jobs/{job}/tasks",
        f"/jobs/{job}/attempts",
        "/jobs",
        "/stats",
        "/types",
        "/types/spill",
        "/history",
    ]
    for attempt in (1, 2):
        paths += [
            f"{output}{attempt}{more}"
            for more in ("", "&tail=1", "&tail=3", "&follow=true", "&download=true", "&stream=stderr")
        ]
    return [json.dumps(server.ask("GET", path).body, ensure_ascii=False) for path in paths]


def database(site: Site) -> dict[str, str]:
    """All that the database holds, by table and column."""
    tables = [name for (name,) in site.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    texts: dict[str, str] = {}
    for table in tables:
        columns = [row[1] for row in site.rows(f"PRAGMA table_info({table})")]
        for row in site.rows(f"SELECT * FROM {table}"):
            for column, value in zip(columns, row, strict=True):
                # JSON is kept in ASCII.
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                place = f"{table}.{column}"
                texts[place] = f"{texts.get(place, '')}\n{text}\n{_unescaped(text)}"
    return texts


def _unescaped(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text


def shows(text: str, secret: str) -> bool:
    """Whether any part of the secret that must be hidden is in the text, as it is or as JSON writes it."""
    parts = parts_of(secret)
    return any(part in text or json.dumps(part)[1:-1] in text for part in parts)


@pytest.fixture
def spilling(site: Site) -> Site:
    """A site with a program that tells its secrets, and a type for it."""
    site.add_script("spill", SPILL)
    (site.directory / "jobs.toml").write_text(CATALOG)
    return site


def placed(site: Site, body: dict[str, Any]) -> dict[str, Any]:
    """The submission with the directory in which it leaves what it got."""
    return {**body, "cwd": str(site.directory)}


def test_nothing_shows_a_secret_but_the_program_has_it(spilling: Site) -> None:
    """No answer, event, log line or row; only the specification in the database, and the output file as the job wrote it."""
    server = spilling.start()
    jobs: list[tuple[str, str]] = []
    for secret in SECRETS:
        for body in submissions(secret):
            answer = server.ask("POST", "/jobs", placed(spilling, body))
            assert answer.status == 201, answer
            jobs.append((answer.body["jobId"], secret))
    said = [json.dumps(server.wait_status(job, "crashed"), ensure_ascii=False) for job, _ in jobs]
    for job, secret in jobs:
        said += answers(server, job)
        for attempt in (1, 2):
            assert (spilling.directory / f"got.{job}.{attempt}").read_text() == secret
    for secret in SECRETS:
        for wrong in refused(secret):
            answer = server.ask("POST", "/jobs", wrong)
            assert answer.status == 400, (wrong, answer)
            said.append(json.dumps(answer.body, ensure_ascii=False))
    said += [
        json.dumps(server.ask(*verb).body)
        for verb in (("POST", f"/jobs/{jobs[0][0]}/restart"), ("DELETE", f"/jobs/{jobs[1][0]}"))
    ]
    server.wait_status(jobs[0][0], "crashed")
    texts = {
        "answers": "\n".join(said),
        **database(spilling),
        "log": (spilling.directory / "app.log").read_text(),
        "stdout": server.said.read_text(),
        "stderr": server.told.read_text(),
    }
    assert {place for place, text in texts.items() for secret in SECRETS if shows(text, secret)} == {"specs.spec"}
    assert "it reported: e ***" in texts["attempts.error"]
    assert any(SECRETS[0] in path.read_text(errors="replace") for path in (spilling.data / "output").rglob("*.out"))


def test_what_holds_secrets_is_for_the_owner_alone(spilling: Site) -> None:
    """Mode 0600 for the database and its log, 0700 for the directory."""
    server = spilling.start()
    server.ask("POST", "/jobs", placed(spilling, submissions(SECRETS[0])[0]))
    holding = [path for path in spilling.data.iterdir() if path.name.startswith("jobmgr.db")]
    assert len(holding) >= 2
    assert {oct(path.stat().st_mode & 0o777) for path in holding} == {"0o600"}
    assert spilling.data.stat().st_mode & 0o777 == 0o700
    server.wait_status("job-0", "crashed")


def test_a_retry_after_kill_9_has_its_secret_and_hides_it(spilling: Site) -> None:
    """The server that takes the job up hides it in what the first attempt says at its end, and gives it to the second.

    The journal from which it knows of the attempt does not hold it.
    """
    secret = SECRETS[0]
    body = placed(spilling, submissions(secret)[1] | {"env": {"WAITS": "yes"}})
    server = spilling.start()
    assert server.ask("POST", "/jobs", body).status == 201
    pid = server.pid_of("job-0")
    server.kill()
    journals = [path.read_text(errors="replace") for path in (spilling.data / "keepers").rglob("*") if path.is_file()]
    assert any(str(pid) in text for text in journals)
    assert not any(shows(text, secret) for text in journals)
    server = spilling.start()
    assert server.pid_of("job-0") == pid
    spilling.go()
    server.wait_status("job-0", "crashed")
    assert [(spilling.directory / f"got.job-0.{n}").read_text() for n in (1, 2)] == [secret, secret]
    assert [a["error"].rpartition("; ")[2] for a in server.attempts("job-0")] == ["it reported: e ***"] * 2
    assert not any(shows(text, secret) for text in answers(server, "job-0"))


def test_a_retry_that_was_due_while_no_server_ran_has_its_secret(spilling: Site) -> None:
    """Killed while the job waits for its second attempt."""
    body = placed(spilling, submissions(SECRETS[4])[0] | {"retry": {"maxAttempts": 2, "delay": 4, "jitter": 0}})
    server = spilling.start()
    assert server.ask("POST", "/jobs", body).status == 201
    server.wait_status("job-0", "retried")
    server.kill()
    server = spilling.start()
    server.wait_status("job-0", "crashed")
    assert (spilling.directory / "got.job-0.2").read_text() == SECRETS[4]
    eventually_blocking(lambda: "attempt=2" in (spilling.directory / "app.log").read_text())
    assert not shows((spilling.directory / "app.log").read_text(), SECRETS[4])


def test_a_restart_keeps_secrets(spilling: Site) -> None:
    """A new round is the same job."""
    server = spilling.start()
    assert server.ask("POST", "/jobs", placed(spilling, submissions(SECRETS[1])[1] | {"retry": False})).status == 201
    server.wait_status("job-0", "crashed")
    assert server.ask("POST", "/jobs/job-0/restart").status == 200
    eventually_blocking(lambda: Path(spilling.directory / "got.job-0.2").exists())
    server.wait_status("job-0", "crashed")
    assert (spilling.directory / "got.job-0.2").read_text() == SECRETS[1]


@pytest.mark.parametrize(
    ("catalog", "settings", "problem"),
    [
        ("[types.jobs]\nscript = 'x'\n[types.b]", {}, "types.b.script"),
        (None, {"JOBMGR_CATALOG": "mine.toml"}, "JOBMGR_CATALOG"),
    ],
)
def test_a_wrong_catalog_is_told_before_anything_starts(
    site: Site, catalog: str | None, settings: dict[str, str], problem: str
) -> None:
    """All wrong entries at once, on stderr; no data directory is made."""
    if catalog is not None:
        (site.directory / "jobs.toml").write_text(catalog)
    server = site.begin_start(**settings)
    assert server.exit_code() not in (0, 70)
    assert problem in server.told.read_text()
    assert not site.data.exists()
