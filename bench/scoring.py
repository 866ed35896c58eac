"""`python -m bench.scoring CASE COUNT [--seeds N] [--plain]`: how well patterns are discovered in drawn histories, a line a seed and their mean.

CASE is D2 (noise), D3 (planted), D4 (an outage), D4-node (of one node only), D5 (shifted waves), D8 (bursts by name and day), another shape
(`bench.cases.shapes`) by its name, or `kth` / `atlas` for circular shifts of a real log. `--plain`: judge the plain test besides.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from bench.cases.bursts import ar_outcome, bursty_names, circular_shift, outage
from bench.cases.shapes import OTHER_SHAPES, Case, noise, planted
from bench.cases.traces import read_trace, trace_file
from bench.judging import Judgement, claimed, judge_stats, plain_z
from jobmgr.history import HistoryRow


@dataclass(frozen=True, slots=True)
class Score:
    """One history, judged: what was claimed, whether anything at all was, and how long the answer took."""

    judgement: Judgement
    any_claimed: bool
    any_significant: bool
    outage_told: bool | None
    """Whether exactly one incident overlaps the outage; None: there was none."""
    plain_shown: int | None
    seconds: float
    words: tuple[str, ...]


def shifted(count: int, seed: int) -> Case:
    """A wave of failures, turned in time by another twentieth for each seed: no seed is without a shift."""
    case = ar_outcome(count, 1000 + seed // 20)
    rows = circular_shift(case.rows, count * (seed % 20 + 1) // 21)
    return Case(rows, np.full(count, case.failure.mean()))


def shifted_trace(name: str, seed: int) -> Case:
    """A real log, turned in time by another eleventh for each seed."""
    rows = _trace(name)
    counted = sum(row.status in ("completed", "crashed") for row in rows)
    return Case(circular_shift(rows, counted * (seed % 10 + 1) // 11), np.full(counted, 0.5))


@cache
def _trace(name: str) -> list[HistoryRow]:
    path = trace_file(name)
    if path is None:
        raise SystemExit(f"scoring: the log {name} is not on this machine (JOBMGR_TRACES names its folder)")
    return read_trace(path)


CASES: dict[str, tuple[Callable[[int, int], Case], int]] = {
    "D2": (noise, 2000),
    "D3": (planted, 5000),
    "D4": (outage, 5000),
    "D4-node": (partial(outage, only_its_node=True), 5000),
    "D5": (shifted, 5000),
    "D8": (bursty_names, 10_000),
    "kth": (lambda _count, seed: shifted_trace("kth", seed), 0),
    "atlas": (lambda _count, seed: shifted_trace("atlas", seed), 0),
    **OTHER_SHAPES,
}


def answer(rows: Sequence[HistoryRow]) -> tuple[Mapping[str, Any], float]:
    """What jobmgr says of a history, and the seconds that took once the columns were there."""
    from jobmgr.stats.summary import columns_of, summarize

    columns = columns_of(rows)
    now = max((row.finished_at or 0 for row in rows), default=0)
    began = time.perf_counter()
    stats = summarize(columns, total_jobs=len(rows), now=now)
    return stats, time.perf_counter() - began


def score(name: str, count: int, seeds: Sequence[int], *, plain: bool = False) -> Iterator[Score]:
    """Judge what jobmgr says of the case of each seed. `plain`: and how much the plain test shows."""
    draw, usual = CASES[name]
    for seed in seeds:
        case = draw(count or usual, seed)
        stats, seconds = answer(case.rows)
        real = claimed(stats)
        yield Score(
            judge_stats(stats, case),
            bool(real),
            any(pattern["significant"] for pattern in stats["patterns"]),
            None if case.window is None else _is_told(stats["incidents"], case.window),
            len(judge_plain(case)) if plain else None,
            seconds,
            tuple(pattern["pattern"] for pattern in real),
        )


def judge_plain(case: Case) -> list[Any]:
    """What the plain test shows of a case."""
    return plain_z(case.rows)


def _is_told(incidents: Sequence[Mapping[str, Any]], window: tuple[int, int]) -> bool:
    from jobmgr.clock import parse_rfc3339

    ends = [(parse_rfc3339(incident["start"]), parse_rfc3339(incident["end"])) for incident in incidents]
    known = [(start, end) for start, end in ends if start is not None and end is not None]
    return sum(start <= window[1] and end >= window[0] for start, end in known) == 1


def mean(scores: Sequence[Score]) -> dict[str, float]:
    """Recall, share of false ones (of all shown in all runs), redundant and shown a run, P(any), P(plain shows any), seconds."""
    judged = [each.judgement for each in scores]
    shown = sum(each.shown for each in judged)
    runs = max(len(scores), 1)
    figures = {
        "recall": sum(each.recall for each in judged) / runs,
        "fdp": sum(each.false for each in judged) / shown if shown else 0.0,
        "redundant": sum(each.redundant for each in judged) / runs,
        "shown": shown / runs,
        "any": sum(each.any_claimed for each in scores) / runs,
        "anySignificant": sum(each.any_significant for each in scores) / runs,
        "seconds": sum(each.seconds for each in scores) / runs,
    }
    if scores and scores[0].outage_told is not None:
        figures["outageTold"] = sum(bool(each.outage_told) for each in scores) / runs
    if scores and scores[0].plain_shown is not None:
        figures["plainAny"] = sum(bool(each.plain_shown) for each in scores) / runs
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Score one case and print it."""
    parser = argparse.ArgumentParser(prog="bench.scoring", description=(__doc__ or "").partition(":")[2].strip())
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("count", type=int, nargs="?", default=0, help="tasks; default: what the case needs")
    parser.add_argument("--seeds", type=int, default=6, help="how many (default 6)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--plain", action="store_true", help="the plain test besides")
    given = parser.parse_args(arguments)
    scores = []
    for each in score(given.case, given.count, range(given.first, given.first + given.seeds), plain=given.plain):
        scores.append(each)
        judged = each.judgement
        print(
            f"found {judged.found}/{judged.planted}  false {judged.false}  redundant {judged.redundant}  shown {judged.shown}  "
            f"plain {each.plain_shown}  outage told {each.outage_told}  {each.seconds:.2f} s  {list(each.words)}",
            flush=True,
        )
    print("  ".join(f"{key} {value:.2f}" for key, value in mean(scores).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
