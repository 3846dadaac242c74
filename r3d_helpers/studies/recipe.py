"""One training of a study: split the people, train, score one clip per video and several."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torchvision.transforms import v2

from .. import augment, datasets, sampler
from ..apply import evaluation
from ..config import TrainConfig
from ..datasets import Clip
from ..metrics import score
from ..model import R3DEmotion
from ..trainer import Trainer

AUGMENTATIONS = (
    *("none", "mirror", "light", "strong"),
    *("flicker", "reverse", "speed", "mixup", "cutmix"),  # each in addition to "light"
)
STRIDE = 2  # of dense sampling, frames
VIEWS = 3  # clips of one video to average over


@dataclass(frozen=True)
class Recipe:
    """The settings of a run.

    The defaults made the stored results. If you change them, make the results again.

    Attributes:
        seed: of the split of the people and, without ``start``, of the first weights.
        start: seed of the first weights; None is ``seed``.
        test_fraction: share of the people to test on.
        val_fraction: share of the other people to validate on.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        sampling: ``"uniform"``: from the whole video; ``"dense"``: every second frame.
        augment: one of `AUGMENTATIONS`.
        se: as in `R3DEmotion`, with ``"none"`` for None.
        se_init: as in `R3DEmotion`.
        dropout: as in `R3DEmotion`.
        epochs: as in `TrainConfig`.
        lr: as in `TrainConfig`.
        weight_decay: as in `TrainConfig`.
        warmup: as in `TrainConfig`.

    Raises:
        ValueError: an unknown ``sampling`` or ``augment``; `train` checks the others.
    """

    seed: int = 0
    start: int | None = None
    test_fraction: float = 0.2
    val_fraction: float = 0.15
    clip_len: int = 4
    size: int = 32
    sampling: str = "uniform"
    augment: str = "mirror"
    se: str = "output"
    se_init: str = "identity"
    dropout: float = 0.0
    epochs: int = 7
    lr: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.1

    def __post_init__(self) -> None:
        known = {"sampling": ("uniform", "dense"), "augment": AUGMENTATIONS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}"
                )


def train(
    recipe: Recipe,
    clips: Sequence[Clip],
    folder: str | os.PathLike,
    *,
    after_epoch: Callable[[dict], None] | None = None,
) -> tuple[Trainer, list[datasets.ClipDataset]]:
    """Train once, or resume the run in ``folder``.

    Args:
        recipe: the settings.
        clips: all clips; they are split here.
        folder: of the run.
        after_epoch: see `Trainer.fit`; after an interruption it gets the earlier epochs again.

    Returns:
        The trainer, with the best weights; and data sets of the test people for `score_views`.
    """
    train, val, test = datasets.train_val_test(
        clips, recipe.test_fraction, recipe.val_fraction, recipe.seed
    )
    shape = {
        "clip_len": recipe.clip_len,
        "size": recipe.size,
        "classes": sorted({clip.label for clip in clips}),
    }
    views = _views(recipe.sampling)
    train_set = datasets.ClipDataset(
        train, **shape, sampler=_random_sampler(recipe), transform=_transform(recipe.augment)
    )
    val_set = datasets.ClipDataset(val, **shape, sampler=views[VIEWS // 2])
    start = recipe.seed if recipe.start is None else recipe.start
    if Path(folder, "last.safetensors").exists():
        trainer = Trainer.resume(folder)
        for record in trainer.history if after_epoch else ():
            after_epoch(record)
    else:
        torch.manual_seed(start)
        model = R3DEmotion(
            len(shape["classes"]),
            clip_len=recipe.clip_len,
            se=None if recipe.se == "none" else recipe.se,
            se_init=recipe.se_init,
            dropout=recipe.dropout,
            lean=True,  # the same training except for rounding, in less time
        )
        config = TrainConfig(
            epochs=recipe.epochs,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            warmup=recipe.warmup,
            mix=recipe.augment if recipe.augment in ("mixup", "cutmix") else "none",
            seed=start,
            progress=False,
        )
        trainer = Trainer(model, config, folder)
    trainer.fit(train_set, val_set, after_epoch=after_epoch)
    return trainer, [datasets.ClipDataset(test, **shape, sampler=view) for view in views]


def score_views(trainer: Trainer, views: Sequence[datasets.ClipDataset]) -> dict[str, float]:
    """Score the middle one of several clips per video, and the average of their probabilities.

    Returns:
        ``val_uar`` of the best epoch, ``test_uar`` and ``test_war`` of one clip per video,
        ``views_uar`` of the average, and ``train_loss`` of the last epoch.
    """
    answers = [trainer.predict(view) for view in views]
    targets = answers[0][1]
    one = score(answers[len(views) // 2][0], targets)
    together = score(evaluation.average([logits for logits, _ in answers]), targets)
    return {
        "val_uar": max(record["val_uar"] for record in trainer.history),
        "test_uar": one.uar,
        "test_war": one.war,
        "views_uar": together.uar,
        "train_loss": trainer.history[-1]["train_loss"],
    }


def _random_sampler(recipe: Recipe) -> Callable[[int, int], list[int]]:
    """The sampler for training."""
    if recipe.sampling == "dense":
        return _random_dense
    return augment.Speed(sampler.jitter) if recipe.augment == "speed" else sampler.jitter


def _random_dense(num_frames: int, clip_len: int) -> list[int]:
    spare = max(0, num_frames - (clip_len - 1) * STRIDE - 1)
    start = int(torch.randint(spare + 1, ()))
    return sampler.dense(num_frames, clip_len, stride=STRIDE, start=start)


def _views(sampling: str) -> list[Callable[[int, int], list[int]]]:
    """`VIEWS` samplers for testing; the middle one is used for a single clip."""

    def dense(num_frames: int, clip_len: int, view: int) -> list[int]:
        return sampler.multi(num_frames, clip_len, stride=STRIDE, num_clips=VIEWS)[view]

    if sampling == "uniform":
        return evaluation.views(VIEWS)
    return [partial(dense, view=view) for view in range(VIEWS)]


def _transform(name: str) -> v2.Transform:
    """The part of one of `AUGMENTATIONS` that changes single clips."""
    light = augment.preset("light")
    others = {
        "mirror": v2.RandomHorizontalFlip(),
        # Wrong on purpose: a new random draw for every frame.
        "flicker": v2.Lambda(lambda frames: torch.stack([light(frame) for frame in frames])),
        "reverse": v2.Compose([light, augment.Reverse()]),
    }
    if name in others:
        return others[name]
    return augment.preset(name) if name in augment.PRESETS else light
