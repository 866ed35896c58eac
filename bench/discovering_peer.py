"""`python discovering_peer.py NAME FILE BYTES`: let sliceline or pysubgroup look for subgroups in a table of codes, and print what they find as JSON.

It runs in an environment of the peers' own (see `discovering_peers`) and imports nothing of jobmgr. FILE is a .npz with `codes` (tasks × columns) and
`failed`. Only the search is timed, not the making of what it wants as input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

RESULTS = 10
DEPTH = 2
BEAM = 50
ALPHA = 0.95

Conditions = list[list[int]]


def sliceline(codes: Any, failed: Any) -> tuple[float, list[Conditions]]:
    """The ten slices with the highest score."""
    finder = import_module("sliceline.slicefinder").Slicefinder(
        alpha=ALPHA, k=RESULTS, max_l=DEPTH, min_sup=_least(len(codes)), verbose=False
    )
    began = time.perf_counter()
    finder.fit(codes, failed.astype(float))
    seconds = time.perf_counter() - began
    slices = [[value if value is None else int(value) for value in each] for each in finder.top_slices_]
    return seconds, [[[column, code] for column, code in enumerate(each) if code is not None] for each in slices]


def pysubgroup(codes: Any, failed: Any) -> tuple[float, list[Conditions]]:
    """The ten subgroups with the highest weighted relative accuracy, by a beam search."""
    library, pandas = import_module("pysubgroup"), import_module("pandas")
    data = pandas.DataFrame({str(column): codes[:, column].astype(str) for column in range(codes.shape[1])})
    data["failed"] = failed
    task = library.SubgroupDiscoveryTask(
        data,
        library.BinaryTarget("failed", True),  # noqa: FBT003  # its second argument is the value that is looked for
        library.create_nominal_selectors(data, ignore=["failed"]),
        result_set_size=RESULTS,
        depth=DEPTH,
        qf=library.WRAccQF(),
    )
    began = time.perf_counter()
    found = library.BeamSearch(beam_width=BEAM).execute(task)
    seconds = time.perf_counter() - began
    groups = [group.selectors for _, group, _ in found.results]
    return seconds, [[[int(each.attribute_name), int(each.attribute_value)] for each in group] for group in groups]


def _least(count: int) -> int:
    return min(max(count // 100, 10), 50)


PEERS: dict[str, Callable[[Any, Any], tuple[float, list[Conditions]]]] = {
    "sliceline": sliceline,
    "pysubgroup": pysubgroup,
}


def main() -> None:
    """Search, and print."""
    name, file, most_bytes = sys.argv[1:]
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(most_bytes), int(most_bytes)))
    given = import_module("numpy").load(file)
    seconds, found = PEERS[name](given["codes"], given["failed"])
    print(json.dumps({"seconds": seconds, "found": found, "version": version(name)}))


if __name__ == "__main__":
    main()
