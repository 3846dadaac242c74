"""The settings of a training with their defaults."""

import math
from dataclasses import dataclass

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")  # of the backbone, from the input on
CHOICES = {
    "precision": ("float32", "bfloat16"),
    "mix": ("none", "mixup", "cutmix"),
    "freeze": ("none", *STAGES),
}


@dataclass(frozen=True)
class TrainConfig:
    """How to train; every number is checked when the object is made.

    The defaults are the recommended ones; model and data set for them are in `recommended`.

    Attributes:
        epochs: passes over the training set.
        batch_size: clips per step, of all processes together.
        micro_batch: clips per forward pass, over which batch norm takes its statistics; None: a
            process's whole share of the step. A smaller number needs less memory; gradients and
            statistics are averaged over the step. If it is given, each clip has its own random
            seed, and a run does not depend on the number of processes (except for dropout and
            mixing).
        lr: highest learning rate of AdamW, reached after the warm-up.
        weight_decay: AdamW's, for weights but not for biases and norms.
        warmup: share of all steps in which the learning rate rises linearly; then it falls to
            zero along a cosine.
        label_smoothing: share of the target that is spread evenly over all classes.
        class_weights: weight each class in the loss by how rare it is.
        mix: ``"none"``, or ``"mixup"`` (Zhang et al. 2018) or ``"cutmix"`` (Yun et al. 2019):
            each clip of a batch is blended with its neighbour, or gets a box from it, the same in
            every frame, and its target becomes a mixture of both.
        freeze: ``"none"``, or a stage of the backbone: this one and all before it are not
            trained: ``"stem"``, ``"layer1"`` ... ``"layer4"``. Their batch norms keep their
            statistics.
        layer_decay: factor on the learning rate from each stage to the one before it; the head
            has the full rate. 1 is the same rate everywhere.
        clip_grad: largest norm of the gradient; 0 does not clip.
        precision: ``"float32"``, or ``"bfloat16"`` for the forward and backward pass under
            autocast; the latter is tested before training, see `Trainer.fit`.
        channels_last: store weights and feature maps with the channel as the innermost axis,
            which suits a GPU's tensor cores: faster with ``precision="bfloat16"``.
        ema: decay per step of an exponential moving average of the weights, which is then
            validated and saved instead of them; 0 for none.
        seed: of shuffling, sampling, augmentation and dropout; not of the model's first weights,
            because the model exists already.
        num_workers: processes that load data; 0 loads in this one.
        progress: show a progress bar.
    """

    epochs: int = 10
    batch_size: int = 16
    micro_batch: int | None = None
    lr: float = 6e-4
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.05
    class_weights: bool = False
    mix: str = "none"
    freeze: str = "none"
    layer_decay: float = 1.0
    clip_grad: float = 1.0
    precision: str = "float32"
    channels_last: bool = False
    ema: float = 0.0
    seed: int = 0
    num_workers: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        at_least = {"epochs": 1, "batch_size": 1, "weight_decay": 0, "clip_grad": 0}
        for name, least in {**at_least, "num_workers": 0}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be {least} or more, got {getattr(self, name)!r}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0, got {self.lr!r}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must lie in (0, 1], got {self.layer_decay!r}")
        micro = self.micro_batch
        if micro is not None and (micro < 1 or self.batch_size % micro):
            raise ValueError(
                f"micro_batch must divide batch_size, {self.batch_size}, got {micro!r}"
            )
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")
