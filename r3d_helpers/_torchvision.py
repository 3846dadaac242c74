"""Make a CUDA build of torchvision importable beside a CPU build of torch.

Its compiled part cannot load, so ``torchvision::nms`` is not declared, and ``import torchvision``
fails where it first uses it. Models and transforms need no compiled operator; to declare the two
names is enough for them.
"""

import importlib
import sys

_MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library = None  # the declarations live as long as this object


def repair() -> None:
    """Import torchvision; if only its compiled operators are missing, declare them.

    Other errors are ignored here: they are raised where torchvision is used, and ``doctor``
    explains them.
    """
    global _library
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _library is not None or "torchvision::nms does not exist" not in str(error):
            return
        import torch

        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _MISSING:
            _library.define(schema)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")
    except Exception:  # missing or broken: see the docstring
        return


def repaired() -> bool:
    """Whether the operators were declared by `repair`."""
    return _library is not None
