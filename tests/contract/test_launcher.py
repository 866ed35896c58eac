"""What every launcher keeps to: one suite over the keeper launcher and the direct one. Where they may differ, the test says so."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import asyncio
import errno
import fcntl
import os
import resource
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmgr.clock import boot_us
from jobmgr.process.launcher import Begun, Ended, Launcher, SpawnFailed, Unbegun
from tests.launching import ENVIRONMENT, Trial, is_running, true_program
from tests.waiting import eventually

if sys.platform != "linux":
    pytest.skip("programs and signals of Linux", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process.direct import DirectLauncher
from jobmgr.process.keepers import KeeperLauncher

DAEMON = "import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
"""Becomes a daemon by the book: what follows runs with a parent, session and group of nobody's."""


def make_launcher(kind: str, trial: Trial) -> Launcher:
    """One of the launchers, for this trial."""
    if kind == "keeper":
        return KeeperLauncher(trial.keepers, environment=ENVIRONMENT, on_reports=trial.on_reports)
    return DirectLauncher(environment=ENVIRONMENT, on_reports=trial.on_reports)


@pytest.fixture(params=["keeper", "direct"])
async def trial(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Trial]:
    """A launcher of each kind, with nothing left running afterwards."""
    trial = Trial(tmp_path)
    await trial.open(make_launcher(request.param, trial))
    yield trial
    await stop_all(trial)


@pytest.fixture
async def keeper_trial(tmp_path: Path) -> AsyncIterator[Trial]:
    """For what only a keeper can give: asyncio keeps usage and core dumps to itself and places no descriptor."""
    trial = Trial(tmp_path)
    await trial.open(make_launcher("keeper", trial))
    yield trial
    await stop_all(trial)


async def stop_all(trial: Trial) -> None:
    """Leave nothing running."""
    running = {report.run for report in trial.reports if isinstance(report, Begun)}
    for run in running:
        trial.launcher.stop(run, grace_s=0)
    await eventually(lambda: all(trial.find(run, Ended) for run in running))
    trial.launcher.ack(sorted({report.run for report in trial.reports}))
    await trial.launcher.close()


def keeps_accounts(trial: Trial) -> bool:
    """The direct launcher does not learn usage."""
    return trial.launcher.survives


# --- start and true end


async def test_a_run_begins_and_ends(trial: Trial) -> None:
    """Begun comes before Ended, both tell the same pid and start."""
    run = trial.start(true_program())
    ended = await trial.ended(run)
    begun = await trial.begun(run)
    assert [type(report) for report in trial.reports] == [Begun, Ended]
    assert (begun.pid, begun.started_at) == (ended.pid, ended.started_at)
    assert (ended.code, ended.signal, ended.because) == (0, None, "")
    assert 0 < ended.duration_us < 10_000_000
    assert ended.started_at <= ended.ended_at


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 137, 143, 255])
async def test_an_exit_code_is_that_code(trial: Trial, code: int) -> None:
    """Codes above 128 are codes, not signals."""
    ended = await trial.ended(trial.shell(f"exit {code}"))
    assert (ended.code, ended.signal) == (code, None)


async def test_fault_49_exit_137_is_told_from_sigkill(trial: Trial) -> None:
    """One has a code and no signal, the other a signal and no code."""
    exited, killed = trial.shell("exit 137"), trial.shell("kill -KILL $$")
    first, second = await trial.ended(exited), await trial.ended(killed)
    assert (first.code, first.signal) == (137, None)
    assert (second.code, second.signal) == (None, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN, signal.SIGRTMAX, signal.SIGPIPE])
async def test_fault_49_the_signal_that_ended_it_is_named(trial: Trial, number: int) -> None:
    """Real-time signals too, and those that Python ignores in itself."""
    ended = await trial.ended(trial.shell(f"kill -{int(number)} $$"))
    assert (ended.code, ended.signal) == (None, number)


