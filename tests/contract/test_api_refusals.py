"""What the API refuses: pages of others, wrong bodies, hostile HTTP. Always a 4xx with a sentence, nothing created, never a 500."""

import asyncio
import io
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs
from yarl import URL

from jobmgr.admission import Admission, Admitted
from jobmgr.api.listing import JobsQuery
from jobmgr.api.query import check
from jobmgr.api.routes import ROUTES
from jobmgr.errors import InvalidRequest, SettingsError
from jobmgr.submission import MAX_PROBLEMS
from tests.contract.served import Served, a_job, serving

HELLO = b'{"jobName": "hello"}'
JSON = {"Content-Type": "application/json"}
CHANGING = [("POST", "/jobs"), ("POST", "/jobs/job-1/stop"), ("POST", "/jobs/job-1/restart"), ("DELETE", "/jobs/job-1")]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with job-1, which runs; one foreign host and origin are allowed."""
    allowed: dict[str, Any] = {
        "JOBMGR_ALLOWED_HOSTS": "jobs.example.org",
        "JOBMGR_ALLOWED_ORIGINS": "https://board.example.org",
    }
    async with serving(tmp_path, **allowed) as served:
        served.rows.add(a_job(1))
        yield served


async def ask(served: Served, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer; every refusal is problem+json with a sentence, and shows nothing of the inside."""
    async with served.client.request(method, path, **options) as answer:
        text = await answer.text()
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
            assert json.loads(text)["error"]
            assert "Traceback" not in text
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return answer.status, json.loads(text)


async def post(served: Served, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    """The answer to a submission with this body."""
    return await ask(served, "POST", "/jobs", data=io.BytesIO(body), headers={**JSON, **headers})


# --- pages of others


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:1"},
        {"Origin": "file://"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
async def test_case_78_a_foreign_page_changes_nothing(
    served: Served, method: str, path: str, headers: dict[str, str]
) -> None:
    """403 on everything that changes state, whatever the body."""
    status, _ = await ask(served, method, path, headers=headers, json={})
    assert status == 403
    assert served.untouched


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("body", [b"", HELLO], ids=["empty", "body"])
async def test_case_78_what_forms_can_send_is_refused(
    served: Served, method: str, path: str, kind: str, body: bytes
) -> None:
    """415 also from a browser so old that it sends no Origin, and without a body too."""
    status, _ = await ask(served, method, path, data=io.BytesIO(body), headers={"Content-Type": kind})
    assert status == 415
    assert served.untouched


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonp"},
        {"Content-Encoding": "gzip", **JSON},
        {"Content-Encoding": "br", **JSON},
    ],
    ids=str,
)
async def test_a_body_is_plain_json(served: Served, headers: dict[str, str]) -> None:
    """415 for other types, other charsets, and for anything compressed: it is never decompressed."""
    status, _ = await ask(served, "POST", "/jobs", data=io.BytesIO(HELLO), headers=headers)
    assert status == 415
    assert served.untouched


async def test_own_pages_and_allowed_ones_may_change_things(served: Served) -> None:
    """The server's own origin by the name the page used, a configured origin, and a person's address bar."""
    port = served.server.port
    for headers in (
        {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"},
        {"Origin": "http://localhost", "Host": "localhost:80"},
        {"Origin": "https://jobs.example.org", "Host": "jobs.example.org"},
        {"Origin": "https://board.example.org", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        status, _ = await post(served, HELLO, **headers)
        assert status == 201, headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "0.0.0.0:3000",
        "[::]",
        "10.0.0.1",
        "2130706433",
        "jobs.example.org.evil.example",
    ],
)
async def test_case_79_a_foreign_host_is_served_nothing(served: Served, host: str) -> None:
    """421 for names and addresses that are not this server's, for reading and changing alike."""
    for method, path in [("GET", "/jobs"), ("GET", "/healthz"), *CHANGING]:
        status, _ = await ask(served, method, path, headers={"Host": host, **JSON})
        assert status == 421
    assert served.untouched


@pytest.mark.parametrize("host", ["", "localhost:x", "localhost:99999999", "user@localhost", "localhost/x", "[::1"])
async def test_case_79_a_malformed_host_is_a_bad_request(served: Served, host: str) -> None:
    """400, whatever it looks like."""
    answer = await served.raw(f"GET /jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:3000",
        "localhost.",
        "localhost.:3000",
        "127.0.0.1",
        "127.0.0.2:1",
        "[::1]",
        "[::1]:3000",
        "Jobs.Example.ORG:443",
    ],
)
async def test_case_79_names_of_this_server_are_served(served: Served, host: str) -> None:
    """Loopback by any port (a forwarded one differs), with the dot at the end or without, and what is configured."""
    status, _ = await ask(served, "GET", "/healthz", headers={"Host": host})
    assert status == 200


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: evil.example\r\n"], ids=["none", "two"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_case_79_exactly_one_host_is_needed(served: Served, hosts: str, version: str) -> None:
    """None and two are both refused."""
    answer = await served.raw(f"GET /jobs HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n".encode())
    assert b" 400 " in answer.split(b"\r\n", 1)[0]


