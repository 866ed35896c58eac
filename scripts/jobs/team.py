#!/usr/bin/env python3
"""team.py NAME DIRECTORY [--member PERSON]... — makes the folders of a team: shared, archive, one a member, and a roster (roster.csv).

Reports progress a member, and the names of the folders as its result (JSON lines on fd 3; silent where there is none). The team's folder appears in
DIRECTORY only when it is complete: until then everything is in a hidden one, which goes away however this ends (save for SIGKILL).
--members takes several people in one word, separated by commas. --private: only the owner may look into the folders of members.
Exit code 0: done. 1: the team exists already, or something cannot be written (a sentence on stderr). 2: wrong arguments.
"""

import argparse
import csv
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

try:
    REPORT_FD = os.dup(3)  # Before anything else opens a file, which would become fd 3 where there is none.
except OSError:
    REPORT_FD = None


def report(value):
    """Tells jobmgr: a number is progress in percent, an object may hold progress, message, result, error."""
    if REPORT_FD is not None:
        try:
            os.write(REPORT_FD, (json.dumps(value) + "\n").encode())
        except OSError:
            pass  # Nobody listens: the work goes on.


def folder(name):
    """The name as a folder: no part of a path but the last."""
    name = name.strip()
    if not name or name in (".", "..") or "/" in name or "\0" in name or name.startswith("."):
        raise argparse.ArgumentTypeError(f"{name!r} is no name for a folder")
    return name


def people(text):
    return [folder(name) for name in text.split(",") if name.strip()]


def make(team, members, private):
    for name in ("shared", "archive"):
        (team / name).mkdir()
    with (team / "roster.csv").open("w", newline="", encoding="utf-8") as file:
        roster = csv.writer(file)
        roster.writerow(["member", "folder"])
        for number, member in enumerate(members, 1):
            place = Path("members", member)
            (team / place).mkdir(parents=True, mode=0o700 if private else 0o777)
            roster.writerow([member, place])
            report({"progress": number * 99 // len(members), "message": f"made the folder of {member}"})


def main():
    parser = argparse.ArgumentParser(prog="team.py", description="Makes the folders of a team.")
    parser.add_argument("name", type=folder)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--members", type=people, default=[])
    parser.add_argument("--member", type=folder, action="append", default=[])
    parser.add_argument("--private", action="store_true")
    given = parser.parse_args()
    members = list(dict.fromkeys(given.members + given.member))
    target = given.directory / given.name
    if os.path.lexists(target):
        return f"team.py: {target} exists already."
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{given.name}.", suffix=".part", dir=given.directory))
        try:
            make(part, members, given.private)
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o777 & ~umask)
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        return f"team.py: {error}"
    print(f"{target}: {len(members)} members")
    folders = ["shared", "archive", *(f"members/{member}" for member in members)]
    report({"progress": 100, "result": {"team": str(target), "members": len(members), "folders": folders}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
