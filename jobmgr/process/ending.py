"""How a child ended and what it cost, as the journal says it. Used by the keeper, and by the server for children it inherited. Stdlib only."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from jobmgr.process import kernel

if TYPE_CHECKING:
    import resource

assert sys.platform == "linux"

_BLOCK = 512


def end(seen: os.waitid_result, record: dict[str, Any], output_bytes: int) -> dict[str, Any]:
    """The end of a run from the kernel's word on its leader, which is not reaped yet. The reason is the caller's to add."""
    by_signal = seen.si_code != os.CLD_EXITED
    return {
        "code": None if by_signal else seen.si_status,
        "signal": seen.si_status if by_signal else None,
        "core": seen.si_code == os.CLD_DUMPED,
        "because": "",
        "at": time.time_ns() // 1000,
        "duration": kernel.boot_us() - record["boot"],
        "output": output_bytes,
    }


def usage(used: resource.struct_rusage) -> dict[str, int]:
    """The kernel's account of a reaped child and the children it waited for."""
    return {
        "cpu": round((used.ru_utime + used.ru_stime) * 1_000_000),
        "rss": used.ru_maxrss * 1024,
        "read": used.ru_inblock * _BLOCK,
        "write": used.ru_oublock * _BLOCK,
    }
