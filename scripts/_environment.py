"""Makes or refreshes .venv at the root of the checkout, then becomes the command that a person typed.

How it works: `.venv/jobmgr-environment.json` records which requirements were installed, for which Python. While that equals what pyproject.toml
asks for, nothing is done and no network is needed. Otherwise pip installs what changed, or the whole environment is made anew when there is none,
when its Python is gone or another one, or when an earlier set-up was cut off: the record is away while pip works, so a record means a whole one.

jobmgr itself is made importable by a .pth file that points at the checkout, not by an editable install: that would fetch the build back end
again for nothing, while a .pth is written in a moment, offline, and shows every edit at once. Its path is relative, so a checkout may be moved.

Assumes: a POSIX system, Python 3.11 or newer, started by `_launch` with `python -I -S` (the standard library and nothing else).
Does not: pin versions, touch anything outside .venv (but for the announced apt-get of a root user), or talk to the network when nothing changed.
"""

import signal

# Ctrl+C ends this process in silence, also in the middle of an import; where it is ignored, as below nohup, it stays so.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import errno
import json
import os
import re
import sys
import sysconfig
import tomllib

if sys.platform == "win32":
    sys.exit(
        "jobmgr: on Windows type: py -m venv .venv && .venv\\Scripts\\pip install . && .venv\\Scripts\\jobmgr serve"
    )

import fcntl

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
RECORD = os.path.join(VENV, "jobmgr-environment.json")
RECORD_ASIDE = RECORD + ".aside"  # where the record lies while pip works
PROJECT = os.path.join(ROOT, "pyproject.toml")
SAMPLE = os.path.join(ROOT, "scripts", "jobs", "sample.sh")

# What each command needs of pyproject.toml ("run": the package's own dependencies, else a dependency group), and what it becomes.
# -I: no module comes from where the person happens to stand, nor from a PYTHONPATH that some other program needs.
COMMANDS = {
    "serve": (("run",), ("-I", "-m", "jobmgr", "serve")),
    "jobmgr": (("run",), ("-I", "-m", "jobmgr")),
    "test": (("run", "test", "bench"), ("-I", os.path.join(ROOT, "scripts", "_stages.py"))),
    "bench": (("run", "bench"), ("-I", "-m", "bench")),
    "document": (("run",), ("-I", "-m", "documents")),
}

