"""Under STEADYCAST_NO_SKIP=1 a skipped test is a failed one: where everything is installed, nothing may be left out."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.support.home import _folders as _folders
from tests.support.home import a_folder_of_its_own as a_folder_of_its_own

_NO_SKIP = os.environ.get("STEADYCAST_NO_SKIP", "") not in ("", "0")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and STEADYCAST_NO_SKIP forbids it: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if _NO_SKIP and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"a whole file was skipped, and STEADYCAST_NO_SKIP forbids it: {report.longrepr}"
    return report
