"""Kills at random (FAULT 12): jobs are submitted, stopped and restarted while servers and keepers are killed with -9, and the truth must hold.

FAULTS_CAMPAIGN_S (seconds) and FAULTS_SEED make it longer and different; docs/reliability.md has the command. The seed is printed with a failure.
"""

import http.client
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import FINISHED, Answer, Site, check_events, check_truth, submission

CAMPAIGN_S = float(os.environ.get("FAULTS_CAMPAIGN_S", "25"))
SEED = int(os.environ.get("FAULTS_SEED", "2026"))
UNFINISHED_MOST = 12


class Campaign:
    """What was done to a site, and what may therefore be lost."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site = site
        self.chance = chance
        self.acknowledged: set[str] = set()
        self.stopped: dict[str, int] = {}
        """Whose stop was answered, and that were not restarted since; how many attempts they had then."""
        self.fragile: set[str] = set()
        """Runs whose keeper is dead: the death of the server makes them lost."""
        self.may_be_lost: set[str] = set()
        self.kills: Counter[str] = Counter()
        self.keys = 0
        site.start()

    # --- the ordinary

    def submit(self) -> None:
        """One of many kinds of jobs; asked again with the same key until there is an answer."""
        chance = self.chance
        body = submission(
            chance.randint(0, 20),
            chance.choice([0, 0, 0, 1, 7, 255, "KILL"]),
            *chance.choice([[], ["once"]]),
            numTask=chance.choice([1, 1, 1, 2, 6]),
            priority=chance.choice(["Regular", "High"]),
            retry={"maxAttempts": chance.randint(1, 3), "delay": chance.choice([0, 0.1, 0.5]), "jitter": 0},
        )
        self.keys += 1
        if len([job for job in self.site.server.get("/jobs") if job["status"] not in FINISHED]) < UNFINISHED_MOST:
            answer = self.ask("POST", "/jobs", body, key=f"key-{self.keys}")
            assert answer.status == 201, answer
            self.acknowledged.add(answer.body["jobId"])

    def stop(self) -> None:
        """Any job."""
        job = self.some_job()
        if job and self.ask("POST", f"/jobs/{job}/stop").status == 200:
            self.stopped[job] = self.count_attempts()[job]

    def restart(self) -> None:
        """Any job."""
        job = self.some_job()
        if job and self.ask("POST", f"/jobs/{job}/restart").status == 200:
            self.stopped.pop(job, None)

    def some_job(self) -> str | None:
        return self.chance.choice(sorted(self.acknowledged)) if self.acknowledged else None

    def count_attempts(self) -> Counter[str]:
        """Of each job."""
        rows = self.site.rows("SELECT t.job FROM attempts a JOIN tasks t ON t.id = a.task")
        return Counter(f"job-{job}" for (job,) in rows)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        return self.site.server.ask(method, path, body, key=key)

    # --- the kills

    def kill_server(self) -> None:
        """Now and then for longer than jobs take."""
        self.may_be_lost |= self.fragile
        self.site.server.kill()
        time.sleep(self.chance.choice([0, 0, 0.2, 2]))
        self.site.start()

    def kill_server_amid_a_request(self) -> None:
        """The answer is under way, or the request; with its key it is one job."""
        body, self.keys = submission(1, 0), self.keys + 1
        waiting = self.chance.uniform(0.001, 0.03)
        killer = os.fork()
        if killer == 0:
            time.sleep(waiting)
            os.kill(self.site.server.pid, signal.SIGKILL)
            os._exit(0)
        try:
            self.ask("POST", "/jobs", body, key=f"key-{self.keys}")
        except (OSError, http.client.HTTPException):
            pass
        os.waitpid(killer, 0)
        self.kill_server()
        jobs = {self.ask("POST", "/jobs", body, key=f"key-{self.keys}").body["jobId"] for _ in range(2)}
        assert len(jobs) == 1
        self.acknowledged |= jobs

    def kill_own_keeper(self) -> None:
        """The server is the parent of its jobs then."""
        own = [pid for pid in self.site.keepers() if parent(pid) == self.site.server.pid]
        self.fragile |= self.frozen(own)
        self.kill(own)

    def kill_all_keepers(self) -> None:
        """Also those that earlier servers left."""
        keepers = self.site.keepers()
        old = [pid for pid in keepers if parent(pid) != self.site.server.pid]
        self.fragile |= (open_runs := self.frozen(keepers))
        self.may_be_lost |= open_runs if old else set()
        self.kill(keepers)

    def kill_both(self) -> None:
        """At once."""
        pids = [self.site.server.pid, *self.site.keepers()]
        self.may_be_lost |= self.frozen(pids) | self.fragile
        self.kill(pids)
        self.site.server.kill()
        self.site.start()

    def kill_starting_server(self) -> None:
        """While it recovers."""
        self.may_be_lost |= self.fragile
        self.site.server.kill()
        for _ in range(self.chance.randint(1, 3)):
            self.site.begin_start()
            time.sleep(self.chance.uniform(0.2, 0.9))
            self.site.server.kill()
        self.site.start()

    def frozen(self, pids: list[int]) -> set[str]:
        """Stop these processes and give the runs that are open then."""
        for pid in pids:
            signal_if_there(pid, signal.SIGSTOP)
        return {run for (run,) in self.site.rows("SELECT run FROM attempts WHERE ended_at IS NULL")}

    def kill(self, pids: list[int]) -> None:
        for pid in pids:
            signal_if_there(pid, signal.SIGKILL)
        self.site.wait_gone(pids)

    # --- the truth

    def check(self) -> None:
        """What must hold at any moment."""
        began = self.site.began()
        twice = [what for what, times in Counter(entry[:3] for entry in began).items() if times > 1]
        assert not twice, f"begun more than once: {twice}"
        rows = self.site.rows(
            "SELECT a.run, t.job, t.number, a.number, a.status, a.exit_code, a.signal"
            " FROM attempts a JOIN tasks t ON t.id = a.task"
        )
        returned = self.site.returned()  # Read after the rows: a run says what it returns before its end is stored.
        known = {run: (f"job-{job}", task, attempt) for run, job, task, attempt, *_ in rows}
        for entry in began:
            assert known.get(entry.run) == entry[:3], f"it began, and the database has {known.get(entry.run)}: {entry}"
        for run, _, _, _, status, code, number in rows:
            if status in ("completed", "crashed", "retried"):
                assert returned[run] == ("KILL" if number else str(code)), (run, status, code, number)
            assert status != "lost" or run in self.may_be_lost, f"lost without reason: {run} {known[run]}"
        counts = self.count_attempts()
        again = [job for job, count in self.stopped.items() if counts[job] > count]
        assert not again, f"begun although it was stopped: {again}"
        assert self.acknowledged <= {f"job-{job}" for (job,) in self.site.rows("SELECT id FROM jobs")}
        check_events(self.site)

    def finish(self) -> None:
        """All end, and then everything must be true."""
        self.site.server.wait_all_finished()
        self.check()
        check_truth(self.site, lost=lambda attempt: attempt["run"] in self.may_be_lost)


def parent(pid: int) -> int:
    """0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def signal_if_there(pid: int, number: int) -> None:
    """It may have left in peace."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@pytest.mark.timeout(120 + 2 * CAMPAIGN_S)
def test_fault_12_random_kills_under_load_lose_nothing(site: Site) -> None:
    """After each kill every acknowledged job is there, no attempt began twice, every code is true, events have no gap."""
    print(f"FAULTS_SEED={SEED} FAULTS_CAMPAIGN_S={CAMPAIGN_S:g}")
    campaign = Campaign(site, random.Random(SEED))
    ordinary = [campaign.submit] * 12 + [campaign.stop, campaign.restart]
    kills: list[Callable[[], None]] = [
        campaign.kill_server,
        campaign.kill_server,
        campaign.kill_server_amid_a_request,
        campaign.kill_own_keeper,
        campaign.kill_own_keeper,
        campaign.kill_all_keepers,
        campaign.kill_both,
        campaign.kill_starting_server,
    ]
    end = time.monotonic() + CAMPAIGN_S
    while time.monotonic() < end:
        for _ in range(campaign.chance.randint(1, 15)):
            campaign.chance.choice(ordinary)()
            time.sleep(campaign.chance.uniform(0, 0.05))
        kill = campaign.chance.choice(kills)
        campaign.kills[kill.__name__] += 1
        print(f"{end - time.monotonic():.1f} s left: {kill.__name__}")
        kill()
        campaign.check()
    campaign.finish()
    assert sum(campaign.kills.values()) >= min(5, CAMPAIGN_S / 8)