# --- wrong bodies


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"jobName": "x"} trailing', "not JSON"),
        (b'{"jobName": "x",}', "not JSON"),
        (b'\xef\xbb\xbf{"jobName": "x"}', "not JSON"),
        (b'{"jobName": "a\nb"}', "not JSON"),
        (b'{"jobName": "\xff"}', "UTF-8"),
        (b'{"jobName": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"timeout": NaN}', "NaN"),
        (b'{"timeout": -Infinity}', "Infinity"),
        (b'{"timeout": 1e999}', "too large"),
        (b'{"priority": ' + b"9" * 1_000_000 + b"}", "digits"),
        (b'{"timeout": 0.' + b"9" * 1_000_000 + b"}", "too large"),
        (b'{"jobName": "a", "jobName": "b"}', '"jobName" is given twice'),
        (b'{"retry": {"delay": 1, "delay": 2}}', '"delay" is given twice'),
        (b"[" * 100_000 + b"]" * 100_000, "deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper"),
        (b"[" * 66 + b"]" * 66, "deeper"),
        (b"[" * 100_000, "deeper"),
        (b"null", "JSON object"),
        (b"1", "JSON object"),
        (b"[]", "list"),
        (b"[[]]", "JSON object"),
    ],
    ids=lambda value: repr(value[:24]),
)
async def test_what_is_not_strict_json_is_refused(served: Served, body: bytes, says: str) -> None:
    """400 with a sentence that says what is wrong."""
    status, problem = await post(served, body)
    assert status == 400
    assert says in problem["error"]
    assert served.untouched


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00", "\\ud800x"])
@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ('{"arguments": ["ok", "%s"]}', "/arguments/1"),
        ('{"env": {"A": "%s"}}', "/env/A"),
        ('{"cwd": "/%s"}', "/cwd"),
        ('[{"jobName": "a"}, {"tasks": [["b"], ["%s"]]}]', "/1/tasks/1/0"),
    ],
)
async def test_case_67_what_no_program_can_receive_is_refused(
    served: Served, escape: str, shape: str, field: str
) -> None:
    """NUL and lone surrogates anywhere: 400 naming the field."""
    status, problem = await post(served, (shape % escape).encode())
    assert status == 400
    assert [item["field"] for item in problem["errors"]] == [field]
    assert served.untouched


