"""What `run` and `wait` end with tells how the job ended."""

from typing import Any

import pytest

from jobmgr.cli import exits


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"status": "completed", "exitCode": 0}, 0),
        ({"status": "completed", "exitCode": 4}, 4),
        ({"status": "crashed", "cause": "exit", "exitCode": 3}, 3),
        ({"status": "crashed", "cause": "exit", "exitCode": 0}, 1),
        ({"status": "crashed", "cause": "signal", "signal": "SIGKILL"}, 137),
        ({"status": "crashed", "cause": "signal", "signal": "SIG40"}, 168),
        ({"status": "crashed", "cause": "timeout", "exitCode": 0}, 124),
        ({"status": "crashed", "cause": "deadline", "signal": "SIGTERM"}, 124),
        ({"status": "failed", "cause": "spawn_error"}, 127),
        ({"status": "stopped", "cause": "stop", "signal": "SIGTERM"}, 130),
        ({"status": "stopped", "cause": "stop", "exitCode": 0}, 130),
        ({"status": "lost", "cause": "reboot"}, 123),
    ],
)
def test_the_exit_code_of_a_job(job: dict[str, Any], code: int) -> None:
    """Its own where it has one; never 0 for what did not complete."""
    assert exits.of_job(job) == code
