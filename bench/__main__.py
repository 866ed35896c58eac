"""`python -m bench [jobs|submit|list|stats|live] [--check]`: measure, write result file and table; with `--check` fail when a bound is missed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from bench import jobs, lists, live, results, stats, submit
from bench.peers import Peer

SCENARIOS = {"jobs": jobs, "submit": submit, "list": lists, "stats": stats, "live": live}


def say(line: str) -> None:
    """Progress goes to stderr at once; the tables go to stdout."""
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: measured, and with `--check` all bounds are met; 1: a bound was missed."""
    given = _parse(arguments)
    sentences: list[str] = []
    for what in [given.what] if given.what else SCENARIOS:
        record = {**results.surroundings(), "what": what}
        if what == "jobs":
            record["results"] = jobs.measure(
                _peers(given.peers_only), given.parallel, say, count=given.count, rounds=given.rounds
            )
        elif what == "list":
            record["results"] = lists.measure(say, count=given.history)
        elif what == "stats":
            record["results"] = stats.measure(say, count=given.history, seeds=given.seeds)
        elif what == "live":
            record["results"] = live.measure(
                say, watchers=given.watchers, idle=given.idle, seconds=given.seconds, rounds=given.rounds
            )
        else:
            runs = [submit.measure(say, launcher=launcher, samples=given.samples) for launcher in ("keeper", "direct")]
            record["results"] = {"runs": runs}
        sentences += SCENARIOS[what].missed(record["results"])
        publish(what, record, save=not given.no_save)
    if given.check:
        for sentence in sentences:
            say(f"missed: {sentence}")
        return 1 if sentences else 0
    return 0


def publish(what: str, record: dict[str, Any], *, save: bool) -> None:
    """Print the table, and unless told otherwise keep the figures and put the table into the page."""
    text = f"{SCENARIOS[what].table(record['results'])}\n\n{results.caption(record)}"
    print(text)
    if save:
        page = results.put_table(results.PAGE.read_text(), what, text)
        results.save(what, record)
        results.PAGE.write_text(page)


def _peers(peers_only: bool) -> tuple[Peer, ...]:
    return tuple(peer for peer in jobs.ALL if not (peers_only and peer.name.startswith("jobmgr")))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="jobmgr and its peers side by side.")
    parser.add_argument("what", nargs="?", choices=list(SCENARIOS), help="default: all")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    parser.add_argument("--no-save", action="store_true", help="leave result files and docs/performance.md as they are")
    parser.add_argument("--peers-only", action="store_true", help="leave jobmgr itself out (jobs)")
    parser.add_argument("--count", type=int, default=jobs.COUNT, help=f"programs in one run (default {jobs.COUNT})")
    parser.add_argument(
        "--rounds", type=int, default=jobs.ROUNDS, help=f"runs of each contestant (default {jobs.ROUNDS})"
    )
    parser.add_argument("--samples", type=int, default=submit.SAMPLES, help=f"submissions (default {submit.SAMPLES})")
    parser.add_argument(
        "--history", type=int, default=lists.COUNT, help=f"jobs in the database (list, stats; default {lists.COUNT:,})"
    )
    parser.add_argument(
        "--seeds", type=int, default=stats.SEEDS, help=f"drawn histories (stats; default {stats.SEEDS})"
    )
    parser.add_argument(
        "--watchers", type=int, default=live.WATCHERS, help=f"who watch (live; default {live.WATCHERS:,})"
    )
    parser.add_argument("--idle", type=int, default=live.IDLE, help=f"idle sockets (live; default {live.IDLE:,})")
    parser.add_argument(
        "--seconds", type=float, default=live.SECONDS, help=f"of changes (live; default {live.SECONDS:.0f})"
    )
    parser.add_argument(
        "--parallel",
        type=int,
        nargs="+",
        default=_degrees(),
        metavar="P",
        help="how many at once (default: cores and 8)",
    )
    return parser.parse_args(arguments)


def _degrees() -> list[int]:
    return sorted({os.cpu_count() or 1, 8})


if __name__ == "__main__":
    sys.exit(main())
