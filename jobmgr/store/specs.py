"""JobSpec as the text of a column and back.

Only what differs from JobSpec's defaults is written, so most rows are short and a field that comes later reads as its default in old rows.
Hence a default may never change its meaning without a migration. The arguments of each task are not here: they are kept with the tasks.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, NamedTuple

from jobmgr.errors import DataDirError
from jobmgr.job import JobSpec, RetryPolicy, with_index

_MAPPINGS = frozenset({"env", "params", "labels", "secret_env"})
_KEPT_WITH_TASKS = frozenset({"tasks", "num_tasks"})


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


_SPEC_DEFAULTS = {field.name: _default(field) for field in fields(JobSpec) if field.name not in _KEPT_WITH_TASKS}
_RETRY_DEFAULTS = {field.name: _default(field) for field in fields(RetryPolicy)}


def dumps(value: Any) -> str:
    """JSON in one line, ASCII only, so that any text survives any database."""
    return _ENCODER.encode(value)


_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _differing(value: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: have for name, default in defaults.items() if (have := getattr(value, name)) != default}


def encode_spec(spec: JobSpec) -> str:
    """The text to keep, without the arguments of each task."""
    values = _differing(spec, _SPEC_DEFAULTS)
    if "retry" in values:
        values["retry"] = _differing(spec.retry, _RETRY_DEFAULTS)
    for name in _MAPPINGS & values.keys():
        values[name] = dict(values[name])
    return dumps(values)


def _retry(values: Mapping[str, Any]) -> RetryPolicy:
    _refuse_unknown(values, _RETRY_DEFAULTS)
    kept: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return RetryPolicy(**kept)


def _refuse_unknown(values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if unknown := values.keys() - known.keys():
        raise DataDirError(
            f"The database keeps jobs with {', '.join(sorted(unknown))}, which this version of jobmgr does not know: "
            "a newer one wrote them. Start that version, or a later one."
        )


_READERS: Mapping[str, Callable[[Any], Any]] = {"args": tuple, "success_codes": tuple, "retry": _retry}


def decode_spec(text: str, num_tasks: int) -> JobSpec:
    """The spec of a text that `encode_spec` made. Raises DataDirError where a newer version wrote it."""
    values: dict[str, Any] = json.loads(text)
    _refuse_unknown(values, _SPEC_DEFAULTS)
    for name in values.keys() & _READERS.keys():
        values[name] = _READERS[name](values[name])
    return JobSpec(num_tasks=num_tasks, **values)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a list shows of a spec."""

    script: str
    args: tuple[str, ...]
    type: str | None
    params: Mapping[str, Any]
    labels: Mapping[str, str]


def decode_shown(text: str) -> Shown:
    """The part of a spec that a list shows: a third of the work of `decode_spec`."""
    values: dict[str, Any] = json.loads(text)
    take = values.get
    return Shown(values["script"], tuple(take("args", ())), take("type"), take("params", {}), take("labels", {}))


class Program(
    NamedTuple
):  # Made a million times when a history is read: a tuple is made several times faster than a frozen dataclass.
    """What the history tells of a spec: what ran."""

    script: str
    args: tuple[str, ...]
    indexed: bool

    def arguments(self, number: int, own: tuple[str, ...] | None) -> tuple[str, ...]:
        """As `JobSpec.arguments`."""
        args = self.args if own is None else own
        return with_index(args, number) if self.indexed else args


def decode_program(text: str) -> Program:
    """The part of a spec that the history tells: a third of the work of `decode_spec`."""
    values: dict[str, Any] = _DECODER.raw_decode(text)[0]  # Ours: nothing stands before or behind it.
    return Program(values["script"], tuple(values.get("args", ())), values.get("indexed", False))


def encode_args(args: tuple[str, ...] | None) -> str | None:
    """A task's own arguments as kept."""
    return None if args is None else dumps(args)


def decode_args(text: str | None) -> tuple[str, ...] | None:
    """A task's own arguments as they were."""
    return None if text is None else tuple(json.loads(text))


class SpecCache:
    """The specs of the jobs claimed last, so that a job of many tasks is parsed once. Bounded by the bytes of their texts."""

    def __init__(self, limit_bytes: int = 4 * 2**20) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._specs: OrderedDict[int, tuple[JobSpec, int]] = OrderedDict()

    def get(self, job: int) -> JobSpec | None:
        """The spec of a job, if it is here."""
        found = self._specs.get(job)
        if found is None:
            return None
        self._specs.move_to_end(job)
        return found[0]

    def put(self, job: int, spec: JobSpec, size: int) -> None:
        """Keep a spec, and let go of those not asked for the longest. The newest stays whatever its size."""
        _, old = self._specs.pop(job, (None, 0))
        self._specs[job] = (spec, size)
        self._bytes += size - old
        while self._bytes > self._limit and len(self._specs) > 1:
            self._bytes -= self._specs.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget all: what was put may have been undone."""
        self._specs.clear()
        self._bytes = 0
