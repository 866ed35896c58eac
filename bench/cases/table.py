"""A drawn history before it is rows: one numpy column a field, and a probability of failure for each task.

`Table` is drawn by `draw_table`, other modules change its probabilities (and plant what goes with them), and `rows` makes the history that an
analyzer sees. Names have tokens and families, arguments have flags of every sort, load has a daily rhythm; nothing but the probabilities that are
planted has to do with how tasks end. `campaigns` is how real users work: the same name with the same arguments many times in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobmgr.history import HistoryRow
from jobmgr.job import Cause, Status

Array = np.ndarray[Any, np.dtype[Any]]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z, a Thursday."""

VERBS = ("render", "encode", "import", "export", "sync", "index", "train", "report")
THINGS = ("video", "users", "orders", "images", "logs", "models", "prices", "mail")
NODES = tuple(f"node-{number}" for number in range(1, 9))
GROUPS = ("web", "data", "media", "research", "office")
SCRIPTS = tuple(f"/srv/jobs/{name}" for name in ("encode.sh", "sync.py", "report.sh", "train.py", "load.sh", "run"))
MODES = ("fast", "safe", "full", "dry")
REGIONS = ("eu-west", "eu-north", "us-east", "us-west", "ap-south")
PATHS = ("/data/in", "/data/archive", "/mnt/share/projects", "/scratch/work", "/home/team")
WORD = "nightly"


