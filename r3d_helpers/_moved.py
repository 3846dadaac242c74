"""Import paths of version 1.0 answer with the new one, in one line."""

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder

_WINGS = {
    "apply": ("cache", "crops", "evaluation", "explain", "export"),
    "studies": ("experiments", "tuning"),
}
MOVED = {
    **{f"r3d_helpers.{n}": f"r3d_helpers.{wing}.{n}" for wing, ns in _WINGS.items() for n in ns},
    "r3d_helpers.faces": "r3d_helpers.classroom.actors",
    "r3d_helpers.classroom.handover": "r3d_helpers.classroom.trained",
    "r3d_helpers.classroom.probe": "r3d_helpers.classroom.baselines",
    "r3d_helpers.classroom.scenes": "r3d_helpers.classroom.wide",
    "r3d_helpers.classroom.book": "tools.book, in the repository",
    "r3d_helpers.classroom.notebooks": "tools.notebooks, in the repository",
    "r3d_helpers.classroom.timetable": "tools.timetable, in the repository",
    "r3d_helpers.classroom.workshop": "tools.workshop, in the repository",
}


class _Answer(MetaPathFinder):
    """Asked last, for modules that nobody else has found."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in MOVED:
            # Without `name=`, or `from r3d_helpers import cache` would swallow the message.
            raise ModuleNotFoundError(f"{name} is now {MOVED[name]}")


def answer() -> None:
    """Answer whoever imports an old module."""
    sys.meta_path.append(_Answer())


def names(module: str, **moved: str) -> Callable[[str], object]:
    """A module's ``__getattr__`` that answers for names that have moved."""

    def __getattr__(name: str) -> object:
        if name in moved:
            raise ImportError(f"{module}.{name} is now r3d_helpers.{moved[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
