"""Tests of tests/acceptance/readme_examples.py: a README that lies must be found out."""

import shutil
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.acceptance.readme_examples import Example, read_examples, run

README = """
```console
$ ./scripts/serve
jobmgr listens
$ curl -s localhost:3000/jobs \\
    -d '{"jobName": "a"}'
{"jobId": "job-0", "pid": …,
 "status": "running"}
```
```sh
$ curl not-in-a-console-block
$ ./scripts/jobmgr list
```
```console
$ curl -s 'http://127.0.0.1:3000/jobs/job-0'
{...}
$ ./scripts/jobmgr show job-0
job-0
```
"""


def fits(answer: str, output: str) -> bool:
    """Compare one printed answer with a real one."""
    return Example("curl", answer).fits(output)


def test_curls_and_jobmgr_in_console_blocks_are_found_with_their_answers() -> None:
    """Other commands and other blocks are left alone; a carried-on line is one command."""
    first, second, third = read_examples(README)
    assert first.command == 'curl -s localhost:3000/jobs      -d \'{"jobName": "a"}\''
    assert first.answer == '{"jobId": "job-0", "pid": …,\n "status": "running"}\n'
    assert second.command == "curl -s 'http://127.0.0.1:3000/jobs/job-0'"
    assert third == Example("./scripts/jobmgr show job-0", "job-0\n")


def test_dots_stand_for_anything_and_white_space_for_nothing() -> None:
    """What changes from run to run is written as … or ..., and layout is free."""
    assert fits('{"pid": …, "status": ...}\n', '{"pid":12,"status":"running"}')


@pytest.mark.parametrize("output", ["", '{"pid":12,"status":"crashed"}', '{"pid":12,"status":"running"} more'])
def test_another_answer_does_not_fit(output: str) -> None:
    """A missing, a different and a longer answer are all differences."""
    assert not fits('{"pid": …, "status": "running"}', output)


class Answers(BaseHTTPRequestHandler):
    """Answers every second request with what the README promises."""

    count = 0

    def do_GET(self) -> None:
        """Answer."""
        type(self).count += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"right" if self.count % 2 == 0 else b"wrong")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("options", "differs"), [("", False), ("-d x", True)])
def test_only_reading_is_repeated_until_it_fits(options: str, differs: bool) -> None:
    """A read may take until the job is done; a command that changes something has one try, at the given address."""
    Answers.count = 0
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        example = Example(f"curl -s {options} http://localhost:3000/", "right")
        assert (run(example, f"http://127.0.0.1:{server.server_port}") is not None) is differs
    finally:
        server.shutdown()
        server.server_close()
