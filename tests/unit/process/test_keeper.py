"""The keeper as a process: what it imports, how big it is, how it treats slow readers."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("a keeper needs Linux", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process import peers

ROOT = Path(__file__).parents[3]
LOOK = """
import sys; sys.path.insert(0, sys.argv[1])
import jobmgr.process.keeper_main
print(sorted(name for name in sys.modules if name.startswith("jobmgr")))
print(sorted(name for name in sys.modules if name in ("asyncio", "dataclasses", "inspect", "pathlib", "subprocess", "traceback", "logging")))
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.fixture(scope="module")
def seen() -> list[str]:
    """What a fresh keeper process says of itself."""
    command = [sys.executable, "-I", "-S", "-c", LOOK, str(ROOT)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={}).stdout.splitlines()


def test_it_loads_its_own_few_modules_only(seen: list[str]) -> None:
    """So it starts with the standard library alone, and an upgrade of the rest does not touch it."""
    names = [
        "custody",
        "ending",
        "journal",
        "keeper",
        "keeper_main",
        "kernel",
        "outbox",
        "output_cap",
        "peers",
        "run_files",
        "spawn",
        "spawn_errors",
        "tree",
    ]
    assert eval(seen[0]) == ["jobmgr", "jobmgr.process", *(f"jobmgr.process.{name}" for name in names)]


def test_it_leaves_out_what_is_big(seen: list[str]) -> None:
    """Its size is the least that the kernel counts as a job's peak memory."""
    assert seen[1] == "[]"
    assert int(seen[2]) < 20_000


def test_a_slow_reader_is_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    """Past 1 MiB unread the journal is the truth; a long list that was asked for is not slowness."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    commands: list[tuple[peers.Peer, dict[str, object]]] = []
    group = peers.Peers(os.dup(listening.fileno()), lambda peer, command: commands.append((peer, command)))
    with listening, socket.socket(socket.AF_UNIX) as slow, socket.socket(socket.AF_UNIX) as asking:
        for client in (slow, asking):
            client.connect(str(tmp_path / "s"))
            client.sendall(b'{"op":"hello"}\n')
        while len(commands) < 2:
            for fd, _ in group.poll.poll(5):
                group.serve(fd)
        commands[0][0].send({"op": "reports", "runs": ["x" * 2_000_000]})
        commands[1][0].send({"op": "list", "runs": ["x" * 2_000_000]}, expected=True)
        group.flush()
        assert commands[0][0].lost
        assert not commands[1][0].lost
        received = b""
        while not received.endswith(b"\n"):
            received += asking.recv(1 << 20)
            group.flush()
        assert len(json.loads(received)["runs"][0]) == 2_000_000
    group._listener.close()
    commands[1][0].connection.close()
    group.poll.close()
