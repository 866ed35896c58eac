"""The server is killed: what it began runs on in its keeper, and the next server takes it up; if the keeper dies as well, nothing is made up."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmgr.clock import boot_us
from jobmgr.process.launcher import Ended, Held, SpawnFailed, Unbegun, Vanished
from tests.launching import is_running, true_program
from tests.waiting import eventually

if sys.platform != "linux":
    pytest.skip("a keeper needs Linux", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process import journal, tree
from jobmgr.process.offline import stop_all_offline
from tests.faults.keeper_trial import KeeperTrial, keeper_trial

trial = keeper_trial

LOOP = "n=0; while [ ! -e go ]; do echo $n; n=$((n+1)); sleep 0.02; done; echo last; exit 21"


async def test_fault_6_the_server_dies_while_a_job_runs(trial: KeeperTrial) -> None:
    """Taken up with the same pid, continuous output, one run, the true code."""
    launch = trial.make("/bin/sh", "-c", LOOP)
    server = trial.serve([launch])
    begun = await server.heard("Begun", launch.run)
    await trial.said(launch.run, "3\n")
    await server.kill()
    await trial.take_over()
    held = trial.found[launch.run]
    assert held == Held(launch.run, begun["pid"], begun["start_ticks"], begun["started_at"])
    (trial.directory / "go").touch()
    ended = await trial.ended(launch.run)
    assert (ended.code, ended.pid) == (21, begun["pid"])
    lines = trial.output(launch.run).split()
    assert lines == [*map(str, range(len(lines) - 1)), "last"]


async def test_fault_7_jobs_end_while_the_server_is_away(trial: KeeperTrial) -> None:
    """Codes, signals, durations and usage are there when the next one asks."""
    launches = [
        trial.make("/bin/sh", "-c", f"until [ -e go ]; do sleep 0.02; done; {end}") for end in ("exit 5", "kill -9 $$")
    ]
    server = trial.serve(launches)
    pids = [(await server.heard("Begun", launch.run))["pid"] for launch in launches]
    await server.kill()
    (trial.directory / "go").touch()
    await eventually(lambda: not any(map(is_running, pids)))
    await trial.take_over()
    first, second = (trial.found[launch.run] for launch in launches)
    assert isinstance(first, Ended) and isinstance(second, Ended)
    assert (first.code, first.signal, second.code, second.signal) == (5, None, None, signal.SIGKILL)
    assert first.usage is not None and first.duration_us > 0


async def test_a_refusal_while_the_server_dies_is_kept(trial: KeeperTrial) -> None:
    """What could not start stays so for the next server."""
    launches = [trial.make("/no/such/program"), trial.make("sleep", "600")]
    server = trial.serve(launches)
    await server.heard("Begun", launches[1].run)
    await server.kill()
    await trial.take_over()
    failed = trial.found[launches[0].run]
    assert isinstance(failed, SpawnFailed) and failed.error == "'/no/such/program' does not exist."


async def test_a_timeout_holds_while_the_server_is_away(trial: KeeperTrial) -> None:
    """The keeper keeps the clock."""
    launch = trial.make("sleep", "600", timeout_s=0.5)
    server = trial.serve([launch])
    pid = (await server.heard("Begun", launch.run))["pid"]
    await server.kill()
    await eventually(lambda: not is_running(pid))
    await trial.take_over()
    ended = trial.found[launch.run]
    assert isinstance(ended, Ended) and (ended.because, ended.signal) == ("timeout", signal.SIGTERM)


async def test_a_job_taken_up_can_be_stopped(trial: KeeperTrial) -> None:
    """Its keeper obeys any later server."""
    launch = trial.make("sleep", "600")
    server = trial.serve([launch])
    await server.heard("Begun", launch.run)
    await server.kill()
    await trial.take_over()
    trial.launcher.stop(launch.run)
    assert (await trial.ended(launch.run)).because == "stop"


async def test_fault_13_recovery_again_and_again(trial: KeeperTrial) -> None:
    """It is idempotent, in one server and over several that die."""
    launch = trial.make("sleep", "600")
    server = trial.serve([launch])
    begun = await server.heard("Begun", launch.run)
    await server.kill()
    for _ in range(3):
        launcher = await trial.take_over()
        again = await launcher.recover()
        assert (
            again[launch.run]
            == trial.found[launch.run]
            == Held(launch.run, begun["pid"], begun["start_ticks"], begun["started_at"])
        )
        await launcher.close()
    await trial.take_over()


async def both_dead(trial: KeeperTrial, *argv: str) -> tuple[str, int]:
    """A run whose server and keeper were killed; gives run and pid."""
    launch = trial.make(*argv)
    server = trial.serve([launch])
    pid: int = (await server.heard("Begun", launch.run))["pid"]
    keeper = (await server.heard("Keeper"))["pid"]
    await server.kill()
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: not is_running(keeper))
    return launch.run, pid


async def test_fault_9_server_and_keeper_die_and_the_job_lives(trial: KeeperTrial) -> None:
    """Followed to its end; then it has vanished: no code is made up."""
    run, pid = await both_dead(trial, "/bin/sh", "-c", LOOP)
    await trial.take_over()
    held = trial.found[run]
    assert isinstance(held, Held) and held.followed and held.pid == pid
    (trial.directory / "go").touch()
    assert await trial.wait(run, Vanished) == Vanished(run, pid)
    assert trial.find(run, Ended) is None


async def test_what_is_only_followed_can_be_stopped(trial: KeeperTrial) -> None:
    """By identity; it vanishes all the same."""
    run, pid = await both_dead(trial, "sleep", "600")
    await trial.take_over()
    trial.launcher.stop(run)
    await trial.wait(run, Vanished)
    assert not is_running(pid)


async def test_fault_10_server_keeper_and_job_die(trial: KeeperTrial) -> None:
    """The next server says that it vanished, and cleans up after the acknowledgement."""
    run, pid = await both_dead(trial, "sleep", "600")
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not is_running(pid))
    await trial.take_over()
    assert trial.found[run] == Vanished(run, pid)
    trial.launcher.ack([run])
    await eventually(lambda: len(list(trial.keepers.iterdir())) == 1)


async def test_the_old_keeper_dies_after_it_was_taken_over(trial: KeeperTrial) -> None:
    """Its jobs are followed; nothing is reported as ended that nobody saw."""
    launch = trial.make("/bin/sh", "-c", LOOP)
    server = trial.serve([launch])
    await server.heard("Begun", launch.run)
    keeper = (await server.heard("Keeper"))["pid"]
    await server.kill()
    launcher = await trial.take_over()
    assert not isinstance(trial.found[launch.run], Ended)
    os.kill(keeper, signal.SIGKILL)

    async def followed() -> bool:
        found = (await launcher.recover())[launch.run]
        return isinstance(found, Held) and found.followed

    await eventually(followed)
    (trial.directory / "go").touch()
    await trial.wait(launch.run, Vanished)
    assert trial.find(launch.run, Ended) is None


def forge(trial: KeeperTrial, run: str, who: tree.Identity, *, boot: str | None = None) -> Path:
    """The journal of a keeper that died, which says that this process is the leader of this run."""
    directory = trial.keepers / "feedfacefeedface"
    directory.mkdir(parents=True)
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    forged = journal.Journal(str(directory), journal.Header(directory.name, boot, 1, 1))
    held = {
        "output": trial.path(run, "out"),
        "errors": None,
        "report": trial.path(run, "report"),
        "stop_signal": 15,
        "grace": 0,
        "timeout": None,
    }
    policy = {"deadline": None, "leftovers": "stop", "cap": 1 << 20}
    forged.begin(run, {"at": 1, "boot": boot_us(), "launch": {**held, **policy}})
    forged.append(run, {"pid": who.pid, "ticks": who.start_ticks})
    forged.close()
    return directory


@pytest.fixture(params=[{}, {"JOBMGR_RUN": "forged"}], ids=["unmarked", "marked"])
def stranger(request: pytest.FixtureRequest) -> Iterator[tree.Identity]:
    """A process that is nobody's run and not our child."""
    script = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]
    with subprocess.Popen(script, stdout=subprocess.PIPE, env=request.param, start_new_session=True) as parent:
        assert parent.stdout is not None
        process = tree.find(int(parent.stdout.readline()))
        assert process is not None
        yield process.identity
        os.killpg(parent.pid, signal.SIGKILL)


