"""Stands before CuPy on the path, so that a program runs as if CuPy were not installed."""

raise ModuleNotFoundError("CuPy is hidden", name="cupy")
