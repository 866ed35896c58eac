"""Case 62: the link is cut in the middle of a frame and the server is killed, again and again; who comes back misses nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

from tests.faults.cutting import cutting
from tests.faults.servers import FINISHED, Site
from tests.waiting import eventually

KILLS = 3
JOBS_A_LIFE = 25
END_S = 60.0
GONE = (ClientError, OSError, EOFError, TimeoutError, asyncio.IncompleteReadError)


class Client:
    """One that comes again until it is stopped, and keeps all that it is told."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[tuple[int, str, dict[str, Any]]] = []
        self.resets = 0

    @property
    def seq(self) -> int:
        """The newest number."""
        return self.told[-1][0] if self.told else 0

    async def come_again(self, watch: Callable[[ClientSession], Awaitable[None]]) -> None:
        """For ever."""
        while True:
            with suppress(*GONE):
                async with ClientSession(self.address, timeout=ClientTimeout(total=None, sock_connect=5)) as session:
                    await watch(session)
            await asyncio.sleep(0.02)  # Not to be a flood while no server is there.

    async def over_socket(self, session: ClientSession) -> None:
        """By `after`."""
        await self._listen(session, f"/ws?after={self.seq}", ack=False)

    async def by_name(self, session: ClientSession) -> None:
        """By `clientId`, acknowledging."""
        await self._listen(session, "/?clientId=board" if self.told else "/?clientId=board&after=0", ack=True)

    async def _listen(self, session: ClientSession, path: str, *, ack: bool) -> None:
        async with session.ws_connect(path) as socket:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    return
                said = json.loads(message.data)
                self._take(said["event"], said["seq"], said["data"])
                if ack and said["event"].endswith("-update"):
                    await socket.send_json({"ack": said["seq"]})

    async def by_stream(self, session: ClientSession) -> None:
        """By `Last-Event-ID`."""
        async with session.get("/events", headers={"Last-Event-ID": str(self.seq)}) as answer:
            fields: dict[str, str] = {}
            while line := (await answer.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:  # Only a whole event counts, one that an empty line has ended.
                    self._take(fields["event"], int(fields["id"]), json.loads(fields["data"]))
                    fields = {}

    def _take(self, kind: str, seq: int, data: dict[str, Any]) -> None:
        self.resets += kind == "reset"
        if kind.endswith("-update"):
            self.told.append((seq, kind, data))

    def ends(self) -> dict[str, str]:
        """The status with which each job has ended."""
        jobs = ((data["jobId"], data["status"]) for _, kind, data in self.told if kind == "job-update")
        return {job: status for job, status in jobs if status in FINISHED}


def _port(site: Site) -> int | None:
    address = site.server.address() if site.servers else None
    return None if address is None else urlsplit(address).port


async def live_through(site: Site) -> None:
    """Jobs are submitted, and the server is killed in the middle of them; the last one lives on."""
    for life in range(KILLS + 1):
        await asyncio.to_thread(site.start)
        for number in range(JOBS_A_LIFE):
            await asyncio.to_thread(site.server.submit, number % 3, number % 2, numTask=1 + number % 3, retry=False)
        if life < KILLS:
            site.server.kill()
    await asyncio.to_thread(site.server.wait_all_finished)


@pytest.mark.parametrize("seed", [1, 2])
async def test_case_62_who_comes_again_misses_nothing(site: Site, seed: int) -> None:
    """Two get each event exactly once; one that acknowledges may get some twice, with the same number and content."""
    async with cutting(lambda: _port(site), seed) as link:
        socket, stream, named = clients = [Client(f"http://127.0.0.1:{link.port}") for _ in range(3)]
        ways = zip(clients, (socket.over_socket, stream.by_stream, named.by_name), strict=True)
        tasks = [asyncio.create_task(client.come_again(way)) for client, way in ways]
        try:
            await live_through(site)
            link.whole = True  # An acknowledgement that is cut off each time moves nobody on.
            [(last,)] = site.rows("SELECT value FROM meta WHERE name = 'last_seq'")
            await eventually(lambda: all(client.seq >= last for client in clients), END_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert link.cuts > 3 * KILLS
    every = list(range(1, last + 1))
    assert [seq for seq, _, _ in socket.told] == every
    assert [seq for seq, _, _ in stream.told] == every
    assert sorted({seq for seq, _, _ in named.told}) == every
    assert all(socket.told[seq - 1] == (seq, kind, data) for seq, kind, data in named.told)
    ends = {job["jobId"]: job["status"] for job in await asyncio.to_thread(site.server.get, "/jobs")}
    assert len(ends) == JOBS_A_LIFE * (KILLS + 1)
    assert socket.ends() == stream.ends() == named.ends() == ends
    assert [client.resets for client in clients] == [0, 0, 0]
