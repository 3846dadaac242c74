"""Parameter groups, the optimiser's state, and class weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from .config import STAGES


def parameter_groups(model: nn.Module, weight_decay: float, layer_decay: float) -> list[dict]:
    """Sort the trainable parameters into groups for an optimiser.

    Args:
        model: `R3DEmotion`, or a module that names its parameters in the same way.
        weight_decay: of weights; biases and norms have none.
        layer_decay: factor on the learning rate from each stage to the one before it.

    Returns:
        Groups with ``params``, ``weight_decay`` and ``scale``, the factor on the learning rate.
    """
    groups: dict[tuple[bool, float], dict] = {}
    for decays in (True, False):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (parameter.ndim > 1) == decays:
                scale = layer_decay ** _stages_above(name)
                decay = weight_decay if decays else 0.0
                group = {"params": [], "scale": scale, "weight_decay": decay}
                groups.setdefault((decays, scale), group)["params"].append(parameter)
    return list(groups.values())


def state_of(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser, as ``"number of the parameter.name"`` to tensor."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": t for index, own in state.items() for name, t in own.items()}


def load_state(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load what `state_of` returned; the parameters must be in the same order."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def class_weights(train_set: Dataset, num_classes: int) -> Tensor:
    """Weights ``[K]``, float32: the mean number of clips of a class over that of this class."""
    targets = getattr(train_set, "targets", None) or [int(label) for _, label in train_set]
    counts = torch.bincount(torch.tensor(targets), minlength=num_classes)
    return len(targets) / len(counts) / counts.clamp(min=1)


def _stages_above(name: str) -> int:
    """How many stages lie between the parameter ``name`` and the logits; 0 for the head."""
    stage = name.removeprefix("backbone.").partition(".")[0]
    return len(STAGES) - STAGES.index(stage) if stage in STAGES else 0
