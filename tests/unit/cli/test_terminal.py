"""What a person sees: harmless text, amounts and times in words, aligned tables."""

import pytest

from jobmgr.cli import terminal


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain – ünï", "plain – ünï"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nbreak\r", "line\\nbreak\\r"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eabc", "\\u202eabc"),
        ("\udcff", "\\udcff"),
        ("\x7f\x00", "\\x7f\\x00"),
    ],
)
def test_text_cannot_move_a_terminal(text: str, seen: str) -> None:
    """Escape sequences, C1 controls and what reverses writing are shown, not obeyed."""
    assert terminal.shown(text) == seen


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.41234, "0.412 ms"),
        (7.25, "7.25 ms"),
        (120, "120 ms"),
        (999.4, "999 ms"),
        (999.5, "1.00 s"),
        (1234, "1.23 s"),
        (12_340, "12.3 s"),
        (65_000, "1 min 5 s"),
        (3_600_000, "1 h"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_durations_in_words(milliseconds: float | None, text: str) -> None:
    """Two units at most."""
    assert terminal.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 * 1024**4, "5120.0 GiB")],
)
def test_sizes_in_words(count: int | None, text: str) -> None:
    """Powers of 1024."""
    assert terminal.size(count) == text


def test_a_table_to_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No colours, no trailing spaces."""
    terminal.table(("job", "name"), [["job-1", "a"], ["job-100", "b c"]], status=0)
    assert capsys.readouterr().out == "JOB      NAME\njob-1    a\njob-100  b c\n"


def test_a_long_table_is_printed_as_its_rows_come(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, though the widths follow the first ones."""
    count = terminal.WIDTHS_FROM_ROWS * 2
    terminal.table(("n", "name"), ([str(n), "x"] for n in range(count)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == count + 1
    assert lines[-1] == f"{count - 1}  x"


WIDTHS = {"job": 7, "status": 9, "code": 4, "duration": 9, "name": 30}
SPARE = ("duration", "code")


@pytest.mark.parametrize(
    ("room", "fits"),
    [
        (100, WIDTHS),
        (60, {**WIDTHS, "name": 23}),
        (42, {"job": 7, "status": 9, "code": 4, "name": 16}),
        (37, {"job": 7, "status": 9, "name": 17}),
        (10, {"job": 7, "status": 9, "name": terminal.MIN_TEXT}),
    ],
)
def test_a_narrow_table_loses_columns_and_the_end_of_its_text(room: int, fits: dict[str, int]) -> None:
    """Never a part of an id or number: what remains is as wide as it needs."""
    assert terminal.fitting(WIDTHS, SPARE, room=room, text=True) == fits


def test_a_table_without_text_only_loses_columns() -> None:
    """Its last column is no different from the others."""
    widths = {"task": 8, "cpu": 6, "size": 9}
    assert terminal.fitting(widths, ("cpu", "size"), room=20, text=False) == {"task": 8, "size": 9}
    assert terminal.fitting(widths, ("cpu", "size"), room=10, text=False) == {"task": 8}


def test_a_narrow_terminal_shows_ids_and_numbers_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where only a broken line has room for them."""
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "14")
    count = terminal.table(("job", "code", "name"), [["job-1234567", "SIGKILL", "a long name of it"]], spare=("code",))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert count == 1
    assert lines == ["JOB          NAME", "job-1234567  a long name of …"]
