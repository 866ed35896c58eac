"""What all tests share: the options --strict-skips and --stats. To wait for a condition, import `eventually` from tests.waiting."""

from collections.abc import Generator
from typing import TypeVar

import pytest

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

FOREIGN_DATA = "is no part of jobmgr"
"""In the reason of a skip: tests of data that jobmgr does not ship, because it is not its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --strict-skips and --stats."""
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help="count every skipped and every expectedly failing test as a failure: on a machine that has all, nothing may be left out",
    )
    parser.addoption(
        "--stats",
        action="store_true",
        help="judge statistics by all seeds of their cases, which takes minutes; otherwise by a few",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip of a test into a failure when asked to; outermost, so that skip and xfail marks have been worked in."""
    return fail_if_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skip of a whole module into a failure when asked to."""
    return fail_if_skipped((yield), collector.config)


def fail_if_skipped(report: AnyReport, config: pytest.Config) -> AnyReport:
    """Make a failure of a skip, with its reason kept; but for what a checkout cannot have and nobody may install: data of others."""
    if report.skipped and config.getoption("--strict-skips"):
        reason = getattr(report, "wasxfail", None) or (
            report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        )
        if FOREIGN_DATA in str(reason):
            return report
        report.outcome = "failed"
        report.longrepr = f"left out under --strict-skips: {reason}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report
