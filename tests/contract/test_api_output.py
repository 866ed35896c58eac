"""GET /jobs/{id}/output: whole, by range, from the last lines on, followed."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, ClientResponse

from jobmgr.job import Status
from tests.contract.served import Served, a_job, serving
from tests.waiting import eventually

PATH = "/jobs/job-1/output"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with job-1, which runs."""
    async with serving(tmp_path) as served:
        served.rows.add(a_job(1))
        yield served


async def text(served: Served, path: str = PATH, **headers: str) -> bytes:
    """The body of a 200 or 206."""
    async with served.client.get(path, headers=headers) as answer:
        assert answer.status in (200, 206), await answer.text()
        return await answer.read()


async def error(served: Served, path: str, status: int) -> str:
    """The sentence of a refusal."""
    async with served.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        assert answer.content_type == "application/problem+json"
        return str((await answer.json())["error"])


async def test_output_is_plain_text_with_true_length(served: Served) -> None:
    """Browsers must not guess what it is."""
    served.print(1, b"hello\n")
    async with served.client.get(PATH) as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Length"] == "6"
        assert await answer.read() == b"hello\n"


async def test_case_55_every_byte_comes_as_it_was_printed(served: Served) -> None:
    """Binary, NUL, invalid UTF-8, a megabyte of it."""
    content = bytes(range(256)) * 4096
    served.print(1, content)
    assert await text(served) == content


async def test_no_output_is_empty_not_missing(served: Served) -> None:
    """An attempt that printed nothing, and one that has not begun, answer 200 with nothing."""
    assert await text(served) == b""
    served.rows.add(a_job(1, status=Status.PENDING), attempts=0)
    assert await text(served) == b""


async def test_the_newest_attempt_is_shown_unless_one_is_named(served: Served) -> None:
    """Each attempt keeps its own output."""
    served.rows.add(a_job(1), attempts=2)
    served.print(1, b"crashed", attempt=1)
    served.print(1, b"passed", attempt=2)
    assert await text(served) == b"passed"
    assert await text(served, f"{PATH}?attempt=1") == b"crashed"
    assert "attempt 3" in await error(served, f"{PATH}?attempt=3", 404)


async def test_many_tasks_need_a_task(served: Served) -> None:
    """400 says so; one that is not there is 404."""
    served.rows.add(a_job(1, num_tasks=3))
    served.print(1, b"second", task=1)
    assert "?task" in await error(served, PATH, 400)
    assert await text(served, f"{PATH}?task=1") == b"second"
    await error(served, f"{PATH}?task=3", 404)


async def test_separate_errors_are_a_stream_of_their_own(served: Served) -> None:
    """Only of a job that keeps them apart; otherwise a 400 says where they are."""
    path = served.print(1, b"out")
    path.with_suffix(".err").write_bytes(b"err")
    assert "separate" in await error(served, f"{PATH}?stream=stderr", 400)
    served.rows.specs[1] = replace(served.rows.specs[1], separate_stderr=True)
    assert await text(served, f"{PATH}?stream=stderr") == b"err"
    assert await text(served, f"{PATH}?stream=stdout") == b"out"


