"""FAULTS 83: JSON that is meant to break its reader, sent to a whole server over bare sockets; and names that are meant to break a log."""

from __future__ import annotations

import json
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers and keepers", allow_module_level=True)

from tests.faults.hostile import JSON_ROOM, MIB, Target
from tests.faults.servers import Site

LONGEST_ANSWER = 20_000
VALID = '{"script": "act"}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "deeper"),
        (b'{"env":' * 100_000 + b"1" + b"}" * 100_000, "deeper"),
        (b'[{"a":' * 100_000, "deeper"),
        (b"[" * (15 * MIB), "lists"),
        (b'{"priority": ' + b"9" * 1_000_000 + b"}", "digits"),
        (b'{"priority": -' + b"9" * (15 * MIB) + b"}", "digits"),
        (b'{"timeout": 1e400}', "too large"),
        (b'{"timeout": -1e400}', "too large"),
        (b'{"timeout": 1e' + b"9" * 900 + b"}", "too large"),
        (b'{"timeout": NaN}', "NaN"),
        (b'{"timeout": Infinity}', "Infinity"),
        (b'{"timeout": -Infinity}', "Infinity"),
        (b'{"jobName": "a", "jobName": "b"}', "given twice"),
        (b'{"jobName": "a", "job\\u004eame": "b"}', "given twice"),
        (b'{"env": {"A": "1", "A": "2"}}', "given twice"),
        (b'{"__proto__": {"polluted": true}}', "__proto__"),
        (b'{"constructor": {"prototype": {"polluted": true}}}', "constructor"),
        (b'{"__class__": "x", "__init__": "y", "model_config": {}}', "__class__"),
        (b'{"jobName": "\xff\xfe"}', "UTF-8"),
        (b'{"jobName": "\xc0\xaf"}', "UTF-8"),
        (b'{"jobName": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"jobName": "\xf5\x80\x80\x80"}', "UTF-8"),
        (b'{"jobName": "cut \xf0\x9f\x98', "UTF-8"),
        (VALID.encode("utf-8-sig"), "not JSON"),
        (VALID.encode("utf-16"), "UTF-8"),
        (VALID.encode("utf-16-le"), "not JSON"),
        (VALID.encode("utf-32"), "UTF-8"),
        (VALID.encode("utf-32-be"), "not JSON"),
        (b'{"jobName": "\\ud800"}', "surrogates"),
        (b'{"jobName": "\\ude00\\ud83d"}', "surrogates"),
        (b'{"jobName": "a\\u0000b"}', "NUL"),
        (b'{"env": {"A\\u0000": "b"}}', "NUL"),
        (b'{"jobName": "a\x00b"}', "not JSON"),
        (b"", "not JSON"),
        (b" \n\t ", "not JSON"),
        (b"\x00", "not JSON"),
        (b'{"script": "act"}{"script": "act"}', "not JSON"),
        (b'{"script": "act"}\x00', "not JSON"),
        (b'{"script": "act"} // please', "not JSON"),
        (b'{"script": "act",}', "not JSON"),
        (b'{"jobName": 5}', "/jobName"),
        (b'{"jobName": ["a"]}', "/jobName"),
        (b'{"script": {"$ne": null}}', "/script"),
        (b'{"arguments": [1, "a"]}', "/arguments/0"),
        (b'{"arguments": {"0": "a"}}', "/arguments"),
        (b'{"numTask": "3"}', "/numTask"),
        (b'{"numTask": 3.5}', "/numTask"),
        (b'{"numTask": true}', "/numTask"),
        (b'{"numTask": 1000000000000000000000}', "/numTask"),
        (b'{"env": {"A": 1}}', "/env/A"),
        (b'{"timeout": "1"}', "/timeout"),
        (b'"act"', "JSON object"),
        (b"true", "JSON object"),
        (b"0", "JSON object"),
    ],
    ids=lambda value: ascii(value[:28]),
)
def test_fault_83_json_that_is_not_plain_and_unambiguous_is_refused(target: Target, body: bytes, says: str) -> None:
    """400 with a short sentence that says what is wrong."""
    with target.unharmed(JSON_ROOM):
        answer = target.post(body)
        assert answer.status == 400
        assert says in json.loads(answer.body)["error"]
        assert len(answer.body) < LONGEST_ANSWER


LONG = b"k" * MIB


