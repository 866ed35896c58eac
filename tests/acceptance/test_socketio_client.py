"""`socket.io-client` from npm against real servers: no result is lost, whatever happens to the server and to the link."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.acceptance.listeners import Link, Listener, listener
from tests.faults.servers import Site, submission
from tests.waiting import eventually_blocking

JOBS = 200
CLIENTS: dict[str, dict[str, Any]] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"]},
    "default": {},
    "known": {"known": True},
    "known-polling": {"known": True, "transports": ["polling"]},
}


@dataclass
class Campaign:
    """What happened, and who heard of it."""

    ends: set[tuple[str, int]]
    """Of all jobs: id, and number of the event."""
    listeners: dict[str, Listener]


def submit(site: Site, count: int) -> None:
    """Many at once."""
    answer = site.server.ask("POST", "/jobs", [submission(0, 0) for _ in range(count)])
    assert answer.status == 201, answer


def wait_for_returns(site: Site, count: int) -> None:
    """Until so many jobs have run."""
    eventually_blocking(lambda: len(site.returned()) >= count)


def start(site: Site, link: Link) -> None:
    """The next server; the link leads to it."""
    address = site.start().address()
    link.target = urlsplit(str(address)).port or 0


def all_ends(site: Site) -> set[tuple[str, int]]:
    """What the server itself says of the ends of jobs."""
    ends, after = set(), 0
    while True:
        page = site.server.get(f"/events?after={after}&wait=0&event=update-on-jobs&limit=1000")
        ends |= {(event["data"]["messageId"], event["seq"]) for event in page["events"]}
        if page["seq"] == after:
            return ends
        after = page["seq"]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Jobs, while the server is killed twice and the link is cut between."""
    directory = tmp_path_factory.mktemp("campaign")
    site = Site(directory)
    with ExitStack() as stack:
        stack.callback(site.kill_everything)
        link = stack.enter_context(Link.laid())
        start(site, link)
        listeners = {
            name: stack.enter_context(listener(directory, link.address, auth={"clientId": name}, **options))
            for name, options in CLIENTS.items()
        }
        for number, kills in enumerate((True, False, True, False), 1):
            for each in listeners.values():
                each.wait_for("hello", number)
            submit(site, JOBS // 4)
            wait_for_returns(site, JOBS // 4 * number - JOBS // 8)
            (site.server.kill if kills else link.cut)()
            for each in listeners.values():
                each.wait_for("disconnect", number)
            if kills:
                start(site, link)
            link.mend()
            eventually_blocking(lambda: all(row["status"] == "completed" for row in site.server.get("/jobs")), 60)
        ends = all_ends(site)
        eventually_blocking(lambda: all(ends <= heard(each) for each in listeners.values()), 30)
        yield Campaign(ends, listeners)
        site.leave()


def heard(client: Listener) -> set[tuple[str, int]]:
    """The ends that a client was told."""
    return {(data["messageId"], data["seq"]) for data in client.of("update-on-jobs")}


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_has_every_result(campaign: Campaign, name: str) -> None:
    """The server was killed twice and the link cut twice: no end of the 200 jobs is missing, and none was made up."""
    assert len(campaign.ends) == JOBS
    assert heard(campaign.listeners[name]) == campaign.ends


@pytest.mark.parametrize("name", CLIENTS)
def test_what_comes_twice_is_the_same(campaign: Campaign, name: str) -> None:
    """A result that is sent again has the number that it had, and says the same."""
    by_seq: dict[int, dict[str, Any]] = {}
    for data in campaign.listeners[name].of("update-on-jobs"):
        assert by_seq.setdefault(data["seq"], data) == data


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_used_its_transport(campaign: Campaign, name: str) -> None:
    """The clients of this test are what they are called: one that may only poll never became a WebSocket, a usual one did."""
    transports = {data["transport"] for data in campaign.listeners[name].of("connect")}
    upgrades = {data["transport"] for data in campaign.listeners[name].of("upgrade")}
    only = CLIENTS[name].get("transports")
    assert upgrades == (set() if only else {"websocket"})
    assert transports <= set(only or ["polling", "websocket"])


def test_a_client_comes_again_by_itself_after_each_blow(campaign: Campaign) -> None:
    """Neither a dead server nor a cut link needs a person: the client connects again, and goes on from its place."""
    for each in campaign.listeners.values():
        assert len(each.of("connect")) >= 4
        assert not each.of("reset")


def test_clients_come_again_by_themselves_after_a_server_that_left(tmp_path: Path) -> None:
    """A server that is asked to leave is gone within three seconds, and its clients are at the next one without a person."""
    site = Site(tmp_path)
    with ExitStack() as stack:
        stack.callback(site.kill_everything)
        link = stack.enter_context(Link.laid())
        start(site, link)
        listeners = [
            stack.enter_context(listener(tmp_path, link.address, auth={"clientId": name}, **options))
            for name, options in CLIENTS.items()
        ]
        for each in listeners:
            each.wait_for("hello")
        site.server.ask_to_leave()
        assert site.server.exit_code(3.0) == 0
        start(site, link)
        for each in listeners:
            each.wait_for("hello", 2)
        submit(site, 1)
        for each in listeners:
            each.wait_for("update-on-jobs")
        site.leave()


def test_a_client_whose_name_was_taken_stays_away(tmp_path: Path) -> None:
    """Two clients of one name do not chase each other: the older is told why it has to go, and does not come again by itself."""
    site = Site(tmp_path)
    with ExitStack() as stack:
        stack.callback(site.kill_everything)
        address = str(site.start().address())
        older = stack.enter_context(listener(tmp_path, address, auth={"clientId": "one"}))
        older.wait_for("hello")
        newer = stack.enter_context(listener(tmp_path, address, auth={"clientId": "one"}))
        assert older.wait_for("disconnect") == [{"reason": "io server disconnect"}]
        assert older.of("error") == [{"error": "a newer connection has this clientId"}]
        submit(site, 3)
        newer.wait_for("update-on-jobs", 3)
        assert (len(older.of("connect")), len(newer.of("connect"))) == (1, 1)
        site.leave()
