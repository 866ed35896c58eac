#!/usr/bin/env python3
"""parse_log.py FILE [--top N] — counts what is in a text log of any size and form.

Prints and reports as its result (JSON lines on fd 3; silent where there is none): lines, bytes, lines per level, the most frequent words and
IPv4 hosts, the first and the last time stamp as written, with progress by bytes on the way. Memory stays flat: lines are read in bounded
pieces, and when a table of words becomes too long its rare half is forgotten, so counts of rare words may be low then ("exact": false).
Exit code 0: done. 1: the file cannot be read. 2: wrong arguments.
"""

import argparse
import json
import os
import re
import stat
import sys
from collections import Counter

try:
    REPORT_FD = os.dup(3)  # Before anything else opens a file, which would become fd 3 where there is none.
except OSError:
    REPORT_FD = None

MAX_LINE_BYTES = 64 * 1024
MAX_DISTINCT = 50_000
MAX_WORD_CHARS = 40

LEVEL = re.compile(
    rb"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|CRIT(?:ICAL)?|FATAL|ALERT|EMERG)\b", re.IGNORECASE
)
HOST = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
WORD = re.compile(rb"[A-Za-z\x80-\xff][\w\x80-\xff-]{2,}")
TIME = re.compile(
    rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"  # 2026-11-22T08:00:00Z
    rb"|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?"  # 22/Nov/2026:08:00:00 +0000
    rb"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"  # Nov 22 08:00:00
)
SHORT = {"WARN": "WARNING", "ERR": "ERROR", "CRIT": "CRITICAL"}


def report(value):
    """Tells jobmgr: a number is progress in percent, an object may hold progress, message, result, error."""
    if REPORT_FD is not None:
        try:
            os.write(REPORT_FD, (json.dumps(value) + "\n").encode())
        except OSError:
            pass  # Nobody listens: the work goes on.


class Tally:
    """What was counted so far."""

    def __init__(self):
        self.lines = self.bytes = 0
        self.levels, self.words, self.hosts = Counter(), Counter(), Counter()
        self.first = self.last = None
        self.exact = True

    def add(self, piece):
        """Counts one line, or a piece of a line that is too long."""
        self.bytes += len(piece)
        self.lines += piece.endswith(b"\n")
        time = TIME.search(piece)
        if time:
            self.last = time.group()
            self.first = self.first or self.last
        level = LEVEL.search(piece)
        if level:
            name = level.group().decode().upper()
            self.levels[SHORT.get(name, name)] += 1
        self.hosts.update(HOST.findall(piece))
        self.words.update(word[:MAX_WORD_CHARS] for word in WORD.findall(piece))
        for table in (self.words, self.hosts):
            if len(table) > MAX_DISTINCT:
                self.exact = False
                self.forget_rare(table)

    @staticmethod
    def forget_rare(table):
        kept = table.most_common(MAX_DISTINCT // 2)
        table.clear()
        table.update(dict(kept))

    def result(self, top):
        def most(table):
            return [[text(key), count] for key, count in table.most_common(top)]

        return {
            "lines": self.lines,
            "bytes": self.bytes,
            "levels": dict(self.levels.most_common()),
            "topWords": most(self.words),
            "topHosts": most(self.hosts),
            "first": text(self.first),
            "last": text(self.last),
            "exact": self.exact,
        }


def text(found):
    return None if found is None else found.decode("utf-8", "replace")


def parse(file, size):
    """Reads to the end and reports each whole percent once."""
    tally, percent, piece = Tally(), -1, b"\n"
    for piece in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
        tally.add(piece)
        now = min(99, tally.bytes * 100 // size) if size else 0
        if now > percent:
            percent = now
            report(percent)
    tally.lines += not piece.endswith(b"\n")  # A last line without its line end is a line too.
    return tally


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # A name that is no text must not end the work.
    parser = argparse.ArgumentParser(prog="parse_log.py", description="Counts what is in a text log.")
    parser.add_argument("file")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many words and hosts (default 10)")
    given = parser.parse_args()
    try:
        with open(given.file, "rb") as file:
            state = os.fstat(file.fileno())
            tally = parse(file, state.st_size if stat.S_ISREG(state.st_mode) else 0)
    except OSError as error:
        return f"parse_log.py: {given.file}: {error.strerror}."
    result = tally.result(max(0, given.top))
    print(json.dumps(result, indent=2, ensure_ascii=False))
    report({"progress": 100, "result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