@pytest.mark.parametrize(
    "body",
    [
        b'{"%b": 1}' % LONG,
        b'{"%b": 1, "%b": 2}' % (LONG, LONG),
        b'{"env": {"%b": "\\u0000"}}' % LONG,
        b'{"retry": {"%b": 1}}' % LONG,
        b'{"labels": {"%b": "x"}}' % LONG,
        b'{"%b": 1}' % ("\U0001f600" * 900).encode(),
        b'{"jobName": "%b"}' % LONG,
        b'{"script": "%b"}' % LONG,
        b'{"script": "%b"}' % (b"k/" * 2000),
        b'{"type": "%b"}' % LONG,
        b'{"cwd": "%b"}' % LONG,
        b'{"stopSignal": "%b"}' % LONG,
        b'{"priority": "%b"}' % LONG,
        b'{"leftovers": "%b"}' % LONG,
        b'{"arguments": ["%b"]}' % LONG,
        b'{"retry": {"on": ["%b"]}}' % LONG,
        b'{"jobName": "%b"}' % (b"\\ud800" * 100_000),
        b"[%b]" % b",".join(b'{"%b%d": 1}' % (b"k" * 990, n) for n in range(1000)),
    ],
    ids=lambda value: ascii(value[:28]),
)
def test_fault_83_an_error_does_not_quote_a_megabyte(target: Target, body: bytes) -> None:
    """Long names and values are refused, and the answer is bounded by its own size, not by theirs."""
    with target.unharmed(JSON_ROOM):
        answer = target.post(body)
        assert answer.status == 400
        assert len(answer.body) < 15 * LONGEST_ANSWER
        assert json.loads(answer.body)["errors"]


def test_fault_83_a_long_key_of_idempotency_is_refused(target: Target) -> None:
    """As long as a header may be, and with what is no ASCII."""
    for key in (b"k" * 8000, b"\xff\xfe", b"a\x7f", b"", "ключ".encode()):
        with target.unharmed():
            assert target.post(b'{"script": "act"}', b"Idempotency-Key: " + key).status == 400


NAMES = [
    "two\nlines",
    'time=2026-01-01T00:00:00.000Z level=error event="forged"\ntime=2026-01-01T00:00:00.000Z level=error event="forged"',
    "carriage\rreturn",
    "\x1b[2J\x1b[31mred\x07\x08\x7f",
    "\u202eexe.txt",
    "\u2066isolated\u2069 \u200bzero\u200dwidth \ufeffmark",
    "Z̸̢̛̺͚̈́̓á̷̡̬l̴̳̾g̵̘̈́o̶̤̕" * 5,
    "next\x85line\u2028separator\u2029paragraph\x0b\x0c\x1c\x1d\x1e",
    '"; rm -rf / #$(reboot)`reboot` %s %n {0} {name}',
    "\U000e0041tags\U0010ffff",
    "</script><script>alert(1)</script>",
]


def test_fault_83_names_that_forge_a_log_are_taken_and_written_on_one_line(site: Site) -> None:
    """A name is the client's: it is given back as it was. The log shows it escaped, one record a line, nothing that moves a cursor."""
    site.add_script("shout", '#!/bin/sh\nprintf "%s" "$1"\nexit 3\n')
    target = Target(site)
    for running in ("job-1", "job-2"):
        target.server.stop(running)
    for name in NAMES:
        submission = {"script": "shout", "jobName": name, "arguments": [name], "retry": False}
        answer = target.server.ask("POST", "/jobs", submission)
        assert answer.status == 201, name
        job = target.server.wait_status(answer.body["jobId"], "crashed")
        assert job["jobName"] == name
        assert job["args"] == [name]
        assert job["error"].isprintable(), job["error"]
        assert target.server.ask("DELETE", f"/jobs/{answer.body['jobId']}").status == 200
    target.check_log()


def test_fault_83_paths_and_headers_that_forge_a_log_are_written_on_one_line(target: Target) -> None:
    """Whatever part of a request is ever logged."""
    with target.unharmed():
        for evil in (b"%0atime=1%20level=error%20event=forged", b"%1b[2J", b"%e2%80%ae", b"%c2%85", b"%0d%0a"):
            assert target.get(b"/jobs/" + evil).status == 404
            assert target.get(b"/jobs/job-0?" + evil).status == 400
            assert target.get(b"/jobs/" + evil, b"PATCH").status in (404, 405)
