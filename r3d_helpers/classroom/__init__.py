"""Code that only the lessons use."""

import warnings

from .._extras import needed

with needed("lessons"):  # here once, for all files of this folder
    import einops  # noqa: F401
    import filelock  # noqa: F401
    import ipywidgets  # noqa: F401
    import matplotlib  # noqa: F401

from .tracebacks import shorten

shorten()
# Python 3.13.0 alone: red words of torch's compiler, about nothing that a learner does.
warnings.filterwarnings("ignore", "Guards may run slower", RuntimeWarning)
