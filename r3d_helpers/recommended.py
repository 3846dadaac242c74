"""The recommended training; the command line, the pages and lesson 04 take it from here.

The defaults of `TrainConfig` are the recommended ones. Those of `R3DEmotion` are the published
fix's, and a `ClipDataset` leaves the clips as they are; this file has what is recommended instead.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported late: the command line needs the constants even if torch is broken
    from .datasets import Clip, ClipDataset
    from .model import R3DEmotion

SE_INIT = "identity"  # gates near 0.5 would first halve the outputs of layer3 and layer4
LEAN = True  # the same function of the clip with fewer parameters, in less time
AUGMENT = "light"  # one of `augment.PRESETS`


def model(num_classes: int, **changes: Any) -> "R3DEmotion":  # noqa: ANN401 (as there)
    """Create the model to train.

    Args:
        num_classes: number of emotions, ``K``.
        changes: other arguments of `R3DEmotion`.
    """
    from .model import R3DEmotion

    return R3DEmotion(num_classes, **{"se_init": SE_INIT, "lean": LEAN, **changes})


def train_set(
    clips: Iterable["Clip"],
    *,
    augment: str = AUGMENT,
    **changes: Any,  # noqa: ANN401 (as there)
) -> "ClipDataset":
    """Create the training set: other frames in every epoch, with augmentation.

    Args:
        clips: what to train on.
        augment: one of `augment.PRESETS`.
        changes: other arguments of `ClipDataset`.
    """
    from .augment import preset
    from .datasets import ClipDataset
    from .sampler import jitter

    return ClipDataset(clips, **{"sampler": jitter, "transform": preset(augment), **changes})
