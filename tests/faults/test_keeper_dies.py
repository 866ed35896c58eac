"""A keeper is killed: between any two lines, with many runs, again and again; its server lives and loses nothing that it began."""

# ruff: noqa: ASYNC221, ASYNC222, E402  A child of the test is no matter of its event loop; what only Linux has is imported last.

import functools
import os
import signal
import sys
from pathlib import Path

import pytest

from jobmgr.clock import boot_us
from jobmgr.process.launcher import Ended, SpawnFailed, Unbegun
from tests.launching import is_running, present, true_program
from tests.waiting import eventually

if sys.platform != "linux":
    pytest.skip("a keeper needs Linux", allow_module_level=True)

assert sys.platform == "linux"

from tests.faults.keeper_trial import KeeperTrial, keeper_trial

trial = keeper_trial


async def test_fault_9_the_keeper_dies_and_its_job_lives_to_its_true_end(trial: KeeperTrial) -> None:
    """The server becomes the parent, sees the code and the kernel's account."""
    await trial.start_server()
    run = trial.shell("echo ready; read line < gate; exit 42")
    os.mkfifo(trial.directory / "gate")
    await trial.said(run, "ready")
    former = trial.kill_keeper()
    await trial.another_keeper(former)
    (trial.directory / "gate").write_text("go\n")
    ended = await trial.ended(run)
    assert (ended.code, ended.signal, ended.because) == (42, None, "")
    assert ended.usage is not None and ended.usage.cpu_us > 0
    assert ended.output_bytes == len("ready\n")


async def test_fault_10_keeper_and_job_die_together(trial: KeeperTrial) -> None:
    """The server still sees by what the job ended."""
    await trial.start_server()
    run = trial.start("sleep", "600")
    begun = await trial.begun(run)
    trial.kill_keeper()
    os.kill(begun.pid, signal.SIGKILL)
    ended = await trial.ended(run)
    assert (ended.code, ended.signal, ended.pid) == (None, signal.SIGKILL, begun.pid)


async def test_fault_11_the_keeper_dies_with_100_jobs(trial: KeeperTrial) -> None:
    """All codes are kept, and a new keeper goes on."""
    await trial.start_server()
    launches = [trial.make("/bin/sh", "-c", f"until [ -e go ]; do sleep 0.2; done; exit {n}") for n in range(100)]
    trial.launcher.launch(launches)
    for launch in launches:
        await trial.begun(launch.run)
    former = trial.kill_keeper()
    await trial.another_keeper(former)
    (trial.directory / "go").touch()
    assert [(await trial.ended(launch.run)).code for launch in launches] == list(range(100))
    assert (await trial.outcome("/bin/sh", "-c", "exit 3")).code == 3


async def test_the_keeper_dies_amid_100_launches(trial: KeeperTrial) -> None:
    """Each is answered: ended with its own code, or never begun; none began twice."""
    await trial.start_server(crash_at="spawned:37")
    launches = [trial.make("/bin/sh", "-c", f"echo {n} >> begun; exit {n}") for n in range(100)]
    trial.launcher.launch(launches)

    def answered(run: str) -> Ended | Unbegun | None:
        return trial.find(run, Ended) or trial.find(run, Unbegun)

    answers = [await present(functools.partial(answered, launch.run)) for launch in launches]
    codes = [(n, answer.code) for n, answer in enumerate(answers) if isinstance(answer, Ended)]
    assert [code for _, code in codes] == [n for n, _ in codes]
    assert len(codes) >= 36
    lines = sorted(map(int, (trial.directory / "begun").read_text().split()))
    assert lines == sorted(n for n, _ in codes)


@pytest.mark.parametrize("program", ["/bin/sh", "./shell"])
@pytest.mark.parametrize("point", ["spawned", "ended", "reaped", "recorded"])
async def test_the_keeper_dies_between_two_lines_and_the_code_is_true(
    trial: KeeperTrial, point: str, program: str
) -> None:
    """After the program was started there is one end, with the code that it returned."""
    trial.directory.joinpath("shell").symlink_to("/bin/sh")
    await trial.start_server(crash_at=point)
    former = trial.keeper
    run = trial.start(program, "-c", "echo once >> begun; exit 7")
    ended = await trial.ended(run)
    assert (ended.code, ended.signal) == (7, None)
    assert (ended.usage is None) == (point == "reaped")
    assert (trial.directory / "begun").read_text() == "once\n"
    assert await trial.another_keeper(former)
    assert (await trial.outcome(true_program())).code == 0