async def test_fault_49_a_core_dump_is_told(keeper_trial: Trial) -> None:
    """An abort with a core dump says so, one without does not."""
    trial = keeper_trial
    code = "import os,resource as r\ntry: r.setrlimit(r.RLIMIT_CORE, ({0}, {0}))\nfinally: os.abort()"
    dump, plain = (trial.python(code.format(limit)) for limit in (1 << 30, 0))
    may_dump = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_CORE)[1] >= 1 << 30
    assert (await trial.ended(dump)).core_dumped is may_dump
    assert (await trial.ended(plain)).core_dumped is False
    assert (await trial.ended(plain)).signal == signal.SIGABRT


async def test_many_runs_each_end_with_their_own_code(trial: Trial) -> None:
    """A batch of launches keeps its answers apart."""
    launches = [trial.make("/bin/sh", "-c", f"exit {code}") for code in range(40)]
    trial.launcher.launch(launches)
    assert [(await trial.ended(launch.run)).code for launch in launches] == list(range(40))


# --- what cannot start


async def refusal(trial: Trial, *argv: str, **fields: str) -> SpawnFailed:
    """Launch what cannot start."""
    return await trial.wait(trial.start(*argv, **fields), SpawnFailed)


async def test_fault_68_a_missing_program_is_named(trial: Trial) -> None:
    """ENOENT, with the path."""
    failed = await refusal(trial, "/no/such/program")
    assert (failed.errno, failed.error) == (errno.ENOENT, "'/no/such/program' does not exist.")


async def test_fault_68_a_missing_command_is_looked_for_in_path(trial: Trial) -> None:
    """A name without slash is looked up in the job's PATH, which the sentence shows."""
    failed = await refusal(trial, "no-such-command")
    assert failed.errno == errno.ENOENT
    assert "no program 'no-such-command' in PATH (" in failed.error


async def test_fault_68_a_directory_is_no_program(trial: Trial) -> None:
    """EACCES, said as what it is."""
    failed = await refusal(trial, str(trial.directory))
    assert failed.errno == errno.EACCES
    assert failed.error.endswith("is a directory, not a program.")


async def test_fault_68_a_dangling_link_is_told(trial: Trial) -> None:
    """A link to nothing is not just missing."""
    (trial.directory / "link").symlink_to("nothing")
    failed = await refusal(trial, str(trial.directory / "link"))
    assert failed.errno == errno.ENOENT
    assert failed.error.endswith("is a link to a file that does not exist.")


async def test_fault_68_a_fifo_is_refused_without_waiting(trial: Trial) -> None:
    """Nobody opens it, so nobody hangs."""
    os.mkfifo(trial.directory / "fifo", 0o755)
    failed = await refusal(trial, str(trial.directory / "fifo"))
    assert failed.errno == errno.EACCES
    assert failed.error.endswith("is a FIFO, not a program.")


async def test_fault_68_a_device_is_refused(trial: Trial) -> None:
    """A device is no program."""
    failed = await refusal(trial, "/dev/zero")
    assert failed.errno == errno.EACCES
    assert failed.error == "'/dev/zero' is a device, not a program."


async def test_fault_69_a_file_that_is_not_executable_says_what_to_do(trial: Trial) -> None:
    """EACCES, with the remedy."""
    failed = await refusal(trial, trial.script("plain.sh", "#!/bin/sh\n", 0o644))
    assert failed.errno == errno.EACCES
    assert failed.error.endswith("is not executable by this user; chmod +x it.")


async def test_fault_70_a_missing_interpreter_is_named(trial: Trial) -> None:
    """The kernel blames the script; the sentence names the interpreter."""
    failed = await refusal(trial, trial.script("bad.sh", "#!/no/such/shell -e\necho hi\n"))
    assert failed.errno == errno.ENOENT
    assert failed.error.endswith("needs the interpreter '/no/such/shell', which does not exist.")


