"""What attempts print: where the files are, how they are read while still being written, how they go away."""

from jobmgr.output.files import OutputFiles, OutputPaths, bounded_lines

__all__ = ["OutputFiles", "OutputPaths", "bounded_lines"]
