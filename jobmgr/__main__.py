"""`python -m jobmgr` is the command `jobmgr`.

Before and after the command itself, Ctrl+C ends the process as the system does, in silence (a shell calls it 130): Python would print where it
stood. What started us may hold Ctrl+C back until here (scripts/_environment.py does, across Python's own start); it is let through now.
"""

import signal
import sys


def main() -> None:
    """Run the command and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # Else it is ignored, as below nohup.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from jobmgr.cli.main import main

    main()


if __name__ == "__main__":
    main()