async def test_fault_70_crlf_in_the_first_line_is_named(trial: Trial) -> None:
    """A script from Windows says so."""
    failed = await refusal(trial, trial.script("crlf.sh", "#!/bin/sh\r\necho hi\r\n"))
    assert failed.errno == errno.ENOENT
    assert "Windows line ends (CRLF)" in failed.error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("echo hi\n", "no first line like #!/bin/sh"),
        ("", "is empty"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 200, "another kind of machine"),
    ],
    ids=["no shebang", "empty", "wrong machine"],
)
async def test_fault_70_no_shell_is_tried_instead(trial: Trial, content: str | bytes, words: str) -> None:
    """ENOEXEC stays an error, explained."""
    failed = await refusal(trial, trial.script("odd", content))
    assert failed.errno == errno.ENOEXEC
    assert words in failed.error


async def test_fault_71_a_missing_working_directory_is_told_from_a_missing_program(trial: Trial) -> None:
    """The sentence is about the directory."""
    failed = await refusal(trial, true_program(), cwd=str(trial.directory / "gone"))
    assert failed.errno == errno.ENOENT
    assert failed.error.startswith("The working directory '") and failed.error.endswith("' does not exist.")


async def test_fault_71_a_file_as_working_directory_is_told(trial: Trial) -> None:
    """ENOTDIR, about the working directory."""
    failed = await refusal(trial, true_program(), cwd=trial.script("file", ""))
    assert failed.errno == errno.ENOTDIR
    assert failed.error.endswith("is not a directory.")


async def test_fault_66_a_too_long_argument_is_told_with_the_limit(trial: Trial) -> None:
    """131,071 bytes pass, 131,072 do not."""
    assert (await trial.outcome(true_program(), "x" * 131_071)).code == 0
    failed = await refusal(trial, true_program(), "x" * 131_072)
    assert failed.errno == errno.E2BIG
    assert failed.error == "Argument 1 has 131072 bytes; one may have 131071 at most."


async def test_fault_66_too_many_arguments_are_told_with_the_limit(trial: Trial) -> None:
    """The total counts too."""
    failed = await refusal(trial, true_program(), *["x" * 100_000] * 80)
    assert failed.errno == errno.E2BIG
    assert "bytes together" in failed.error


async def test_fault_66_a_hundred_thousand_arguments_pass(trial: Trial) -> None:
    """Short ones fit."""
    assert (await trial.outcome("/bin/sh", "-c", '[ "$#" = 99999 ]', *["x"] * 100_000)).code == 0


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"], ids=["NUL", "lone surrogate"])
async def test_fault_67_what_cannot_be_passed_is_refused(trial: Trial, argument: str) -> None:
    """The API refuses it before; a launcher does not break on it either."""
    failed = await refusal(trial, true_program(), argument)
    assert failed.errno == errno.EINVAL
    assert (await trial.outcome(true_program())).code == 0


async def test_fault_72_a_busy_program_is_tried_again_until_it_is_closed(trial: Trial) -> None:
    """Right after an upload some fork may still have it open for writing."""
    path = trial.script("fresh.sh", "#!/bin/sh\nexit 7\n")
    writer = os.open(path, os.O_WRONLY)
    run = trial.start(path)
    asyncio.get_running_loop().call_later(0.2, os.close, writer)
    assert (await trial.ended(run)).code == 7


async def test_fault_72_a_program_that_stays_busy_is_an_error(trial: Trial) -> None:
    """After about a second, ETXTBSY with a sentence."""
    path = trial.script("held.sh", "#!/bin/sh\nexit 7\n")
    with open(path, "ab"):
        failed = await refusal(trial, path)
    assert failed.errno == errno.ETXTBSY
    assert "still open for writing" in failed.error


async def test_fault_75_no_file_to_be_had_is_unbegun(trial: Trial) -> None:
    """That is no fault of the program: it may be tried again."""
    launch = trial.make(true_program(), run="gone/away")
    trial.launcher.launch([launch])
    unbegun = await trial.wait("gone/away", Unbegun)
    assert "No such file or directory" in unbegun.error


# --- what a program sees


