"""The recommended training, said once: the command line, the pages and lesson 04 take it from here.

How to train is said by `TrainConfig`, whose defaults are the recommended ones. Those of
`R3DEmotion` are the published fix's, and a `ClipDataset` leaves the clips as they are; what is
recommended instead is said in this file.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported late: the command line shows the names below where torch is broken
    from .datasets import Clip, ClipDataset
    from .model import R3DEmotion

SE_INIT = "identity"  # gates near one half begin by halving what layer3 and layer4 have to say
LEAN = True  # the same function of the clip with fewer parameters, in less time
AUGMENT = "light"  # one of `augment.PRESETS`


def model(num_classes: int, **changes: Any) -> "R3DEmotion":  # noqa: ANN401 (as there)
    """Make the model to train.

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
    """Serve the clips to train on: other frames in every epoch, changed a little.

    Args:
        clips: what to train on.
        augment: one of `augment.PRESETS`.
        changes: other arguments of `ClipDataset`.
    """
    from .augment import preset
    from .datasets import ClipDataset
    from .sampler import jitter

    return ClipDataset(clips, **{"sampler": jitter, "transform": preset(augment), **changes})
