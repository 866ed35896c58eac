"""What docs/history.md lets people type does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from jobmgr.history import ReadReport, read

PAGE = Path(__file__).parents[2] / "docs" / "history.md"

SWF = """\
; Version: 2.2
; UnixStartTime: 1163199901
; MaxProcs: 9216
;
 1435  3273240     -1      0   -1     -1    -1   -1     -1    -1  5  14  -1 184 -1  1 -1 -1
 1440  3279379     10     25    8   20.5    -1    8     -1    -1  1   2  -1  67 -1  1 -1 -1
 1441  3279507      0      6 4096     -1    -1 4096     -1    -1  0   2  -1  -1 -1  1 -1 -1
 1442  3283775     -1     10 8672     -1    -1 8672     -1    -1  3   2  -1 186 -1  1 -1 -1
"""


def test_the_conversion_of_another_form_can_be_read() -> None:
    """A log of the Parallel Workloads Archive, by the program on the page: nothing in what it makes is unusable."""
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    made = subprocess.run([sys.executable, "-c", program], input=SWF.encode(), capture_output=True, check=True).stdout
    report = ReadReport()
    rows = list(read(made.splitlines(), report))
    assert [(row.job_id, row.status, row.job_name, row.queue_wait_us, row.duration_us, row.cpu_us) for row in rows] == [
        ("1435", "stopped", "executable-184", None, 0, None),
        ("1440", "completed", "executable-67", 10_000_000, 25_000_000, 20_500_000),
        ("1441", "crashed", None, 0, 6_000_000, None),
    ]
    assert [(row.group, row.args) for row in rows] == [
        ("user-14", ()),
        ("user-2", ("--processors", "8")),
        ("user-2", ("--processors", "4096")),
    ]
    assert rows[0].created_at == (1163199901 + 3273240) * 1_000_000
    assert (report.skipped, report.unusable_fields) == (0, {})