async def test_output_and_errors_share_one_file_in_true_order(trial: Trial) -> None:
    """What is written first stands first, whichever stream it came by."""
    run = trial.shell("echo one; echo two >&2; echo three; echo four >&2")
    ended = await trial.ended(run)
    assert trial.output(run) == "one\ntwo\nthree\nfour\n"
    assert ended.output_bytes == len(trial.output(run))


async def test_errors_may_have_a_file_of_their_own(trial: Trial) -> None:
    """Then output holds the output only."""
    errors = str(trial.directory / "errors")
    run = trial.shell("echo out; echo err >&2", errors=errors)
    await trial.ended(run)
    assert (trial.output(run), Path(errors).read_text()) == ("out\n", "err\n")


async def test_output_is_appended(trial: Trial) -> None:
    """What stands in the file stays."""
    launch = trial.make("/bin/sh", "-c", "echo new")
    Path(launch.output).write_text("old\n")
    trial.launcher.launch([launch])
    await trial.ended(launch.run)
    assert trial.output(launch.run) == "old\nnew\n"


async def test_standard_input_is_empty_or_a_file(trial: Trial) -> None:
    """Without one it reads the end of file at once."""
    source = trial.script("input", "hello\n")
    empty, full = trial.start("cat"), trial.start("cat", stdin=source)
    await trial.ended(empty)
    await trial.ended(full)
    assert (trial.output(empty), trial.output(full)) == ("", "hello\n")


async def test_the_report_file_is_open_at_fd_3(keeper_trial: Trial) -> None:
    """A program reports by writing lines there."""
    trial = keeper_trial
    run = trial.shell("echo 50 >&3; echo 100 >&3")
    await trial.ended(run)
    assert Path(trial.path(run, "report")).read_text() == "50\n100\n"


