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
        (0, "0.00 s"),
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
