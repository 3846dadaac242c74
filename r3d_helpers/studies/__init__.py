"""The long experiments behind the lessons, and the search for settings."""

from .._extras import needed

with needed("studies"):  # here once, for all files of this folder
    import filelock  # noqa: F401
    import optuna  # noqa: F401
    import scipy  # noqa: F401
