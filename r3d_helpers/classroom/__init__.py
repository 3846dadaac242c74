"""What the lessons import, and nothing else."""

from .._extras import needed

with needed("lessons"):  # said here once, for all files
    import einops  # noqa: F401
    import filelock  # noqa: F401
    import ipywidgets  # noqa: F401
    import matplotlib  # noqa: F401

from .tracebacks import shorten

shorten()
