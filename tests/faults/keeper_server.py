"""A server that is nothing but a keeper launcher, to be killed: launches what it is told on its command line, prints reports, waits for its end.

Arguments: the directory of the keepers, and launches as JSON. Not a test by itself.
"""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

assert sys.platform == "linux"

from jobmgr.process.keepers import KeeperLauncher
from jobmgr.process.launcher import Launch, Report
from tests.launching import ENVIRONMENT


def say(reports: Sequence[Report]) -> None:
    """One line a report."""
    for report in reports:
        print(json.dumps({"kind": type(report).__name__, **dataclasses.asdict(report)}), flush=True)


async def main(directory: str, launches: str) -> None:
    """Until killed; a line on stdin launches more."""
    launcher = KeeperLauncher(Path(directory), environment=ENVIRONMENT, on_reports=say)
    await launcher.open()
    print(json.dumps({"kind": "Keeper", "run": "", "pid": launcher.keeper_pid, "server": os.getpid()}), flush=True)
    while True:
        launcher.launch([Launch(**{**fields, "argv": tuple(fields["argv"])}) for fields in json.loads(launches)])
        await asyncio.sleep(0)  # What was asked leaves in the next turn of the loop.
        print(json.dumps({"kind": "Asked", "run": "", "launches": launches.count("argv")}), flush=True)
        launches = await asyncio.to_thread(sys.stdin.readline) or "[]"
        if launches == "[]":
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
