"""What attempts print: where the files are, how they are read while still being written, how they go away."""

from jobmgr.output.files import OutputFiles, OutputPaths

__all__ = ["OutputFiles", "OutputPaths"]
