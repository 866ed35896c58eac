"""Why a program could not be started: errno, argv and cwd turned into one sentence that names what to mend.

The kernel says too little: a missing interpreter and a script with CRLF line ends both give ENOENT "for the script". So this looks at the
file, which may have changed since; the errno stays the truth. Opens regular files only, never a FIFO or a device.
Standard library only: the keeper imports it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Mapping, Sequence

MAX_ARGUMENT_BYTES = 131_071
"""Longest single argument that Linux passes (MAX_ARG_STRLEN less its NUL)."""

SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors that say nothing about the program: there was no process, descriptor or room just now."""

_FIRST_LINE_BYTES = 256
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_NAME_BYTES = 200


def resolve(program: str, path: str | None, cwd: str) -> str:
    """What to execute: a name with a slash as it is (from the cwd), else its first executable in PATH, else the name itself."""
    if "/" in program:
        return program
    for directory in (path or _DEFAULT_PATH).split(":"):
        candidate = os.path.join(cwd, directory or ".", program)
        if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
    return program


def explain_cwd(number: int, cwd: str) -> str:
    """Why the working directory could not be entered."""
    reason = {
        errno.ENOENT: "does not exist",
        errno.ENOTDIR: "is not a directory",
        errno.EACCES: "may not be entered by this user",
    }.get(number, os.strerror(number))
    return f"The working directory {_shown(cwd)} {reason}."


def explain(number: int, argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> str:
    """Why this program could not be executed."""
    program = resolve(argv[0], env.get("PATH"), cwd)
    path = os.path.join(cwd, program)
    if number == errno.E2BIG:
        return _too_long(argv, env)
    if "/" not in program:
        return f"There is no program {_shown(program)} in PATH ({env.get('PATH') or _DEFAULT_PATH})."
    if number == errno.ETXTBSY:
        return f"{_shown(program)} is still open for writing somewhere; it cannot be executed until that is closed."
    explained = _explain_file(number, program, path)
    return explained or f"{_shown(program)} could not be started: {os.strerror(number)}."


def foresee(program: str, path: str | None = None) -> str | None:
    """Why this program, a path, could not be started, as far as its file tells before anybody tries; None: nothing speaks against it."""
    if not os.path.exists(program):
        return _explain_file(errno.ENOENT, program, program)
    if not (os.path.isfile(program) and os.access(program, os.X_OK)):
        return _explain_file(errno.EACCES, program, program) or f"{_shown(program)} cannot be executed by this user."
    try:
        with open(program, "rb") as file:
            head = file.read(_FIRST_LINE_BYTES)
    except OSError:
        return None  # May be executed and not be read.
    first = head.split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        # Windows goes by the name. Elsewhere no kernel runs text; what is binary may be of a kind that this machine knows (binfmt_misc).
        is_text = b"\0" not in head and sys.platform != "win32"
        return _explain_content(errno.ENOEXEC, _shown(program), program) if is_text else None
    return _explain_interpreter(errno.ENOENT, _shown(program), first[2:]) or _foresee_env(program, first[2:], path)


def _foresee_env(program: str, line: bytes, path: str | None) -> str | None:
    words = line.decode(errors="replace").split()
    if len(words) != 2 or os.path.basename(words[0]) != "env" or "/" in words[1]:
        return None
    return None if "/" in resolve(words[1], path, "/") else f"{_shown(program)} needs {words[1]}, which is not in PATH."


def _explain_file(number: int, program: str, path: str) -> str | None:  # noqa: PLR0911  One answer a line is easiest to read.
    shown = _shown(program)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return (
            f"{shown} is a link to a file that does not exist." if os.path.islink(path) else f"{shown} does not exist."
        )
    except NotADirectoryError:
        return f"{shown} does not exist: a part of its path is not a directory."
    except PermissionError:
        return f"{shown} cannot be reached: a directory in its path may not be entered by this user."
    except OSError as error:
        return f"{shown} cannot be looked at: {error.strerror}."
    if stat.S_ISDIR(mode):
        return f"{shown} is a directory, not a program."
    if not stat.S_ISREG(mode):
        return f"{shown} is {_kind(mode)}, not a program."
    if number == errno.EACCES and not (mode & 0o111 and os.access(path, os.X_OK)):
        return f"{shown} is not executable by this user; chmod +x it."
    return _explain_content(number, shown, path)


def _explain_content(number: int, shown: str, path: str) -> str | None:  # noqa: PLR0911  As above.
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            first = file.read(_FIRST_LINE_BYTES)
    except OSError:
        return f"{shown} may not be executed: {os.strerror(number)}."
    if first.startswith(b"#!"):
        return _explain_interpreter(number, shown, first[2:].split(b"\n", 1)[0])
    if number == errno.ENOEXEC:
        if not first:
            return f"{shown} is empty."
        if first.startswith(b"\x7fELF"):
            return f"{shown} is a program for another kind of machine or damaged."
        return f"{shown} is not a program for this machine and has no first line like #!/bin/sh."
    if number == errno.EACCES:
        return f"{shown} may not be executed: its file system is mounted noexec or a security policy forbids it."
    if number == errno.ENOENT and first.startswith(b"\x7fELF"):
        return f"{shown} needs a program loader that does not exist here (it was built for another system)."
    return None


def _explain_interpreter(number: int, shown: str, line: bytes) -> str | None:
    words = line.strip(b" \t").split(None, 1)
    if not words:
        return f"{shown} names no interpreter in its first line."
    interpreter = line.strip(b" \t").split(b" ", 1)[0].split(b"\t", 1)[0].decode(errors="replace")
    if interpreter.endswith("\r"):
        return f"{shown} has Windows line ends (CRLF), so its interpreter {_shown(interpreter)} does not exist; convert it to LF."
    if not os.path.exists(interpreter):
        return f"{shown} needs the interpreter {_shown(interpreter)}, which does not exist."
    if number == errno.EACCES:
        return f"{shown} needs the interpreter {_shown(interpreter)}, which may not be executed."
    return None


def _too_long(argv: Sequence[str], env: Mapping[str, str]) -> str:
    strings = [(f"argument {index}", os.fsencode(text)) for index, text in enumerate(argv)]
    strings += [(f"environment variable {name}", os.fsencode(f"{name}={text}")) for name, text in env.items()]
    for what, data in strings:
        if len(data) > MAX_ARGUMENT_BYTES:
            return f"{what[0].upper()}{what[1:]} has {len(data)} bytes; one may have {MAX_ARGUMENT_BYTES} at most."
    total = sum(len(data) + 1 for _, data in strings)
    limit = ""
    if sys.platform != "win32":
        limit = f"; the system takes about {os.sysconf('SC_ARG_MAX')}"
    return f"Arguments and environment have {total} bytes together{limit}."


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    return "a socket" if stat.S_ISSOCK(mode) else "no regular file"


def _shown(text: str) -> str:
    """A name as part of a sentence: quoted, control characters escaped, not endless."""
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= _NAME_BYTES else f"{shown[:_NAME_BYTES]}…"