async def test_the_environment_is_clean(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base, the launch's own, and the mark: nothing else of the server's."""
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    run = trial.start("env", env={"MINE": "ä = 1", "LANG": "C"})
    await trial.ended(run)
    seen = dict(line.split("=", 1) for line in trial.output(run).splitlines())
    assert seen == {"PATH": ENVIRONMENT["PATH"], "LANG": "C", "MINE": "ä = 1", "JOBMGR_RUN": run}


async def test_fault_76_only_descriptors_0_to_3_are_open(trial: Trial) -> None:
    """No lock, socket or journal leaks into a job."""
    with open(__file__) as leak:
        fcntl.fcntl(leak, fcntl.F_SETFD, 0)
        run = trial.python("import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd')))")
        await trial.ended(run)
    fds = eval(trial.output(run))
    assert set(fds[:-1]) <= {0, 1, 2, 3}  # The last is the listing's own.


async def test_a_program_leads_a_session_of_its_own(trial: Trial) -> None:
    """Nothing of the server's terminal or group reaches it."""
    run = trial.python("import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))")
    await trial.ended(run)
    assert trial.output(run) == "True\n"


async def test_signals_are_as_a_shell_would_set_them(trial: Trial) -> None:
    """Nothing is ignored or blocked, not even what Python and the keeper ignore for themselves."""
    run = trial.start("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")
    await trial.ended(run)
    _, blocked, _, ignored = trial.output(run).split()
    of_the_c_library = (
        0b11 << 31
    )  # 32 and 33: nobody but the C library may set them, so they stay as this test found them.
    assert (int(blocked, 16), int(ignored, 16) & ~of_the_c_library) == (0, 0)


async def test_the_working_directory_is_the_launchs(trial: Trial) -> None:
    """Also as what a relative program name starts from."""
    trial.script("here.sh", "#!/bin/sh\npwd -P\n")
    run = trial.start("./here.sh")
    await trial.ended(run)
    assert trial.output(run).strip() == os.path.realpath(trial.directory)


async def test_the_servers_umask_is_the_jobs(trial: Trial) -> None:
    """The keeper's own files are private, the job's are as the person set it."""
    run = trial.shell("umask")
    await trial.ended(run)
    mask = os.umask(0)
    os.umask(mask)
    assert int(trial.output(run), 8) == mask


# --- usage


async def test_usage_is_the_kernels_account(trial: Trial) -> None:
    """CPU time of the program and the children it waited for, memory of the largest."""
    if not keeps_accounts(trial):
        assert (await trial.outcome(true_program())).usage is None
        return
    code = "b = bytearray(150 << 20)\nimport time\nwhile time.process_time() < 0.3: pass"
    ended = await trial.ended(trial.shell(f'{shlex.quote(sys.executable)} -c "$CODE"; exit 0', env={"CODE": code}))
    assert ended.usage is not None
    assert 300_000 <= ended.usage.cpu_us <= ended.duration_us * 2
    assert 150 << 20 <= ended.usage.peak_rss_bytes < 400 << 20


async def test_usage_counts_what_is_written(keeper_trial: Trial) -> None:
    """In bytes, as the kernel charges them."""
    trial = keeper_trial
    ended = await trial.ended(trial.shell("dd if=/dev/zero of=big bs=1M count=8 conv=fsync 2>/dev/null"))
    assert ended.usage is not None
    assert ended.usage.write_bytes >= 8 << 20 or _is_memory(trial.directory)


def _is_memory(directory: Path) -> bool:
    """Tmpfs is never charged for writing."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    at = max((m for m in mounts if str(directory).startswith(m[1])), key=lambda m: len(m[1]))
    return at[2] in ("tmpfs", "overlay")


# --- stop


async def test_a_stop_is_said_and_ends_it(trial: Trial) -> None:
    """By the stop signal; `because` says who ended it."""
    run = trial.start("sleep", "60")
    await trial.begun(run)
    trial.launcher.stop(run)
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGTERM, "stop")


async def test_a_program_may_answer_a_stop_with_its_own_code(trial: Trial) -> None:
    """The code is kept, and so is the reason."""
    run = trial.shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    await trial.said(run, "ready")
    trial.launcher.stop(run, "checkpoint")
    ended = await trial.ended(run)
    assert (ended.code, ended.because) == (5, "checkpoint")


async def test_another_stop_signal_may_be_asked_for(trial: Trial) -> None:
    """Per launch, or per stop."""
    first, second = trial.start("sleep", "60", stop_signal=int(signal.SIGINT)), trial.start("sleep", "60")
    await trial.begun(first)
    await trial.begun(second)
    trial.launcher.stop(first)
    trial.launcher.stop(second, signal=signal.SIGUSR1)
    assert (await trial.ended(first)).signal == signal.SIGINT
    assert (await trial.ended(second)).signal == signal.SIGUSR1


async def test_fault_44_who_ignores_term_is_killed_after_the_grace(trial: Trial) -> None:
    """Not before it, and with the signal named."""
    run = trial.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", stop_timeout_s=0.3)
    await trial.said(run, "ready")
    before = boot_us()
    trial.launcher.stop(run)
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGKILL, "stop")
    assert boot_us() - before >= 300_000


async def test_a_second_stop_shortens_the_grace(trial: Trial) -> None:
    """And a third cannot lengthen it again; the first reason stays."""
    run = trial.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", stop_timeout_s=3600)
    await trial.said(run, "ready")
    trial.launcher.stop(run, "stop")
    trial.launcher.stop(run, "checkpoint", grace_s=0.05)
    trial.launcher.stop(run, grace_s=3600)
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGKILL, "stop")


async def test_fault_42_double_forked_daemon_is_found_and_killed(trial: Trial) -> None:
    """A stop takes a daemon of its own session along, also one that ignores TERM."""
    code = DAEMON + "import signal\nsignal.signal(15, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\ntime.sleep(600)"
    run = trial.shell(f'{shlex.quote(sys.executable)} -c "$CODE"; sleep 600', env={"CODE": code}, stop_timeout_s=0.2)
    pid = int(await trial.said(run, "\n"))
    trial.launcher.stop(run)
    ended = await trial.ended(run)
    assert not is_running(pid)
    assert ended.leftovers >= 1


async def test_fault_43_a_daemon_without_environment_is_found(keeper_trial: Trial) -> None:
    """It closed everything, cleared its environment and left the session: it came back to us as an orphan."""
    trial = keeper_trial
    code = (
        DAEMON + "print(os.getpid(), flush=True)\nos.closerange(0, 64)\nos.execve('/bin/sleep', ['sleep', '600'], {})"
    )
    run = trial.shell(f'{shlex.quote(sys.executable)} -c "$CODE"; sleep 600', env={"CODE": code}, stop_timeout_s=0.2)
    pid = int(await trial.said(run, "\n"))
    await eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    trial.launcher.stop(run)
    await trial.ended(run)
    assert not is_running(pid)


async def test_fault_45_what_spawns_during_the_kill_is_killed_too(trial: Trial) -> None:
    """A loop that starts sleepers in new sessions, and ignores TERM, leaves nothing."""
    script = "trap '' TERM; echo ready; while :; do setsid sh -c 'trap \"\" TERM; sleep 600' & sleep 0.01; done"
    run = trial.shell(script, stop_timeout_s=0.2)
    await trial.said(run, "ready")
    trial.launcher.stop(run)
    await trial.ended(run)
    assert marked(run) == []


async def test_fault_48_a_stop_right_after_the_launch_ends_it_or_it_never_runs(trial: Trial) -> None:
    """Whichever step it meets, nothing runs afterwards."""
    runs = [trial.start("sleep", "600") for _ in range(20)]
    for run in runs:
        trial.launcher.stop(run, grace_s=0.1)
    await eventually(lambda: all(trial.find(run, Ended) or trial.find(run, Unbegun) for run in runs))
    assert [marked(run) for run in runs] == [[]] * 20


def marked(run: str) -> list[int]:
    """Living processes with the mark of this run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"JOBMGR_RUN={run}".encode() in path.read_bytes().split(b"\0") and is_running(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def test_an_unknown_run_is_ignored(trial: Trial) -> None:
    """Verbs come late sometimes."""
    trial.launcher.stop("nobody")
    trial.launcher.signal("nobody", 9)
    trial.launcher.pause("nobody")
    trial.launcher.resume("nobody")
    trial.launcher.ack(["nobody"])
    assert (await trial.outcome(true_program())).code == 0


async def test_a_signal_reaches_the_leader(trial: Trial) -> None:
    """And only that one."""
    run = trial.shell("trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.01; done")
    await trial.said(run, "ready")
    trial.launcher.signal(run, signal.SIGUSR1)
    ended = await trial.ended(run)
    assert (ended.code, ended.because) == (3, "")


# --- leftovers


async def test_fault_51_the_end_is_reported_at_once_and_leftovers_are_stopped(trial: Trial) -> None:
    """A grandchild that holds the output does not hold up the end."""
    run = trial.shell("trap '' TERM; sleep 600 & echo $!; exit 4", stop_timeout_s=0.5)
    ended = await trial.ended(run)
    assert (ended.code, ended.because, ended.leftovers) == (4, "", 1)
    pid = int(trial.output(run))
    await eventually(lambda: not is_running(pid))


async def test_leftovers_may_be_kept(trial: Trial) -> None:
    """Then they are reported and left alone."""
    run = trial.shell("sleep 600 & echo $!; exit 0", leftovers="keep")
    ended = await trial.ended(run)
    pid = int(trial.output(run))
    other = await trial.outcome(true_program())
    try:
        assert ended.leftovers == 1
        assert other.leftovers == 0
        assert is_running(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_daemons_of_other_runs_are_left_alone(trial: Trial) -> None:
    """The end of one run looks at the leftovers of that run only."""
    first = trial.shell("setsid sleep 600 & echo $!; sleep 600")
    pid = int(await trial.said(first, "\n"))
    second = trial.shell("setsid sleep 600 & exit 0", stop_timeout_s=0)
    assert (await trial.ended(second)).leftovers == 1
    await eventually(lambda: marked(second) == [])
    assert is_running(pid)


# --- clocks and pause


async def test_a_timeout_ends_it(trial: Trial) -> None:
    """And is named as the reason."""
    ended = await trial.outcome("sleep", "60", timeout_s=0.2)
    assert (ended.signal, ended.because) == (signal.SIGTERM, "timeout")
    assert ended.duration_us >= 200_000


async def test_a_deadline_ends_it(trial: Trial) -> None:
    """An instant on the boot clock, also one that is past."""
    later, past = (trial.start("sleep", "60", deadline_us=boot_us() + delta) for delta in (300_000, -1))
    assert (await trial.ended(later)).because == "deadline"
    assert (await trial.ended(past)).because == "deadline"


async def test_a_pause_freezes_the_tree_and_its_timeout(trial: Trial) -> None:
    """Frozen past its timeout it lives; resumed, it goes on and times out."""
    # exec: a shell that was stopped amid vfork waits for its stopped child, and is frozen in another state than T.
    run = trial.shell("sleep 600 & echo $!; exec sleep 600", timeout_s=2.0)
    child = int(await trial.said(run, "\n"))
    trial.launcher.pause(run)
    leader = (await trial.begun(run)).pid
    await eventually(lambda: state(child) == state(leader) == "T")
    frozen_until = boot_us() + 2_300_000
    await eventually(lambda: boot_us() > frozen_until)
    assert trial.find(run, Ended) is None
    trial.launcher.resume(run)
    assert (await trial.ended(run)).because == "timeout"


async def test_fault_46_a_paused_run_can_be_stopped(trial: Trial) -> None:
    """It is woken to hear the signal."""
    run = trial.start("sleep", "60")
    pid = (await trial.begun(run)).pid
    trial.launcher.pause(run)
    await eventually(lambda: state(pid) == "T")
    trial.launcher.stop(run)
    ended = await trial.ended(run)
    assert (ended.signal, ended.because) == (signal.SIGTERM, "stop")


def state(pid: int) -> str:
    """The kernel's letter for what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# --- output


async def test_fault_52_a_program_may_close_its_output(trial: Trial) -> None:
    """It runs on to its own end."""
    run = trial.shell("exec >&- 2>&-; sleep 0.1; exit 6")
    assert (await trial.ended(run)).code == 6


async def test_fault_52_a_program_may_delete_its_log(trial: Trial) -> None:
    """It runs on to its own end."""
    launch = trial.make("/bin/sh", "-c", 'rm "$LOG"; echo on; exit 6', env={"LOG": trial.path("log", "out")}, run="log")
    trial.launcher.launch([launch])
    assert (await trial.ended("log")).code == 6


async def test_fault_53_output_past_its_cap_loses_its_middle_only(trial: Trial) -> None:
    """Offsets stay, head and tail are kept, the disk is given back."""
    cap = 1 << 20
    code = "import sys,time\nfor n in range(100000): sys.stdout.write(f'{n:099d}\\n')\nsys.stdout.flush()\nsys.stdin.read(); time.sleep(600)"
    run = trial.python(code, output_cap_bytes=cap)
    path = Path(trial.path(run, "out"))
    await eventually(
        lambda: path.exists() and path.stat().st_size == 10_000_000 and path.stat().st_blocks * 512 <= cap + 65536
    )
    data = path.read_bytes()
    assert len(data) == 10_000_000
    assert data[: cap // 2 - 4096] == b"".join(b"%099d\n" % n for n in range(10_000))[: cap // 2 - 4096]
    assert data[-cap // 2 :] == b"".join(b"%099d\n" % n for n in range(90_000, 100_000))[-cap // 2 :]
    assert data[cap // 2 : 9_000_000].count(0) == len(data[cap // 2 : 9_000_000])


# --- letting go


async def test_closing_twice_is_fine(trial: Trial) -> None:
    """And launching afterwards is answered."""
    await trial.launcher.close()
    await trial.launcher.close()
