"""The base environment of jobs."""

from jobmgr.process.inherited import base_environment


def test_only_named_variables_are_inherited() -> None:
    """Whatever else the server has stays with the server."""
    server = {
        "PATH": "/bin",
        "HOME": "/h",
        "LC_ALL": "C",
        "LC_X": "y",
        "TZ": "UTC",
        "DB_PASSWORD": "x",
        "JOBMGR_TOKEN": "y",
        "LD_PRELOAD": "z",
    }
    assert base_environment(server) == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "LC_X": "y", "TZ": "UTC"}


def test_more_may_be_passed_by_name() -> None:
    """What the server does not have is not invented."""
    assert base_environment({"A": "1", "B": "2"}, ["A", "C"]) == {"A": "1"}


def test_windows_needs_a_few_more() -> None:
    """Without SYSTEMROOT hardly anything starts there."""
    assert base_environment({"SYSTEMROOT": "C", "X": "1"}, windows=True) == {"SYSTEMROOT": "C"}
    assert base_environment({"SYSTEMROOT": "C"}) == {}
