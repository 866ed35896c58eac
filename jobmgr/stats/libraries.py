"""numpy and scipy, imported so that the event loop does not feel it.

They bring a hundred thousand objects that are there for good. Each full collection of Python's garbage would look at all of them, for a tenth of a
second in which no thread runs; frozen ones it passes over. What is garbage at that moment is frozen too, once in the life of the process.
"""

from __future__ import annotations

import gc
import sys


def import_for_good() -> None:
    """Import what statistics compute with, the first time that it is needed. Takes about a second; call it in a thread."""
    if "scipy.stats" in sys.modules:
        return
    gc.freeze()
    import numpy as np  # noqa: F401 - the import is the purpose

    gc.freeze()
    from scipy import special, stats  # noqa: F401 - the import is the purpose

    gc.freeze()
