"""What init is to a server: orphans of the command on the command line come here and are reaped here, not in the tests' own process.

Ends when its standard input does. Not a test by itself.
"""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import os
import signal
import subprocess
import sys

assert sys.platform == "linux"

from jobmgr.process import kernel

kernel.become_subreaper()
source, sink = os.pipe()
with subprocess.Popen(sys.argv[1:], stdin=source):  # Its input comes through us: ours ends with the test.
    os.close(source)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The kernel reaps.
    while data := os.read(0, 65536):
        try:
            os.write(sink, data)
        except BrokenPipeError:
            continue
    os._exit(0)
