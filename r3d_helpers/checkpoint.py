"""The files of a run: weights with their metadata, and the history."""

import csv
import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .config import TrainConfig
from .files import replacing, sync, writing
from .model import R3DEmotion


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint holds besides tensors.

    Attributes:
        model: the arguments that rebuild the model, see `R3DEmotion.config`.
        train: how it was trained.
        classes: label names in the order of the logits; None if its data set has none.
        size: height and width of a frame in pixels; None if its data set has none.
        crop: the arguments that rebuild its `FaceCrop`; None: the whole frame.
        subjects: those it was trained or validated on.
        clips: the number of training clips and of validation clips.
        steps_per_epoch: steps of the optimiser.
        history: one record per finished epoch, see `Trainer.fit`.
    """

    model: Mapping[str, Any]
    train: TrainConfig
    classes: list[str] | None = None
    size: int | None = None
    crop: Mapping[str, Any] | None = None  # version 0.1 had none
    subjects: list[str] = field(default_factory=list)
    clips: tuple[int, int] = (0, 0)
    steps_per_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def to_json(self, indent: int | None = None) -> str:
        """As it is written to disk."""
        return json.dumps(asdict(self), indent=indent)

    @classmethod
    def from_json(cls, text: str) -> "Metadata":
        """Read what `to_json` wrote, in this version or an older one.

        Raises:
            TypeError, ValueError: something is missing, unknown or out of range.
        """
        found = json.loads(text)
        found["train"] = TrainConfig(**found["train"])
        found["clips"] = tuple(found["clips"])
        return cls(**found)


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Metadata) -> None:
    """Write tensors and metadata; an old file is replaced in one step, never half written."""
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        try:
            save_file(tensors, part, metadata={"r3d_helpers": metadata.to_json()})
        except SafetensorError as error:
            full = any(f"os error {code}" in str(error) for code in (28, 112))  # 112 on Windows
            raise OSError(errno.ENOSPC if full else None, str(error)) from error
        with suppress(OSError):  # some drives refuse
            part.chmod(0o644)  # safetensors lets only the owner read
        with part.open("rb+") as file:
            sync(file)


def read(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """Read what `write` wrote.

    Raises:
        ValueError: the file is damaged, or no checkpoint of this package.
    """
    try:
        with safe_open(path, "pt") as file:
            # Copies: Windows refuses to replace a file that is mapped into memory.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
            return tensors, Metadata.from_json(file.metadata()["r3d_helpers"])
    except SafetensorError as error:
        raise ValueError(f"{path}: not a checkpoint of this package, or damaged") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a checkpoint of this package ({error})") from error


def join(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Merge state dicts into one; each tensor's name starts with the name of its part."""
    return {f"{part}.{name}": t for part, state in parts.items() for name, t in state.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take one of the state dicts that `join` merged."""
    prefix += "."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def write_history(path: Path, history: Sequence[Mapping]) -> None:
    """Write one CSV row per epoch."""
    with writing(path) as file:
        writer = csv.DictWriter(file, history[0])
        writer.writeheader()
        writer.writerows(history)


def load(
    path: str | os.PathLike, classes: Sequence[str] | None = None, **changes: float
) -> tuple[R3DEmotion, Metadata]:
    """Load a trained model, with its own labels or to fine-tune it on others.

    Args:
        path: a run's ``best.safetensors``, or the folder of a run or of `export.hub`.
        classes: None keeps the head. Label names rebuild it: a label that the model knows keeps
            its weights, the others start at random.
        changes: another ``clip_len``, ``dropout`` or ``lean``, see `R3DEmotion.adapted`.

    Returns:
        The model in evaluation mode, and its metadata.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no checkpoint of a model, or the changes are not possible.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
        path = path if path.exists() else path.with_name("best.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    tensors, metadata = read(path)
    model = R3DEmotion(**metadata.model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: holds no trained model; load best.safetensors of a run"
        ) from error
    if changes:
        model = model.adapted(**changes)
    if classes is not None:
        _rebuild_head(model, metadata.classes or [], list(classes))
    return model.eval(), metadata


@torch.no_grad()
def _rebuild_head(model: R3DEmotion, before: list[str], after: list[str]) -> None:
    head = nn.Linear(model.classifier.in_features, len(after))
    for row, name in enumerate(after):
        if name in before:
            head.weight[row] = model.classifier.weight[before.index(name)]
            head.bias[row] = model.classifier.bias[before.index(name)]
    model.classifier = head
    model.config["num_classes"] = len(after)
