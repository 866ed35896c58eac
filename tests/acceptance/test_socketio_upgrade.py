"""FAULT 63 with `socket.io-client`: it becomes a WebSocket while events are pouring in, and misses none."""

import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("npm's programs are run on Linux", allow_module_level=True)

from jobmgr.store.base import Store
from jobmgr.store.sqlite import SqliteStore
from tests.acceptance.listeners import Listener, listener
from tests.contract.served import serving
from tests.contract.stores import a_spec, submitted
from tests.waiting import eventually

CLIENTS = 8
BEFORE, DURING = 500, 100


def numbers(client: Listener) -> list[int]:
    """Of the events that it heard."""
    return [data["seq"] for data in client.of("job-update")]


async def follow_a_burst(store: Store, directory: Path, address: str, name: int) -> None:
    """One client, from its first request on."""
    newest = await store.last_seq()
    with listener(directory, address, auth={"after": newest - BEFORE}) as client:
        await submitted(store, *[a_spec(name=f"burst-{name}")] * DURING)
        await eventually(lambda: client.of("upgrade") and numbers(client)[-1:] == [newest + DURING])
        assert numbers(client) == list(range(newest - BEFORE + 1, newest + DURING + 1))
        assert len(client.of("connect")) == 1


async def test_fault_63_a_client_becomes_a_websocket_in_a_burst(tmp_path: Path) -> None:
    """FAULT 63: order kept, nothing lost, nothing twice, without a second connection; eight clients, one after the other."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    async with serving(tmp_path, store=store) as served:
        await submitted(store, *[a_spec()] * BEFORE)
        for name in range(CLIENTS):
            await follow_a_burst(store, tmp_path, served.server.address, name)
    await store.close()