Requirements = dict[str, list[str]]  # requirements by the name of the group that needs them


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do about it."""


def main() -> None:
    """Make sure of the environment, then replace this process by the command, so that signals reach it."""
    command, *arguments = sys.argv[1:]
    groups, becomes = COMMANDS[command]
    try:
        ensure_environment(groups)
    except SetUpError as error:
        sys.exit(f"jobmgr: {error}")
    if command == "serve":
        supply_sample()
    if "jobmgr" in becomes:  # it lets Ctrl+C through as soon as it can end in silence, see jobmgr/__main__.py
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(VENV_PYTHON, [VENV_PYTHON, *becomes, *arguments])


def ensure_environment(groups: tuple[str, ...]) -> None:
    """Make .venv hold at least the requirements of these groups, whatever it was before."""
    wanted = read_requirements()
    if is_current(wanted, groups):
        return
    with open(
        PROJECT, "rb"
    ) as lock:  # pyproject.toml is its own lock file: always there, and nothing to ignore or clean up
        wait_for(lock.fileno())
        if not is_current(wanted, groups):  # what we waited for may have done it
            set_up(wanted, groups, lock.fileno())


def set_up(wanted: Requirements, groups: tuple[str, ...], lock: int) -> None:
    """Refresh the environment; alone in here Ctrl+C is worth a sentence."""
    silent = signal.getsignal(signal.SIGINT)
    try:
        if silent == signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        refresh(wanted, groups, lock)
    except OSError as error:
        raise SetUpError(word_refusal(error)) from error
    except KeyboardInterrupt:
        say("set-up interrupted; the next call finishes it")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, silent)


def supply_sample() -> None:
    """Give a first start something to run: the sample job, unless the person chose a program. The server says so in its own words."""
    env_file = (
        ".env" if os.path.isfile(".env") else os.path.join(ROOT, ".env")
    )  # the one that jobmgr/environment.py reads
    if os.environ.get("JOB_SCRIPT_PATH") or chooses_program(env_file):
        return
    os.environ["JOB_SCRIPT_PATH"] = SAMPLE


def chooses_program(env_file: str) -> bool:
    """Tell whether this .env file gives JOB_SCRIPT_PATH a value."""
    try:
        with open(env_file, encoding="utf-8", errors="replace") as lines:
            return any(re.match(r"""\s*(export\s+)?JOB_SCRIPT_PATH\s*=\s*["']?[^\s#"']""", line) for line in lines)
    except OSError:
        return False


# --- what is asked for and what is there


def read_requirements() -> Requirements:
    """Read from pyproject.toml what is to be installed, by group."""
    try:
        with open(PROJECT, "rb") as file:
            project = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise SetUpError(f"{PROJECT} is not valid TOML: {error}") from error
    return {"run": project["project"]["dependencies"], **project["dependency-groups"]}


def read_installed() -> Requirements | None:
    """Read what the record says is installed; None when there is no whole environment, or its Python does not run as recorded."""
    try:
        with open(RECORD, encoding="utf-8") as file:
            record = json.load(file)
        return dict(record["installed"]) if record["python"] == venv_python_tag() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_current(wanted: Requirements, groups: tuple[str, ...]) -> bool:
    """Tell whether the environment is whole and what it holds of these groups is what is asked for now."""
    installed = read_installed()
    return installed is not None and all(installed.get(group) == wanted[group] for group in groups)


def venv_python_tag() -> str | None:
    """Name the kind of Python in .venv as compiled packages do (cpython-311): after an upgrade of the machine's Python it is another."""
    if sys.executable == VENV_PYTHON:  # the usual case, and the quick one: we are that Python
        return sys.implementation.cache_tag
    import subprocess  # a start that finds all in order does without it

    ask = [VENV_PYTHON, "-I", "-S", "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# --- making it


def wait_for(lock: int) -> None:
    """Take the lock; one set-up at a time. It is freed by the death of all who hold it, kill -9 included."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another set-up of .venv to end")
        fcntl.flock(lock, fcntl.LOCK_EX)


def refresh(wanted: Requirements, groups: tuple[str, ...], lock: int) -> None:
    """Bring .venv from whatever it is to what is asked for. Killed anywhere in here, the next call starts from an empty one."""
    installed = read_installed()
    if installed is None:
        make_venv(lock)
        installed = {}
    names = [name for name in wanted if name in groups or name in installed]
    requirements = sorted({requirement for name in names for requirement in wanted[name]})
    if os.path.exists(RECORD):
        os.replace(RECORD, RECORD_ASIDE)
    if requirements:
        install(requirements, lock)
    write_path_file()
    write_record({name: wanted[name] for name in names})


def make_venv(lock: int) -> None:
    """Make an empty .venv. It comes without pip: that is quick, works where ensurepip is missing, and `find_installer` adds one if it can."""
    # The machine's Python, not the .venv's that may be running this: its link is removed in a moment.
    python = os.path.realpath(sys.executable)
    if os.path.lexists(VENV):
        import shutil  # a start that finds all in order does without it

        say("removing a .venv that is not whole")
        shutil.rmtree(VENV)
    say(f"making .venv with Python {sys.version.split()[0]} ({python})")
    os.mkdir(VENV)  # so that a checkout in which we may not write is told from a Python that has no venv
    by_venv = [python, "-m", "venv", "--without-pip", VENV]
    by_uv = ["uv", "venv", "--quiet", "--no-project", "--python", python, VENV]
    if run(by_venv, lock, quiet=True) or run(by_uv, lock, quiet=True) or (apt_install(lock) and run(by_venv, lock)):
        return
    raise SetUpError(f"{python} has no working venv module. {one_line()}")


def install(requirements: list[str], lock: int) -> None:
    """Let the first installer that works here bring .venv up to these requirements."""
    installer = find_installer(lock)
    say(f"installing {len(requirements)} packages and what they need into .venv (once; this takes a while)")
    if run([*installer, *requirements], lock):
        return
    if os.path.exists(
        RECORD_ASIDE
    ):  # a refused or offline pip has changed nothing, so the environment is as whole as before
        os.replace(RECORD_ASIDE, RECORD)
    raise SetUpError(
        "the packages could not be installed (the lines above say why); with the network at hand, run this again"
    )


def find_installer(lock: int) -> list[str]:
    """Find what can install into .venv: its own pip, the machine's pip, uv, or as root on Debian what apt-get brings."""
    python = os.path.realpath(VENV_PYTHON)
    pip_install = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    own_pip = [VENV_PYTHON, "-m", "pip"]
    bring_own_pip = [VENV_PYTHON, "-I", "-m", "ensurepip", "--default-pip"]
    machine_pip = [python, "-m", "pip", "--python", VENV_PYTHON]
    if run([*own_pip, "--version"], lock, quiet=True) or run(bring_own_pip, lock, quiet=True):
        return own_pip + pip_install
    if run([*machine_pip, "--version"], lock, quiet=True):  # before 22.3 pip knows no --python and says so by failing
        return machine_pip + pip_install
    if run(["uv", "--version"], lock, quiet=True):
        return ["uv", "pip", "install", "--quiet", "--python", VENV_PYTHON]
    if apt_install(lock) and run(bring_own_pip, lock, quiet=True):
        return own_pip + pip_install
    raise SetUpError(f"{python} has neither ensurepip nor pip, and there is no uv. {one_line()}")


def apt_install(lock: int) -> bool:
    """As root on Debian and its like, install the missing half of venv; tell whether that worked."""
    package = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-venv"]
    if os.geteuid() != 0 or not os.path.exists("/usr/bin/apt-get"):
        return False
    say("running as root: apt-get install -y python3-venv")
    # Quiet at first: a fresh image has no package lists yet, and its complaint about that would only be in the way.
    return run(package, lock, quiet=True) or (run(["apt-get", "update", "-qq"], lock) and run(package, lock))


def run(command: list[str], lock: int, *, quiet: bool = False) -> bool:
    """Run a command of the set-up and tell whether it succeeded; the person sees its errors, or nothing when only the answer counts.

    It inherits the lock: when this process is killed, a pip that goes on still holds it, and the next call waits for that pip.
    """
    import subprocess  # a start that finds all in order does without it

    # Settings of the person that would send packages elsewhere than into .venv; no interpreters from the network.
    environment = {**os.environ, "PIP_USER": "0", "UV_PYTHON_DOWNLOADS": "never", "DEBIAN_FRONTEND": "noninteractive"}
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"):
        environment.pop(name, None)
    errors = subprocess.DEVNULL if quiet else None
    try:
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[lock], check=False
        )
        return ended.returncode == 0
    except FileNotFoundError:
        return False


def write_path_file() -> None:
    """Make `import jobmgr` find the checkout (why a .pth file: the head of this file)."""
    packages = sysconfig.get_path("purelib", "venv", vars={"base": VENV})
    with open(os.path.join(packages, "jobmgr.pth"), "w", encoding="utf-8") as file:
        file.write(os.path.relpath(ROOT, packages) + "\n")


def write_record(installed: Requirements) -> None:
    """Say that the environment is whole; the last step, and done at once."""
    with open(RECORD_ASIDE, "w", encoding="utf-8") as file:
        json.dump({"python": venv_python_tag(), "installed": installed}, file, indent=2)
    os.replace(RECORD_ASIDE, RECORD)


# --- what the person reads


def say(line: str) -> None:
    """Tell the person what goes on; on stderr, for stdout belongs to the command."""
    print(f"jobmgr: {line}", file=sys.stderr, flush=True)


def one_line() -> str:
    """Word the one thing to type where nothing here can make the environment."""
    if os.path.exists("/usr/bin/apt-get"):
        return f"Type: {'' if os.geteuid() == 0 else 'sudo '}apt-get install -y python3-venv"
    return "Install pip for it (often the package python3-pip), then run this again."


def word_refusal(error: OSError) -> str:
    """Word why .venv cannot be written: most often the checkout is another user's, or on a read-only disk."""
    if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"cannot make {VENV}: {error}"
    return (
        f"cannot write {error.filename or VENV} ({error.strerror}), and .venv must be made or refreshed. "
        f"Let the owner of {ROOT} run this once, or work in a copy of your own."
    )


if __name__ == "__main__":
    main()
