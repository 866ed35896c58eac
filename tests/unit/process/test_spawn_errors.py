"""Sentences about what cannot start, where no real program can show them to every user."""

import errno
from pathlib import Path

from jobmgr.process.spawn_errors import explain, explain_cwd, resolve


def test_fault_71_an_unreadable_working_directory_is_told() -> None:
    """The right is named."""
    assert explain_cwd(errno.EACCES, "/root/x") == "The working directory '/root/x' may not be entered by this user."


def test_fault_69_a_noexec_mount_is_told(tmp_path: Path) -> None:
    """The file is executable and the kernel says no all the same."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    assert "noexec" in explain(errno.EACCES, [str(program)], "/", {})


def test_a_missing_loader_is_told(tmp_path: Path) -> None:
    """A binary for another C library is there and cannot run."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    assert "needs a program loader" in explain(errno.ENOENT, [str(program)], "/", {})


def test_an_interpreter_that_may_not_run_is_named(tmp_path: Path) -> None:
    """The script is fine."""
    script = tmp_path / "script"
    script.write_text(f"#! {tmp_path} -x\n")
    script.chmod(0o755)
    assert explain(errno.EACCES, [str(script)], "/", {}).endswith(
        f"needs the interpreter '{tmp_path}', which may not be executed."
    )


def test_a_name_with_control_characters_forges_no_line() -> None:
    """It is escaped, and long ones are cut."""
    sentence = explain(errno.ENOENT, ["/no\nsuch\x1b[31m"], "/", {})
    assert sentence == "'/no\\nsuch\\x1b[31m' does not exist."
    assert len(explain(errno.ENOENT, ["/" + "x" * 5000], "/", {})) < 300


def test_a_too_long_variable_is_named() -> None:
    """The environment counts like arguments."""
    assert explain(errno.E2BIG, ["/bin/true"], "/", {"BIG": "x" * 140_000}).startswith(
        "Environment variable BIG has 140004 bytes"
    )


def test_path_is_searched_in_order(tmp_path: Path) -> None:
    """The first executable file wins; directories and plain files are passed over."""
    for name in "abc":
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "tool").mkdir()
    (tmp_path / "b" / "tool").write_text("")
    (tmp_path / "c" / "tool").write_text("")
    (tmp_path / "c" / "tool").chmod(0o755)
    path = ":".join(str(tmp_path / name) for name in "abc")
    assert resolve("tool", path, "/") == str(tmp_path / "c" / "tool")
    assert resolve("./tool", path, "/") == "./tool"
    assert resolve("nothing", path, "/") == "nothing"