async def never_signalled(trial: KeeperTrial, stranger: tree.Identity) -> bool:
    """Recover, stop the forged run as hard as can be, and see who lives."""
    await trial.take_over()
    assert trial.found["forged"] == Vanished("forged", stranger.pid)
    trial.launcher.stop("forged", grace_s=0)
    assert (await trial.outcome(true_program())).code == 0
    return tree.is_same(stranger)


@pytest.mark.parametrize("stranger", [{}], indirect=True, ids=["unmarked"])
@pytest.mark.parametrize("offset", [1, 0], ids=["another start", "the same start"])
async def test_fault_17_a_process_that_only_has_the_pid_is_never_signalled(
    trial: KeeperTrial, stranger: tree.Identity, offset: int
) -> None:
    """Neither with another start time nor without the mark of the run."""
    forge(trial, "forged", tree.Identity(stranger.pid, stranger.start_ticks + offset))
    assert await never_signalled(trial, stranger)


async def test_fault_18_another_boot_is_never_matched(trial: KeeperTrial, stranger: tree.Identity) -> None:
    """The same pid and start time, even the mark: after a reboot it is somebody else."""
    forge(trial, "forged", stranger, boot="another-boot")
    assert await never_signalled(trial, stranger)


async def test_fault_29_a_torn_journal_gives_what_is_whole(trial: KeeperTrial, stranger: tree.Identity) -> None:
    """A half-written line and zeros are passed over."""
    directory = forge(trial, "forged", stranger, boot="another-boot")
    path = next(directory.glob("journal.*"))
    data = path.read_bytes()
    whole = data.rstrip(b"\0")
    path.write_bytes(whole + b'1234abcd {"run":"torn","at":' + b"\0" * 5000 + b"garbage\n" * 3)
    assert await never_signalled(trial, stranger)
    assert trial.found.keys() == {"forged"}