async def test_case_67_also_as_the_name_of_a_field(served: Served) -> None:
    """The answer itself stays valid although it cannot quote the name."""
    for body in (b'{"\\ud800": 1}', b'{"env": {"A\\u0000": "x"}}', b'{"\\ud800": {"\\ud800": "\\u0000"}}'):
        status, _ = await post(served, body)
        assert status == 400
    assert served.untouched


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"jobNam": "x"}, "/jobNam", "jobName"),
        ({"jobName": 5}, "/jobName", "string"),
        ({"arguments": "a b"}, "/arguments", "list"),
        ({"arguments": [1]}, "/arguments/0", "string"),
        ({"numTask": 0}, "/numTask", "greater"),
        ({"numTask": True}, "/numTask", "integer"),
        ({"arguments": ["x" * 1_000_000]}, "/arguments/0", "131"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_every_wrong_field_is_named(served: Served, body: dict[str, Any], field: str, says: str) -> None:
    """With what to do about it."""
    status, problem = await post(served, json.dumps(body).encode())
    assert status == 400
    assert problem["errors"][0]["field"] == field
    assert says in problem["errors"][0]["problem"]
    assert served.untouched


# --- ids, paths, methods


@pytest.mark.parametrize(
    "name",
    [
        "job-2",
        "job-01",
        "job--1",
        "job-",
        "1",
        "JOB-1",
        "job-1%20",
        "job-%31%00",
        "job-%D9%A1",
        "job-9223372036854775808",
        "job-" + "9" * 4000,
        "..%2f..%2fetc%2fpasswd",
        "%ff",
        "job-1;x=1",
    ],
)
async def test_what_is_no_job_is_not_found(served: Served, name: str) -> None:
    """404 for an id that is not there and for what cannot be one, on every route; never a file, never a 500."""
    for method, end in [("GET", ""), ("GET", "/output"), ("GET", "/tasks"), ("GET", "/attempts"), ("POST", "/stop")]:
        url = URL(f"{served.server.address}/jobs/{name}{end}", encoded=True)
        async with served.client.request(method, url) as answer:
            assert answer.status == 404
            assert answer.content_type == "application/problem+json"


async def test_a_wrong_method_says_which_are_right(served: Served) -> None:
    """405 with Allow."""
    async with served.client.put("/jobs/job-1", json={}) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "DELETE, GET, HEAD"
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method != "POST"], ids=lambda r: f"{r.method} {r.path}")
async def test_unknown_parameters_are_named_on_every_route(served: Served, route: Any) -> None:
    """400 instead of being ignored."""
    path = re.sub(r"{(\w+)}", r"\1-1", route.path)
    status, problem = await ask(served, route.method, f"{path}?colour=red")
    assert status == 400
    assert problem["errors"][0]["field"] == "?colour"


