"""What the figures of the live feed say: their tables, and the bounds that they must hold."""

from __future__ import annotations

from typing import Any

MAX_P99_MS = 1000.0
MAX_GROWTH_MIB = 100e6 / 2**20
LEAST_CHANGES = 500.0
LEAST_WATCHERS = 1000
MAX_BYTES_EACH = 25_000
LEAST_IDLE = 10_000
MAX_REGROWTH_MIB = 10.0
"""What a second crowd may need more than the first: what a crowd leaves behind is taken by the next, and does not grow."""

MAX_LEAVING_S = 3.0

Figures = dict[str, Any]


def table(results: Figures) -> str:
    """Who listened, what it cost, and sentences about idle sockets and leaving."""
    lines = [
        "| watchers | changes/s | p50 | p99 | slowest | growth of the server | its CPU | that of all clients |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_crowd(results[name]) for name in ("fanOut", "unread")]
    lines += ["", "| watchers | jobs/s | changes/s |", "|---|---:|---:|"]
    lines += [
        f"| {run['watchers']:,} | {run['jobsPerSecond']:,.0f} | {run['changesPerSecond']:,.0f} |"
        for run in results["throughput"]
    ]
    return "\n".join(
        [
            *lines,
            "",
            _driven(results["fanOut"], results["unread"]),
            "",
            _idle(results["idle"]),
            _gone(results["leaving"]),
        ]
    )


def _crowd(run: Figures) -> str:
    who = f"{run['watchers']:,}" + (f", beside {run['deaf']:,} that never read" if run["deaf"] else "")
    times = [f"{run[cut]:,.0f} ms" for cut in ("p50Ms", "p99Ms", "maxMs")]
    cells = [f"{run['perSecond']:,.0f}", *times, f"{run['growthMiB']:,.1f} MiB"]
    cells += [f"{run[whose] * 100:.0f} %" for whose in ("serverCpu", "clientCpu")]
    return f"| {who} | {' | '.join(cells)} |"


def _driven(run: Figures, unread: Figures) -> str:
    missing = f"{run['missing']:,} did not arrive." if run["missing"] else "Every watcher had every one."
    return (
        f"{run['jobs']:,} jobs of one task made {run['changes']:,} events; in the slowest second {run['slowestSecond']:,} were committed. "
        f"{missing} "
        f"Of the {unread['deaf']:,} that never read {unread['closed']:,} were closed by the end."
    )


def _idle(idle: Figures) -> str:
    first, second = idle["rounds"][0], idle["rounds"][-1]
    return (
        f"{idle['sockets']:,} idle WebSockets take {first['bytesEach'] / 1000:.1f} kB each (from {idle['beforeMiB']} MiB to "
        f"{first['withMiB']} MiB); when they have left {first['leftMiB']} MiB are kept, and as many again come to {second['withMiB']} MiB. "
        f"{first['joinedPerSecond']:,} come in a second. A job submitted meanwhile is answered in {first['replyMs']} ms, and the last of its "
        f"{idle['sockets']:,} watchers knows of its end after {first['lastToldMs']:,.0f} ms."
    )


def _gone(leaving: Figures) -> str:
    return (
        f"With {leaving['sockets']} of them connected (WebSockets, streams, long polls) the server is gone {leaving['answeringS']} s after "
        f"SIGTERM, {leaving['silentS']} s when none of them reacts."
    )


def missed(results: Figures) -> list[str]:
    """The bounds that were missed, a sentence each; empty: all are met."""
    return [
        f"live: {sentence}"
        for sentence in [
            *_missed_fan_out(results["fanOut"]),
            *_missed_delivery(results["unread"], "beside watchers that never read, "),
            *_missed_idle(results["idle"]),
            *_missed_leaving(results["leaving"]),
        ]
    ]


def _missed_fan_out(run: Figures) -> list[str]:
    sentences = _missed_delivery(run, "")
    if run["watchers"] < LEAST_WATCHERS:
        sentences.append(f"{run['watchers']:,} watched; wanted are {LEAST_WATCHERS:,}.")
    if min(run["perSecond"], run["slowestSecond"]) < LEAST_CHANGES:
        found = f"{run['perSecond']} changes a second were driven, {run['slowestSecond']} in the slowest"
        sentences.append(f"{found}; wanted are {LEAST_CHANGES:.0f}.")
    if run["p99Ms"] > MAX_P99_MS:
        sentences.append(f"an event arrives after {run['p99Ms']} ms (p99); wanted is at most {MAX_P99_MS:.0f} ms.")
    if run["growthMiB"] > MAX_GROWTH_MIB:
        sentences.append(f"the server grew by {run['growthMiB']} MiB; wanted is at most {MAX_GROWTH_MIB:.1f}.")
    return sentences


def _missed_delivery(run: Figures, where: str) -> list[str]:
    sentences = []
    if run["missing"]:
        sentences.append(f"{where}{run['missing']} events did not arrive; wanted is every one at every watcher.")
    if run["wrong"]:
        sentences.append(f"{where}{run['wrong'][0]}.")
    return sentences


def _missed_idle(idle: Figures) -> list[str]:
    sentences = []
    if idle["sockets"] < LEAST_IDLE:
        sentences.append(f"{idle['sockets']:,} idle sockets could be opened; wanted are {LEAST_IDLE:,} (`ulimit -n`).")
    for number, one in enumerate(idle["rounds"], 1):
        if one["bytesEach"] > MAX_BYTES_EACH:
            sentences.append(f"an idle socket takes {one['bytesEach']:,} bytes; wanted is at most {MAX_BYTES_EACH:,}.")
        if one["wrong"] or not one["told"]:
            sentences.append(f"not all of crowd {number} were told of a job: {one['wrong'][:1]}.")
    growth = idle["rounds"][-1]["withMiB"] - idle["rounds"][0]["withMiB"]
    if growth > MAX_REGROWTH_MIB:
        sentences.append(
            f"a second crowd took {growth:.1f} MiB more than the first; wanted is at most {MAX_REGROWTH_MIB:.0f}."
        )
    return sentences


def _missed_leaving(leaving: Figures) -> list[str]:
    return [
        f"with {leaving['sockets']} {how} clients the server left after {leaving[key]} s; wanted is at most {MAX_LEAVING_S} s."
        for how, key in (("answering", "answeringS"), ("silent", "silentS"))
        if leaving[key] > MAX_LEAVING_S
    ]