async def test_a_silent_keeper_is_no_dead_keeper(trial: KeeperTrial) -> None:
    """Stopped, it keeps its lock: its runs are held, flagged; when it goes on their ends come."""
    launch = trial.make("/bin/sh", "-c", LOOP)
    server = trial.serve([launch])
    begun = await server.heard("Begun", launch.run)
    keeper = (await server.heard("Keeper"))["pid"]
    await server.kill()
    os.kill(keeper, signal.SIGSTOP)
    try:
        await trial.take_over()
        held = trial.found[launch.run]
        assert isinstance(held, Held) and (held.silent, held.pid) == (True, begun["pid"])
        (trial.directory / "go").touch()
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert (await trial.ended(launch.run)).code == 21


async def test_fault_5_what_a_silent_keeper_had_not_begun_never_begins(trial: KeeperTrial) -> None:
    """Launched by the dead server, unknown to the next one's recovery: when the keeper wakes it does not start."""
    server = trial.serve([trial.make("sleep", "600")])
    keeper = (await server.heard("Keeper"))["pid"]
    os.kill(keeper, signal.SIGSTOP)
    late = trial.make("/bin/sh", "-c", "touch begun")
    try:
        server.launch([late])
        await eventually(lambda: len([line for line in server.said if line["kind"] == "Asked"]) == 2)
        await server.kill()
        await trial.take_over()
        assert late.run not in trial.found
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert (await trial.outcome(true_program())).code == 0
    await eventually(lambda: all(report.run != late.run or isinstance(report, Unbegun) for report in trial.reports))
    assert not (trial.directory / "begun").exists()


async def test_a_keeper_with_nothing_to_do_leaves_with_its_server(trial: KeeperTrial) -> None:
    """And takes its directory along."""
    server = trial.serve([])
    keeper = (await server.heard("Keeper"))["pid"]
    await server.kill()
    await eventually(lambda: not is_running(keeper) and list(trial.keepers.iterdir()) == [])


async def test_a_keeper_leaves_when_its_last_job_ended_and_keeps_the_journal(trial: KeeperTrial) -> None:
    """Nobody is there to acknowledge: the end waits in the journal."""
    launch = trial.make("/bin/sh", "-c", "sleep 0.2; exit 8")
    server = trial.serve([launch])
    await server.heard("Begun", launch.run)
    keeper = (await server.heard("Keeper"))["pid"]
    await server.kill()
    await eventually(lambda: not is_running(keeper))
    await trial.take_over()
    ended = trial.found[launch.run]
    assert isinstance(ended, Ended) and ended.code == 8