def names_of(count: int) -> tuple[str, ...]:
    """So many names: verbs and things, every third with a number, every tenth with the token `nightly`."""
    names = []
    for number in range(count):
        parts = [VERBS[number % len(VERBS)], THINGS[number // len(VERBS) % len(THINGS)]]
        parts += [WORD] if number % 10 == 4 else []
        round_ = number // (len(VERBS) * len(THINGS))
        parts += [str(number % 7 + 1)] if number % 3 == 0 else []
        names.append("-".join(parts + ([f"v{round_}"] if round_ else [])))
    return tuple(names)


@dataclass(slots=True)
class Planted:
    """A pattern that is there by construction: in words, and the tasks that it is about."""

    words: str
    tasks: Array


@dataclass(slots=True)
class Table:
    """Columns in the order of submission. Codes point into the texts beside them; `args` holds one tuple a task."""

    names: Sequence[str]
    name: Array
    node: Array
    mode: Array
    batch: Array
    """0 where the flag is not given."""
    force: Array
    group: Array
    priority: Array
    args: list[tuple[str, ...]]
    created: Array
    queue_wait: Array
    duration: Array
    memory: Array
    cpu: Array
    read: Array
    write: Array
    output: Array
    concurrency: Array
    failure: Array
    """The true probability of failure of each task."""
    nodes: Sequence[str] = NODES
    planted: list[Planted] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.name)

    def has_token(self) -> Array:
        """Which tasks have `WORD` in their name."""
        return np.array([WORD in name for name in self.names])[self.name]

    def plant(self, words: str, tasks: Array, more: float) -> None:
        """These tasks fail more often by so much."""
        self.planted.append(Planted(words, tasks))
        self.failure = np.clip(self.failure + more * tasks, 0.0, 1.0)

    def hour(self) -> Array:
        """The hour of day of each submission, UTC."""
        return self.created % DAY // HOUR


def draw_table(
    count: int,
    rng: np.random.Generator,
    *,
    names: int = 60,
    nodes: Sequence[str] = NODES,
    span: int = 28 * DAY,
    base: float = 0.1,
    campaigns: int = 0,
) -> Table:
    """So many tasks over a time of `span`, that fail with probability `base`. `campaigns`: about so many tasks at a time are alike."""
    like = _likeness(count, rng, campaigns)
    drawn = int(like[-1]) + 1 if count else 0
    name, node, mode, batch, force = _choices(drawn, rng, names=names, nodes=nodes)
    created = _submissions(count, rng, span, rhythm=span >= 2 * DAY)
    concurrency = _concurrency(created, rng)
    seconds = rng.lognormal(1.2, 1.3, count) + 0.02
    memory = rng.lognormal(18.0, 1.0, count)
    args = _arguments(drawn, rng, mode=mode, batch=batch, force=force)
    group = np.where(rng.random(drawn) < 0.7, name // 3 % len(GROUPS), rng.integers(len(GROUPS), size=drawn))
    priority = rng.choice([0, 0, 0, 0, 10, 10, 1, 5, -5], drawn)
    return Table(
        names=names_of(names),
        name=name[like],
        node=node[like],
        mode=mode[like],
        batch=batch[like],
        force=force[like],
        group=group[like],
        priority=priority[like],
        args=[args[index] for index in like.tolist()],
        created=created,
        queue_wait=(rng.lognormal(12.5, 1.4, count) * (0.5 + concurrency / 12)).astype("i8"),
        duration=(seconds * SECOND).astype("i8"),
        memory=memory.astype("i8"),
        cpu=(seconds * SECOND * rng.uniform(0.1, 1.2, count)).astype("i8"),
        read=rng.lognormal(13, 2, count).astype("i8"),
        write=rng.lognormal(12, 2, count).astype("i8"),
        output=rng.lognormal(7, 1.5, count).astype("i8"),
        concurrency=concurrency,
        failure=np.full(count, base),
        nodes=nodes,
    )


def _likeness(count: int, rng: np.random.Generator, campaigns: int) -> Array:
    """For each task the number of its campaign, ascending; each task its own where there are none."""
    if campaigns <= 1 or not count:
        return np.arange(count)
    return np.cumsum(np.r_[False, rng.random(count - 1) < 1 / campaigns])


def _choices(
    count: int, rng: np.random.Generator, *, names: int, nodes: Sequence[str]
) -> tuple[Array, Array, Array, Array, Array]:
    weight = 1 / (np.arange(names) % 20 + 6.0)
    name = rng.choice(names, count, p=weight / weight.sum())
    share = np.linspace(1.3, 0.7, len(nodes))
    node = rng.choice(len(nodes), count, p=share / share.sum())
    mode = rng.choice([-1, 0, 1, 2, 3], count, p=[0.1, 0.225, 0.225, 0.225, 0.225])
    batch = np.where(rng.random(count) < 0.7, 2 ** rng.integers(0, 10, count), 0)
    return name, node, mode, batch, rng.random(count) < 0.16


def _submissions(count: int, rng: np.random.Generator, span: int, *, rhythm: bool) -> Array:
    """Ascending times; with a rhythm there are fewer at night."""
    at = rng.random(2 * count + 8) * span
    if rhythm:
        at = at[rng.random(len(at)) < 0.65 - 0.35 * np.cos(at / DAY * 2 * np.pi)]
    at = at[:count] if len(at) >= count else np.r_[at, rng.random(count - len(at)) * span]
    return START + np.sort(at).astype("i8")


def _concurrency(created: Array, rng: np.random.Generator) -> Array:
    by_day = 7.5 - 1.5 * np.cos((created - START) / DAY * 2 * np.pi)
    return np.clip(rng.poisson(by_day), 0, 15) + 1


def _arguments(
    count: int, rng: np.random.Generator, *, mode: Array, batch: Array, force: Array
) -> list[tuple[str, ...]]:
    """The flags of the columns, and noise: numbers, words, switches, paths, in one order as scripts write them."""
    given = (rng.random((count, 10)) < [0.5, 0.3, 0.6, 0.4, 0.35, 0.5, 0.3, 0.6, 0.25, 0.4]).tolist()
    small = rng.integers(0, 6, (count, 3)).tolist()
    large = rng.integers(0, 2**31, count).tolist()
    real = np.round(rng.uniform(0, 1, count), 2).tolist()
    picks = rng.integers(0, 5, (count, 3)).tolist()
    columns = zip(mode.tolist(), batch.tolist(), force.tolist(), given, small, large, real, picks, strict=True)
    return [_line(*values) for values in columns]


def _line(
    mode: int, batch: int, force: bool, given: list[bool], small: list[int], large: int, real: float, picks: list[int]
) -> tuple[str, ...]:
    args: list[str] = []
    args += ["--mode", MODES[mode]] if mode >= 0 else []
    args += ["--batch", str(batch)] if batch else []
    args += ["--force"] if force else []
    args += ["--verbose"] if given[0] else []
    args += ["--retries", str(small[0])] if given[1] else []
    args += ["--region", REGIONS[picks[0]]] if given[2] else []
    args += [f"--level={small[1]}"] if given[3] else []
    args += ["--seed", str(large)] if given[4] else []
    args += ["--threshold", str(real)] if given[5] else []
    args += ["--cache"] if given[6] else []
    args += ["--threads", str(2 ** small[2])] if given[7] else []
    args += ["-q"] if given[8] else []
    args += [f"{PATHS[picks[1]]}/{large % 4}/part-{large % 1000}.csv"] if given[9] else []
    return tuple(args)


def draw_outcome(table: Table, rng: np.random.Generator) -> Array:
    """Which tasks fail, by their probabilities."""
    return rng.random(len(table)) < table.failure


def rows_of(table: Table, failed: Array, *, first: int = 0) -> list[HistoryRow]:
    """The history: one attempt a task, in the order of submission. `first`: the number of the first job."""
    started = table.created + table.queue_wait
    columns = [
        [table.names[code] for code in table.name.tolist()],
        [SCRIPTS[code % len(SCRIPTS)] for code in table.name.tolist()],
        table.args,
        table.priority.tolist(),
        [GROUPS[code] for code in table.group.tolist()],
        [table.nodes[code] for code in table.node.tolist()],
        table.created.tolist(),
        started.tolist(),
        (started + table.duration).tolist(),
        failed.tolist(),
        table.duration.tolist(),
        table.queue_wait.tolist(),
        table.memory.tolist(),
        table.cpu.tolist(),
        table.read.tolist(),
        table.write.tolist(),
        table.output.tolist(),
        table.concurrency.tolist(),
    ]
    return [_row(first + number, values) for number, values in enumerate(zip(*columns, strict=True))]


def _row(number: int, values: tuple[Any, ...]) -> HistoryRow:
    name, script, args, priority, group, node, created, started, finished, failed, *rest = values
    duration, queue_wait, memory, cpu, read, write, output, concurrency = rest
    status, cause, code = (_CRASHED, _EXIT, 1) if failed else (_COMPLETED, None, 0)
    return HistoryRow(
        f"job-{number}", 0, name, script, args, priority, group, node, created, started, finished, status, cause, code, None, 1, 1, 0,
        duration, queue_wait, memory, cpu, read, write, output, concurrency,
    )  # fmt: skip


_CRASHED, _EXIT, _COMPLETED = Status.CRASHED.value, Cause.EXIT.value, Status.COMPLETED.value
