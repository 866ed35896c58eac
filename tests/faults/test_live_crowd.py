"""Case 61: ten thousand watch and half of them never read; memory is bounded, the readers get everything, the others are cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

import resource

from bench.watchers import Crowd
from tests.faults.servers import Server, Site
from tests.waiting import eventually_blocking

WATCHERS = 10_000
RESERVED_FILES = 600
LABELS = {f"label-{number}": "x" * 200 for number in range(40)}
"""Of a job whose events are large, so that few of them fill what the kernel keeps for a client."""

EVENTS = 80
EACH_BYTES = 25_000
UNREAD_BYTES = 64 * 1024
MORE_BYTES = 100 * 2**20
END_S = 90.0


@contextmanager
def open_files(number: int) -> Iterator[None]:
    """Let this process, and what it starts, have so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"{WATCHERS} sockets need more open files than the {hard} that may be had here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make_events(server: Server) -> int:
    """Large ones, of jobs that wait; the number of the last."""
    for _ in range(EVENTS // 20):
        answer = server.ask(
            "POST", "/jobs", [{"jobName": "large", "script": "act", "labels": LABELS}] * 20, timeout=END_S
        )
        assert answer.status == 201, answer
    page: dict[str, Any] = server.get("/events?wait=0")
    return int(page["seq"])


@pytest.mark.serial
@pytest.mark.timeout(300)
def test_case_61_those_who_do_not_read_are_cut_and_cost_little(site: Site) -> None:
    """The readers miss nothing meanwhile, the server answers, and afterwards nothing of the others is left in it."""
    with open_files(WATCHERS + RESERVED_FILES):
        server = site.start(MAX_CONCURRENT_TASKS="1")
        server.pid_of(server.submit("until", 0))  # It takes the only slot.
        process = psutil.Process(server.pid)
        address = server.address()
        assert address is not None
        before, files = process.memory_info().rss, process.num_fds()
        crowd = Crowd(urlsplit(address).port or 0)
        try:
            unread = crowd.join(WATCHERS // 2)
            readers = crowd.join(WATCHERS // 2, checked=5)
            crowd.stop_reading(unread)
            last = make_events(server)
            most = 0

            def have_all() -> bool:
                nonlocal most
                most = max(most, process.memory_info().rss)
                return crowd.are_at(last)

            assert crowd.listen(have_all, within_s=END_S), min(reader.seq for reader in readers)
            assert server.ask("GET", "/healthz").status == 200
            assert crowd.listen(lambda: process.num_fds() <= files + WATCHERS // 2 + 20, within_s=END_S)
            assert crowd.wrong == []
            assert most - before <= WATCHERS * EACH_BYTES + len(unread) * UNREAD_BYTES + MORE_BYTES, (
                most - before
            ) >> 20
            for watcher in unread:
                watcher.sock.close()
        finally:
            crowd.leave()
        eventually_blocking(lambda: process.num_fds() <= files + 20)
        assert "Traceback" not in server.told.read_text() + (site.directory / "app.log").read_text()
        site.go()