async def test_a_data_directory_may_have_a_long_name(trial: KeeperTrial) -> None:
    """Longer than the path of a socket may be."""
    trial.keepers = trial.directory / ("d" * 100) / ("e" * 100) / "keepers"
    launch = trial.make("/bin/sh", "-c", LOOP)
    server = trial.serve([launch])
    await server.heard("Begun", launch.run)
    await server.kill()
    await trial.take_over()
    (trial.directory / "go").touch()
    assert (await trial.ended(launch.run)).code == 21


async def test_stop_all_offline_stops_what_living_and_dead_keepers_left(trial: KeeperTrial) -> None:
    """And nothing of another data directory; the ends wait for the next server."""
    dead, pid = await both_dead(trial, "sleep", "600")
    launch = trial.make("sleep", "600")
    server = trial.serve([launch])
    living = (await server.heard("Begun", launch.run))["pid"]
    await server.kill()
    own_keepers, trial.keepers = trial.keepers, trial.directory / "other"
    await trial.start_server()
    foreign = await trial.begun(trial.start("sleep", "600"))
    stopped = await stop_all_offline(own_keepers)
    assert sorted(one.run for one in stopped) == sorted([dead, launch.run])
    assert [one.environment.get("JOBMGR_RUN") for one in stopped] == [one.run for one in stopped]
    assert [is_running(p) for p in (pid, living, foreign.pid)] == [False, False, True]
    assert await stop_all_offline(own_keepers) == []
    trial.keepers = own_keepers
    other = trial.launcher
    await trial.take_over()
    ended = trial.found[launch.run]
    assert isinstance(ended, Ended) and ended.because == "stop"
    assert trial.found[dead] == Vanished(dead, pid)
    other.stop(foreign.run, grace_s=0)
    await trial.ended(foreign.run)


async def test_a_shutdown_of_the_machine_is_told_from_a_crash(trial: KeeperTrial) -> None:
    """After its own SIGTERM what dies unasked by TERM or KILL is the machine's doing; other ends are their own."""
    await trial.start_server()
    killed, asked = trial.start("sleep", "600"), trial.start("sleep", "600")
    coded = trial.shell("until [ -e go ]; do sleep 0.02; done; exit 4")
    pid = (await trial.begun(killed)).pid
    await trial.begun(asked)
    await trial.begun(coded)
    os.kill(trial.keeper, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)
    trial.launcher.stop(asked)
    (trial.directory / "go").touch()
    ends = [await trial.ended(run) for run in (killed, asked, coded)]
    assert [end.because for end in ends] == ["shutdown", "stop", ""]


async def test_no_room_for_the_journal_is_unbegun(trial: KeeperTrial) -> None:
    """Nothing starts that could not be written down; with room again it goes on."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    await trial.start_server()
    resource.prlimit(trial.keeper, resource.RLIMIT_FSIZE, (1000, limits[1]))
    refused = await trial.wait(trial.shell("touch begun"), Unbegun)
    assert refused.error == "No room in the journal: File too large."
    resource.prlimit(trial.keeper, resource.RLIMIT_FSIZE, limits)
    assert (await trial.outcome(true_program())).code == 0
    assert not (trial.directory / "begun").exists()


async def test_an_end_that_cannot_be_written_is_held_and_tried_again(trial: KeeperTrial) -> None:
    """It is reported all the same, and on record as soon as that can be."""
    await trial.start_server()
    run = trial.shell("until [ -e go ]; do sleep 0.02; done; exit 4")
    await trial.begun(run)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(trial.keeper, resource.RLIMIT_FSIZE, (0, limits[1]))
    (trial.directory / "go").touch()
    assert (await trial.ended(run)).code == 4
    directory = next(trial.keepers.iterdir())
    assert "end" not in journal.read(str(directory)).runs[run]
    resource.prlimit(trial.keeper, resource.RLIMIT_FSIZE, limits)
    await eventually(lambda: journal.read(str(directory)).runs[run].get("end", {}).get("code") == 4)


async def test_fault_74_and_75_no_descriptor_is_unbegun(trial: KeeperTrial) -> None:
    """No crash, no failure of the job: it may be tried again and then runs."""
    await trial.start_server()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(trial.keeper, resource.RLIMIT_NOFILE, (12, limits[1]))
    refused = await trial.wait(trial.shell("touch begun"), Unbegun)
    assert "Too many open files" in refused.error
    resource.prlimit(trial.keeper, resource.RLIMIT_NOFILE, limits)
    assert (await trial.outcome(true_program())).code == 0
    assert not (trial.directory / "begun").exists()
