"""What the handlers work with, in the narrow form in which they need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from jobmgr.admission import Admission
from jobmgr.api.followers import Followers
from jobmgr.config import Settings
from jobmgr.job import JobSpec, Status
from jobmgr.output import OutputFiles
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.store.base import Job, Store


class Submission(Protocol):
    """What became of a submission: the jobs in order, and whether an earlier request with the same key had made them."""

    @property
    def jobs(self) -> Sequence[tuple[int, Status]]: ...

    @property
    def replayed(self) -> bool: ...


class Manager(Protocol):
    """The part of `JobManager` that clients reach."""

    @property
    def ready(self) -> bool: ...

    @property
    def accepting(self) -> bool: ...

    async def submit(
        self, specs: Sequence[JobSpec], *, key: str | None = None, body_hash: str | None = None
    ) -> Submission: ...

    async def stop(self, job: int) -> Job: ...

    async def restart(self, job: int) -> Job: ...

    async def delete(self, job: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a handler may use."""

    settings: Settings
    manager: Manager
    admission: Admission
    store: Store
    outputs: OutputFiles
    analyzer: StatsAnalyzer
    followers: Followers


PARTS = web.AppKey("parts", Parts)