@pytest.mark.parametrize(
    ("asked", "given", "place"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
async def test_a_range_gives_these_bytes(served: Served, asked: str, given: bytes, place: str) -> None:
    """206 with the place of the bytes."""
    served.print(1, b"0123456789")
    async with served.client.get(PATH, headers={"Range": asked}) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == place
        assert await answer.read() == given


@pytest.mark.parametrize(
    "asked",
    ["bytes=10-", "bytes=5-2", "bytes=x", "bytes=0-1,4-5", "bytes=-0", "Bytes=-000", "bytes=" + "9" * 5000 + "-"],
)
async def test_a_range_that_is_not_there_is_416(served: Served, asked: str) -> None:
    """With the size, so that the client can ask again."""
    served.print(1, b"0123456789")
    async with served.client.get(PATH, headers={"Range": asked}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */10"


async def test_a_range_of_a_freed_middle_is_zeros(served: Served) -> None:
    """Offsets stay true; the plain answer tells what was left out."""
    path = served.print(1, b"head")
    os.truncate(path, 4 + 1024 * 1024)
    with path.open("ab") as file:
        file.write(b"tail")
    assert await text(served, Range="bytes=2-5") == b"ad\0\0"
    assert await text(served, Range="bytes=-6") == b"\0\0tail"
    whole = await text(served)
    assert whole.startswith(b"head") and whole.endswith(b"tail") and "left out" in whole.decode()
    assert len(whole) < 100_000


async def test_a_tail_is_counted_in_lines(served: Served) -> None:
    """As `tail -n`."""
    served.print(1, b"a\nb\nc\n")
    assert await text(served, f"{PATH}?tail=2") == b"b\nc\n"
    assert await text(served, f"{PATH}?tail=0") == b""


async def test_a_download_has_a_name(served: Served) -> None:
    """Made of numbers only."""
    served.print(1, b"x")
    async with served.client.get(f"{PATH}?download=true") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="job-1.0.1.out.txt"'


@pytest.mark.parametrize(
    "query",
    [
        "tail=-1",
        "tail=x",
        "tail=1&tail=2",
        "tail=٣",
        "tail=" + "9" * 5000,
        "follow=maybe",
        "taill=1",
        "task=-1",
        "attempt=0",
        "stream=log",
    ],
)
async def test_a_wrong_parameter_is_named(served: Served, query: str) -> None:
    """400 with its name; an unknown one with the nearest known."""
    sentence = await error(served, f"{PATH}?{query}", 400)
    assert sentence.startswith("?" + query.partition("=")[0])


async def follow(served: Served, query: str = "") -> ClientResponse:
    """A follower whose answer began."""
    return await served.client.get(f"{PATH}?follow=true{query}")


async def test_follow_ends_with_the_attempt(served: Served) -> None:
    """What was printed, what is printed meanwhile, what was printed last; then a clean end."""
    path = served.print(1, b"first\n")
    answer = await follow(served)
    assert await answer.content.readany() == b"first\n"
    with path.open("ab", buffering=0) as file:
        file.write(b"second\n")
        assert await answer.content.readany() == b"second\n"
        file.write(b"last\n")
    served.rows.change(1, Status.COMPLETED)
    assert await answer.read() == b"last\n"


async def test_follow_of_a_finished_attempt_is_its_output(served: Served) -> None:
    """It ends at once."""
    served.print(1, b"all\n")
    served.rows.change(1, Status.CRASHED)
    assert await text(served, f"{PATH}?follow=true") == b"all\n"
    assert await text(served, f"{PATH}?follow=true&tail=0") == b""


async def test_follow_waits_for_the_attempt_to_begin(served: Served) -> None:
    """A job that is still pending, or waits for its next attempt, is followed from that attempt's beginning."""
    served.rows.add(a_job(1, status=Status.RETRIED), attempts=1)
    served.print(1, b"of the first attempt\n")
    answer = await follow(served)
    path = served.print(1, b"of the second\n", attempt=2)
    served.rows.change(1, Status.RUNNING, attempt=2)
    assert await answer.content.readany() == b"of the second\n"
    served.rows.change(1, Status.COMPLETED, attempt=2)
    assert await answer.read() == b""
    assert path.exists()


async def test_follow_of_a_job_that_never_begins_ends_with_it(served: Served) -> None:
    """Stopped while pending: an empty answer, no hang."""
    served.rows.add(a_job(1, status=Status.PENDING), attempts=0)
    answer = await follow(served)
    served.rows.change(1, Status.STOPPED, attempt=0)
    assert await answer.read() == b""


async def test_follow_ends_when_the_next_attempt_begins(served: Served) -> None:
    """A follower of an attempt gets that one, also when nobody told that it ended."""
    served.print(1, b"one")
    answer = await follow(served, "&attempt=1")
    served.rows.change(1, Status.RUNNING, attempt=2)
    assert await answer.read() == b"one"


async def test_follow_is_cut_when_the_server_leaves(served: Served) -> None:
    """The client must be able to tell this end from the attempt's."""
    served.print(1, b"first\n")
    answer = await follow(served)
    assert await answer.content.readany() == b"first\n"
    stopping = asyncio.create_task(served.server.stop())
    with pytest.raises(ClientPayloadError):
        await answer.read()
    async with asyncio.timeout(10):
        await stopping


async def test_a_follower_that_left_is_forgotten(served: Served) -> None:
    """Nothing waits for a client that is gone."""
    served.print(1, b"first\n")
    answer = await follow(served)
    followers = served.server._followers
    assert followers.count == 1
    answer.close()
    await eventually(lambda: followers.count == 0)


async def test_follow_and_range_do_not_go_together(served: Served) -> None:
    """400 instead of half of either."""
    async with served.client.get(f"{PATH}?follow=true", headers={"Range": "bytes=0-1"}) as answer:
        assert answer.status == 400


async def test_case_52_a_log_cut_off_while_it_is_sent_breaks_the_answer(served: Served) -> None:
    """Fewer bytes than promised must not look like all of them."""
    path = served.print(1, b"x" * 64 * 1024 * 1024)
    answer = await served.client.get(PATH)
    await answer.content.read(1)
    os.truncate(path, 1)
    with pytest.raises(ClientPayloadError):
        await answer.read()


# --- secrets

SECRET = "hunter22-swordfish"
STARS = b"*" * len(SECRET)


def keep_secret(served: Served, *secrets: str) -> None:
    """Let job-1 have these secrets."""
    spec = served.rows.specs[1]
    served.rows.specs[1] = replace(spec, secret_env={f"S{n}": secret for n, secret in enumerate(secrets)})


async def test_a_secret_is_stars_in_every_view_and_stays_in_the_file(served: Served) -> None:
    """Whole, to save, its last lines, by range; as many stars, so that length and offsets stay true."""
    keep_secret(served, SECRET)
    path = served.print(1, f"first\npass {SECRET} {SECRET}\nend".encode())
    shown = b"first\npass " + STARS + b" " + STARS + b"\nend"
    assert await text(served) == shown
    assert await text(served, f"{PATH}?download=true") == shown
    assert await text(served, f"{PATH}?tail=2") == shown[6:]
    assert await text(served, Range="bytes=-12") == shown[-12:]
    assert SECRET in path.read_text()


async def test_a_range_that_cuts_a_secret_shows_nothing_of_it(served: Served) -> None:
    """Wherever it begins and ends, it is that part of the whole."""
    keep_secret(served, SECRET)
    served.print(1, f"ab{SECRET}cd".encode())
    shown = b"ab" + STARS + b"cd"
    for start in range(len(shown)):
        for stop in (start, start + 3, len(shown) - 1):
            assert await text(served, Range=f"bytes={start}-{max(start, stop)}") == shown[start : max(start, stop) + 1]


@pytest.mark.parametrize("offset", range(-20, 4, 3))
async def test_a_secret_across_the_pieces_of_a_reader_is_hidden(served: Served, offset: int) -> None:
    """Files are read in pieces; a secret may lie on the border of two."""
    keep_secret(served, SECRET)
    before = b"x" * (256 * 1024 + offset)
    served.print(1, before + SECRET.encode() + b"y" * 1000)
    assert await text(served) == before + STARS + b"y" * 1000


async def test_a_secret_that_is_printed_in_pieces_is_not_followed(served: Served) -> None:
    """What may be its beginning is held back until more comes; what is none after all comes then."""
    keep_secret(served, SECRET)
    path = served.print(1, b"start hunter")
    async with served.client.get(f"{PATH}?follow=true") as answer:
        got = await answer.content.readexactly(6)
        with path.open("ab") as file:
            file.write(b"22-sword")
        with path.open("ab") as file:
            file.write(b"fish, hun")
        got += await answer.content.readexactly(len(SECRET) + 2)
        with path.open("ab") as file:
            file.write(b"dred\n")
        got += await answer.content.readexactly(8)
        served.rows.change(1, Status.COMPLETED)
        got += await answer.content.read()
    assert got == b"start " + STARS + b", hundred\n"


async def test_what_is_held_back_comes_at_the_end(served: Served) -> None:
    """An attempt that ends with what might have begun a secret has nothing withheld but what tells of it."""
    keep_secret(served, SECRET)
    served.print(1, b"start hun")
    async with served.client.get(f"{PATH}?follow=true") as answer:
        got = await answer.content.readexactly(6)
        served.rows.change(1, Status.COMPLETED)
        assert got + await answer.content.read() == b"start hun"


async def test_the_output_of_a_job_deleted_meanwhile_is_not_there(served: Served) -> None:
    """Without its secrets nobody knows what to hide."""
    served.print(1, b"hello\n")
    del served.rows.specs[1]
    assert "job-1" in await error(served, PATH, 404)


# --- to go on where a connection was cut


async def part(served: Served, offset: int, more: str = "") -> tuple[int, bytes]:
    """What a follow from this byte on gives, and where it begins."""
    async with served.client.get(f"{PATH}?follow=true&from={offset}{more}") as answer:
        assert answer.status == 200, await answer.text()
        return int(answer.headers["Output-Start"]), await answer.read()


async def test_a_follow_goes_on_from_a_byte(served: Served) -> None:
    """Only what lies behind it is sent, what comes later too."""
    path = served.print(1, b"0123456789")
    async with served.client.get(f"{PATH}?follow=true&from=7") as answer:
        assert await answer.content.readexactly(3) == b"789"
        with path.open("ab") as file:
            file.write(b"ab")
        assert await answer.content.readexactly(2) == b"ab"
        served.rows.change(1, Status.COMPLETED)
        assert await answer.read() == b""
    assert await part(served, 12) == (12, b"")


async def test_a_follow_from_a_byte_leaves_the_freed_middle_out(served: Served) -> None:
    """It ends before it and begins behind it, without a line about it, so that offsets can be counted."""
    path = served.print(1, b"x" * 4096)
    end = 4096 + 1024 * 1024
    os.truncate(path, end)
    with path.open("ab") as file:
        file.write(b"tail")
    served.rows.change(1, Status.COMPLETED)
    assert await part(served, 0) == (0, b"x" * 4096)
    assert await part(served, 4096) == (end, b"tail")
    assert await part(served, end + 4) == (end + 4, b"")


async def test_a_follow_from_beyond_the_end_is_416(served: Served) -> None:
    """Of a file that was cut off or removed nobody waits for what comes at that byte."""
    path = served.print(1, b"0123")
    assert "4 bytes" in await error(served, f"{PATH}?follow=true&from=5", 416)
    path.unlink()
    assert "0 bytes" in await error(served, f"{PATH}?follow=true&from=4", 416)


async def test_a_follow_from_a_byte_may_await_the_next_attempt(served: Served) -> None:
    """By its number; only the next one, and only while the task waits for it."""
    served.rows.add(a_job(1, status=Status.RETRIED))
    served.print(1, b"first")
    served.print(1, b"second", attempt=2)
    assert "attempt 3" in await error(served, f"{PATH}?follow=true&from=0&attempt=3", 404)
    asked = asyncio.create_task(part(served, 0, "&attempt=2"))
    await eventually(lambda: served.server._followers.count)
    served.rows.change(1, Status.COMPLETED, attempt=2)
    assert await asked == (0, b"second")


async def test_an_awaited_attempt_that_never_begins_is_empty(served: Served) -> None:
    """The output of the one before it is not taken for it."""
    served.rows.add(a_job(1, status=Status.RETRIED))
    served.print(1, b"first")
    asked = asyncio.create_task(part(served, 0, "&attempt=2"))
    await eventually(lambda: served.server._followers.count)
    served.rows.change(1, Status.STOPPED, attempt=1)
    assert await asked == (0, b"")


async def test_a_tail_says_where_it_begins(served: Served) -> None:
    """So that who shows it can follow from there."""
    served.print(1, b"a\nb\nc\n")
    async with served.client.head(f"{PATH}?tail=2") as answer:
        assert answer.headers["Output-Start"] == "2"


@pytest.mark.parametrize("query", ["from=1", "follow=true&from=1&tail=1", "follow=true&from=-1"])
async def test_a_wrong_from_is_refused(served: Served, query: str) -> None:
    """It goes with follow only, and a tail would be another place to begin at."""
    assert "?from" in await error(served, f"{PATH}?{query}", 400)


async def test_a_follow_from_a_byte_hides_secrets(served: Served) -> None:
    """Also one that begins before that byte."""
    keep_secret(served, SECRET)
    served.print(1, f"ab{SECRET}cd".encode())
    served.rows.change(1, Status.COMPLETED)
    shown = b"ab" + STARS + b"cd"
    for first in (0, 2, 7, len(shown) - 2):
        assert await part(served, first) == (first, shown[first:])
