"""R3D-18 with Squeeze-and-Excitation for emotion in video: the package behind the lessons.

Submodules load when they are first used, so that ``python -m r3d_helpers doctor`` works even if a
dependency is missing or broken.
"""

import importlib

from . import _moved, _torchvision

__version__ = "2.0.0"

_SUBMODULES = (
    "apply",
    "augment",
    "checkpoint",
    "classroom",
    "config",
    "datasets",
    "doctor",
    "guards",
    "metrics",
    "model",
    "recommended",
    "sampler",
    "studies",
    "trainer",
    "video",
)
_NAMES = {"R3DEmotion": "model", "Trainer": "trainer", "TrainConfig": "config"}

__all__ = [*_SUBMODULES, *_NAMES]

_torchvision.repair()
_moved.answer()


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if (old := f"{__name__}.{name}") in _moved.MOVED:
        globals()[name] = _moved.module(old)  # kept, so that it warns only once
        return globals()[name]
    if name in _NAMES:
        return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
