"""Where a keeper process begins: its name, its descriptors, its duty as subreaper. Standard library only."""

from __future__ import annotations

import os
import sys

from jobmgr.process import keeper, kernel, peers

assert sys.platform == "linux"


def main(directory: str, keeper_id: str, crash_at: str) -> None:
    """Be a keeper: lock, listening socket and leash are descriptors 3, 4 and 5."""
    os.chdir("/")
    kernel.set_name(keeper.NAME)
    kernel.become_subreaper()
    for name in os.listdir("/proc/self/fd"):
        if int(name) > keeper.LEASH_FD:
            try:
                os.close(int(name))
            except OSError:
                continue  # The listing's own.
    for fd in (keeper.LOCK_FD, keeper.SOCKET_FD, keeper.LEASH_FD):
        os.set_inheritable(fd, False)  # noqa: FBT003  It takes no keywords.
    try:
        keeper.Keeper(directory, keeper_id, crash_at=crash_at).run()
    except BaseException:  # noqa: BLE001  Said where the next server finds it, then it ends all the same.
        peers.print_trouble()
        raise SystemExit(1) from None
