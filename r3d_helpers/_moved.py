"""Import paths of version 1.0 still work, with a warning that names the new path."""

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

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
}
TOOLS = {f"r3d_helpers.classroom.{n}": n for n in ("book", "notebooks", "timetable", "workshop")}


class _Answer(MetaPathFinder, Loader):
    """The last finder of ``sys.meta_path``: it is asked for modules that no other found."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in TOOLS:
            # Without `name=`, or `from r3d_helpers.classroom import book` would swallow this.
            raise ModuleNotFoundError(f"{name} is now tools.{TOOLS[name]}, in the repository")
        return spec_from_loader(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        found = module(spec.name)
        self.spec = found.__spec__
        return found

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # importlib has put the old name's here


def module(old: str) -> ModuleType:
    """The module that had the path ``old`` in version 1.0."""
    warnings.warn(f"{old} is now {MOVED[old]}", FutureWarning, stacklevel=3)
    return importlib.import_module(MOVED[old])


def answer() -> None:
    """Install the finder of old modules."""
    sys.meta_path.append(_Answer())


def names(here: str, **moved: str) -> Callable[[str], object]:
    """Make a module's ``__getattr__`` for names that have moved, as ``name="file.name"``."""

    def __getattr__(name: str) -> object:
        if name not in moved:
            raise AttributeError(f"module {here!r} has no attribute {name!r}")
        new = f"r3d_helpers.{moved[name]}"
        warnings.warn(f"{here}.{name} is now {new}", FutureWarning, stacklevel=2)
        return getattr(importlib.import_module(new.rpartition(".")[0]), name)

    return __getattr__