async def test_no_more_wrong_parameters_are_listed_than_an_answer_takes(served: Served) -> None:
    """An address has room for more than a thousand, and each is compared with those that there are."""
    query = "&".join(f"s{n}" for n in range(1000))
    status, problem = await ask(served, "GET", f"/jobs?{query}")
    assert status == 400
    assert len(problem["errors"]) == MAX_PROBLEMS
    with pytest.raises(InvalidRequest) as refused:
        check(make_mocked_request("GET", f"/jobs?{query}"), JobsQuery)
    assert len(refused.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize("path", ["/jobs", "/docs/docs.js"])
async def test_an_expectation_that_nobody_knows_is_a_problem(served: Served, path: str) -> None:
    """417, in the form of all problems."""
    status, problem = await ask(served, "GET", path, headers={"Expect": "200-maybe"})
    assert status == 417
    assert "100-continue" in problem["error"]


async def test_who_waits_for_100_is_told_to_go_on(served: Served) -> None:
    """The body is sent only then."""
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-Continue\r\n"
    answer = await served.raw(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(HELLO) + HELLO)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")


@pytest.mark.parametrize(("body", "elsewhere"), [(HELLO, False), (b" [" + HELLO + b"]", True)])
async def test_lists_are_checked_in_a_thread(
    served: Served, monkeypatch: pytest.MonkeyPatch, body: bytes, elsewhere: bool
) -> None:
    """A hundred wrong programs, each with a search for what could be meant, take a second, in which the server answers others."""
    threads: list[threading.Thread] = []
    admit = Admission.admit

    def seen(self: Admission, payload: object) -> Admitted:
        threads.append(threading.current_thread())
        return admit(self, payload)

    monkeypatch.setattr(Admission, "admit", seen)
    status, _ = await post(served, body)
    assert status == 201
    assert [thread is not threading.current_thread() for thread in threads] == [elsewhere]


async def test_a_bug_shows_nothing_of_the_inside(served: Served) -> None:
    """500 with an id that is in the log, where the traceback is."""
    served.manager.fails = RuntimeError("secret of the inside")
    with capture_logs() as lines:
        status, problem = await post(served, HELLO)
    assert status == 500
    assert "secret" not in json.dumps(problem)
    [line] = lines
    assert line["id"] == problem["id"]
    assert line["exc_info"] is served.manager.fails


# --- hostile HTTP


async def test_a_body_too_large_is_refused_by_its_announcement(served: Served) -> None:
    """413 before a byte of it is read."""
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n"
    answer = await served.raw(head + b"{")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"JOBMGR_MAX_BODY_BYTES" in answer
    assert served.untouched


async def test_a_chunked_flood_is_refused_at_the_limit(tmp_path: Path) -> None:
    """413 as soon as it passes the limit, though no length was announced."""
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    async def flood() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield piece

    async with serving(tmp_path, JOBMGR_MAX_BODY_BYTES=256 * 1024) as served:
        head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await served.raw(head, more=flood())
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert served.untouched


@pytest.mark.parametrize("path", ["/jobs", "/jobs/job-1/stop"])
async def test_a_body_that_never_comes_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """408 after the time that a body may take, and the connection is closed."""
    monkeypatch.setattr("jobmgr.api.body.BODY_TIMEOUT_S", 0.05)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    answer = await served.raw(head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert served.untouched


@pytest.mark.parametrize("path", ["/jobs", "/jobs/job-1/stop"])
async def test_a_body_that_ends_early_creates_nothing(served: Served, path: str) -> None:
    """The client promised more and left: no submission, and the server goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n".encode()
        + HELLO
    )
    await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()
    assert served.untouched
    assert (await ask(served, "GET", "/healthz"))[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 10_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET /jobs HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"G\x00T /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + b"\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nExpect: magic\r\nConnection: close\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=["header", "path", "headers", "version", "method", "tls", "expect", "length", "both", "chunk"],
)
async def test_hostile_http_is_refused(served: Served, request_bytes: bytes) -> None:
    """A 4xx or a closed connection, nothing created, and the server goes on."""
    answer = await served.raw(request_bytes)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/9.9 4")), answer[:200]
    assert served.untouched
    assert (await ask(served, "GET", "/healthz"))[0] == 200


async def test_bad_http_leaves_no_traceback(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever sends rubbish gets his 400; the log is not his to fill."""
    answer = await served.raw(b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n", 1)[0]
    assert caplog.records == []


@pytest.mark.parametrize("begun", [b"", b"GET /jobs HTTP/1.1\r\nHost: loc"], ids=["nothing", "half"])
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["first", "later"])
async def test_a_request_that_does_not_come_whole_holds_its_connection_for_a_limited_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes, before: bytes
) -> None:
    """The first one of a connection too: it is closed after KEEPALIVE_TIMEOUT_S, whatever of a head has come."""
    monkeypatch.setattr("jobmgr.api.server.KEEPALIVE_TIMEOUT_S", 0.2)
    async with serving(tmp_path) as served:
        answer = await served.raw(before + begun)
        assert answer.count(b"HTTP/1.1 ") == bool(before)


async def test_what_follows_a_body_is_no_second_request(served: Served) -> None:
    """More bytes than Content-Length says are not taken for part of the body, nor for a valid request."""
    body = HELLO + b"POST /jobs/job-1/stop"
    head = f"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(HELLO)}\r\n\r\n"
    answer = await served.raw(head.encode() + body + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert len(served.manager.submitted) == 1
    assert not served.manager.asked


async def test_a_port_in_use_is_a_sentence(served: Served, tmp_path: Path) -> None:
    """With the setting and the remedy, not a traceback."""
    with pytest.raises(SettingsError, match=rf"PORT: 127\.0\.0\.1:{served.server.port} is in use"):
        async with serving(tmp_path, PORT=served.server.port):
            raise AssertionError


async def test_stop_is_safe_before_start_and_twice(served: Served) -> None:
    """Whoever cleans up need not know how far the start came."""
    await served.server.stop()
    await served.server.stop()