async def test_the_keeper_dies_before_it_starts_the_program(trial: KeeperTrial) -> None:
    """Then it never began, which is certain, and it may be tried again."""
    await trial.start_server(crash_at="begun")
    run = trial.shell("echo once >> begun; exit 7")
    await trial.wait(run, Unbegun)
    assert not (trial.directory / "begun").exists()
    again = trial.shell("echo once >> begun; exit 7")
    assert (await trial.ended(again)).code == 7


async def test_the_keeper_dies_after_the_start_of_a_long_program(trial: KeeperTrial) -> None:
    """It is found by its mark, and can be stopped."""
    await trial.start_server(crash_at="spawned")
    run = trial.start("sleep", "600")
    begun = await trial.begun(run)
    assert is_running(begun.pid)
    trial.launcher.stop(run)
    ended = await trial.ended(run)
    assert (ended.pid, ended.signal, ended.because) == (begun.pid, signal.SIGTERM, "stop")


async def test_launches_wait_for_the_next_keeper(trial: KeeperTrial) -> None:
    """What is asked while there is none is begun by the next, or answered as unbegun; nothing is forgotten."""
    await trial.start_server()
    trial.kill_keeper()
    runs = [trial.start(true_program()) for _ in range(5)]
    await eventually(lambda: all(trial.find(run, Ended) or trial.find(run, Unbegun) for run in runs))
    assert (await trial.outcome(true_program())).code == 0


async def test_a_stop_under_way_goes_on_when_the_keeper_dies(trial: KeeperTrial) -> None:
    """The request is on record, so its reason is kept and the kill still comes."""
    await trial.start_server()
    run = trial.shell("trap 'echo heard' TERM; echo ready; while :; do sleep 0.05; done", stop_timeout_s=0.7)
    await trial.said(run, "ready")
    trial.launcher.stop(run, "checkpoint")
    await trial.said(run, "heard")
    trial.kill_keeper()
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGKILL, "checkpoint")


async def test_a_timeout_is_kept_when_the_keeper_dies(trial: KeeperTrial) -> None:
    """The server keeps the clock then."""
    await trial.start_server()
    run = trial.start("sleep", "600", timeout_s=0.8)
    await trial.begun(run)
    trial.kill_keeper()
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGTERM, "timeout")
    assert ended.duration_us >= 800_000


async def test_pause_and_signal_work_when_the_keeper_is_dead(trial: KeeperTrial) -> None:
    """The server does it itself."""
    await trial.start_server()
    run = trial.shell(
        "trap 'exit 9' USR1; echo ready; while :; do :; done"
    )  # No children: a shell stopped in vfork shows D.
    await trial.said(run, "ready")
    pid = (await trial.begun(run)).pid
    await trial.another_keeper(trial.kill_keeper())
    trial.launcher.pause(run)
    await eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    trial.launcher.resume(run)
    trial.launcher.signal(run, signal.SIGUSR1)
    assert (await trial.ended(run)).code == 9


async def test_daemons_are_found_when_the_keeper_is_dead(trial: KeeperTrial) -> None:
    """A stop still takes the whole tree."""
    await trial.start_server()
    run = trial.shell("setsid sh -c 'setsid sleep 600 & echo $!' & wait; sleep 600", stop_timeout_s=0.2)
    daemon = int(await trial.said(run, "\n"))
    await trial.another_keeper(trial.kill_keeper())
    trial.launcher.stop(run)
    await trial.ended(run)
    assert not is_running(daemon)


async def test_a_refusal_before_the_death_is_kept(trial: KeeperTrial) -> None:
    """What failed has failed."""
    await trial.start_server()
    run = trial.start("/no/such/program")
    await trial.wait(run, SpawnFailed)
    former = trial.kill_keeper()
    await trial.another_keeper(former)
    assert trial.find(run, Unbegun) is None


async def test_nothing_is_left_of_a_dead_keeper_when_all_is_committed(trial: KeeperTrial) -> None:
    """Its directory goes with the last acknowledgement."""
    await trial.start_server()
    run = trial.start(true_program())
    await trial.ended(run)
    former = trial.kill_keeper()
    await trial.another_keeper(former)
    assert len(list(trial.keepers.iterdir())) == 2
    trial.launcher.ack([run])
    await eventually(lambda: len(list(trial.keepers.iterdir())) == 1)


async def test_children_of_the_server_itself_are_never_reaped_by_mistake(trial: KeeperTrial) -> None:
    """The server may have other children; their codes stay theirs."""
    await trial.start_server()
    other = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 33"], {}, setsid=True)
    run = trial.start("sleep", "600")
    await trial.begun(run)
    await trial.another_keeper(trial.kill_keeper())
    looks = boot_us() + 2_500_000  # Longer than two of the looks that reap what jobs left behind.
    await eventually(lambda: boot_us() > looks)
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 33
