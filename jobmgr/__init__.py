"""jobmgr: a supervisor of native jobs that loses none of them."""

__version__ = "0.1.0"
