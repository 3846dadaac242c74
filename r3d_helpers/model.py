"""R3D-18 with Squeeze-and-Excitation: the model of the published fix."""

import hashlib
import os
import textwrap
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.video import R3D_18_Weights, VideoResNet, r3d_18

from . import sampler


class SqueezeExcitation3d(nn.Module):
    """Multiply each channel of a feature map by a gate, computed from the whole map.

    Squeeze: the mean over time and space. Excite: two 1x1x1 convolutions. Scale: multiply.

    Args:
        channels: ``C`` of the feature map.
        reduction: ``C // reduction`` channels lie between the two convolutions.
        init: ``"default"``: gates start near 0.5, as a sigmoid does. ``"identity"``: gates start
            at exactly 1, so that a pretrained backbone computes the same as without gates.

    Raises:
        ValueError: ``reduction`` leaves no channel, or an unknown ``init``.

    Source: Hu et al. 2018, "Squeeze-and-Excitation Networks".
    """

    def __init__(self, channels: int, reduction: int = 16, init: str = "default") -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ValueError(f"reduction must lie between 1 and {channels}, got {reduction!r}")
        if init not in ("default", "identity"):
            raise ValueError(f"se_init must be 'default' or 'identity', got {init!r}")
        self.squeeze = nn.AdaptiveAvgPool3d(1)
        self.reduce = nn.Conv3d(channels, channels // reduction, kernel_size=1)
        self.expand = nn.Conv3d(channels // reduction, channels, kernel_size=1)
        # In the state dict, because with another scale the same weights are another function.
        self.register_buffer("scale", torch.tensor(1.0 if init == "default" else 2.0))
        if init == "identity":  # 2 * sigmoid(0) = 1
            nn.init.zeros_(self.expand.weight)
            nn.init.zeros_(self.expand.bias)

    def gate(self, features: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to gates ``[B, C, 1, 1, 1]`` in ``[0, scale]``."""
        squeezed = self.reduce(self.squeeze(features)).relu()
        return self.scale * self.expand(squeezed).sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to the same shape."""
        return features * self.gate(features)


class R3DEmotion(nn.Module):
    """Emotion from a video clip: R3D-18, SE in its last two layers, dropout, one linear layer.

    The defaults are the published fix's architecture. SE is in the module tree, not in hooks:
    ``print(model)`` shows it, and copying, pickling and exporting keep it.

    Args:
        num_classes: number of emotions, ``K``.
        clip_len: frames the backbone sees; a video of another length is sampled to it.
        se: where the gates sit. ``"output"``: after each block, as in the published fix.
            ``"residual"``: before the addition, as in the SE paper. None: no gates.
        se_init: ``"default"`` or ``"identity"``, see `SqueezeExcitation3d`.
        reduction: see `SqueezeExcitation3d`.
        dropout: probability of dropping a feature before the linear layer.
        lean: leave out the time slices of each kernel that meet only padding at this
            ``clip_len``. The model is the same function of the video with fewer parameters: 12.9
            instead of 33.3 million for 4 frames, 17.9 for 8, all of them from 9 on.
        weights: None: random. ``"KINETICS400_V1"``: torchvision's pretrained weights, from its
            download folder or the network. Or a path to a plain ``r3d_18`` state dict.

    Attributes:
        backbone: torchvision's ``VideoResNet`` without its own ``fc``. In a lean model it is
            right for ``clip_len`` frames only, and `features` gives it no others.
        config: the arguments that rebuild this architecture, without the weights.

    Raises:
        ValueError: an argument out of range; a weights file that is damaged or no ``r3d_18``.
        FileNotFoundError: no such weights file, and it cannot be downloaded.

    Source: Tran et al. 2018 (R3D-18), Hu et al. 2018 (SE), the published fix (both together).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        clip_len: int = 16,
        se: str | None = "output",
        se_init: str = "default",
        reduction: int = 16,
        dropout: float = 0.5,
        lean: bool = False,
        weights: str | os.PathLike | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 1 or clip_len < 1:
            raise ValueError(
                f"num_classes and clip_len must be 1 or more, got {num_classes!r}, {clip_len!r}"
            )
        if se not in ("output", "residual", None):
            raise ValueError(f"se must be 'output', 'residual' or None, got {se!r}")
        self.config = {
            "num_classes": num_classes,
            "clip_len": clip_len,
            "se": se,
            "se_init": se_init,
            "reduction": reduction,
            "dropout": dropout,
            "lean": lean,
        }
        self.clip_len = clip_len
        self.backbone = r3d_18()
        width = self.backbone.fc.in_features
        self.backbone.fc = nn.Identity()  # pyrefly: ignore[bad-assignment]
        if weights is not None:  # before SE, while the parameters have torchvision's names
            _load(self.backbone, weights)
        if lean:
            _drop_idle_slices(self.backbone, clip_len)
        if se is not None:
            _add_se(self.backbone, se, reduction, se_init)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)

    def features(self, video: Tensor) -> Tensor:
        """Describe each video by one vector.

        Args:
            video: ``[B, T, C, H, W]``, float, normalised, any ``T`` >= 1.

        Returns:
            ``[B, 512]``, float: the mean over time and space.

        Raises:
            ValueError: ``video`` has another shape; or ``clip_len`` of a lean model was changed.
        """
        if video.ndim != 5 or video.shape[2] != 3 or video.shape[1] < 1:
            raise ValueError(f"expected a video [B, T, C=3, H, W], got {list(video.shape)}")
        if self.config["lean"] and self.clip_len != (made_for := self.config["clip_len"]):
            raise ValueError(
                f"this lean model was made for clip_len={made_for} and cannot take "
                f"{self.clip_len} frames: copy it with R3DEmotion.adapted"
            )
        num_frames = video.shape[1]
        if num_frames != self.clip_len:
            video = video[:, sampler.uniform(num_frames, self.clip_len)]
        # This package uses [B, T, C, H, W], the backbone [B, C, T, H, W]; only this line converts.
        return self.backbone(video.permute(0, 2, 1, 3, 4))

    def forward(self, video: Tensor) -> Tensor:
        """``[B, T, C, H, W]`` as for `features`, to logits ``[B, K]``."""
        return self.classifier(self.dropout(self.features(video)))

    @torch.no_grad()
    def adapted(self, **changes: float) -> "R3DEmotion":
        """Copy the model with another ``clip_len``, ``dropout`` or ``lean``, and the same weights.

        A lean copy has only the kernel slices that it needs. A copy with ``lean=False`` has zeros
        where a lean model left slices out: at the old ``clip_len`` it is the same function; at a
        longer one these slices must still be learnt.

        Raises:
            ValueError: another change; or the copy should be lean and needs slices that this
                model does not have.
        """
        if unknown := changes.keys() - {"clip_len", "dropout", "lean"}:
            raise ValueError(
                f"only clip_len, dropout and lean can be changed, got {sorted(unknown)}"
            )
        other = R3DEmotion(**{**self.config, **changes})
        state = self.state_dict()
        for name, conv in other.named_modules():
            if isinstance(conv, nn.Conv3d):
                own = self.get_submodule(name)
                before = conv.padding[0] - own.padding[0]  # slices to add; below 0, to cut
                after = conv.kernel_size[0] - own.kernel_size[0] - before
                if other.config["lean"] and max(before, after) > 0:
                    raise ValueError(
                        f"a lean model for {self.clip_len} frames lacks kernel slices that "
                        f"{other.clip_len} frames need: with lean=False (--no-lean) they start as "
                        "zeros"
                    )
                weight = state[f"{name}.weight"]
                state[f"{name}.weight"] = F.pad(weight, (0, 0, 0, 0, before, after))
        other.to(self.classifier.weight).load_state_dict(state)
        return other.train(self.training)


@torch.no_grad()
def whiten_(stem: nn.Sequential, video: Tensor) -> None:
    """Set a stem's filters to the principal components of these videos, in place.

    Neighbouring pixels are nearly equal, so random filters give outputs that are much alike. The
    principal components of small pieces of video are uncorrelated, and batch norm, which gets
    their mean and variance, gives all of them the same scale. The layers above learn much faster
    from such input. Use it before training; the filters then need none:
    ``TrainConfig(freeze="stem")``.

    Args:
        stem: a convolution and a batch norm, as in ``model.backbone.stem``.
        video: ``[B, T, C, H, W]``, float, normalised: some clips of the training set, at the size
            at which the model is trained.

    Raises:
        ValueError: the videos are smaller than a filter, or have fewer pieces than it has weights.

    Source: Page 2018 and Jordan 2024, for images ("94% on CIFAR-10 in 3.29 Seconds").
    """
    conv, norm = stem[0], stem[1]
    pieces = video
    for axis, size, stride in zip((1, 3, 4), conv.kernel_size, conv.stride, strict=True):
        if pieces.shape[axis] < size:
            raise ValueError(
                f"a filter spans {list(conv.kernel_size)} (T, H, W), got videos {list(video.shape)}"
            )
        pieces = pieces.unfold(axis, size, stride)
    pieces = pieces.movedim(2, 4).flatten(4).flatten(0, 3)  # [N, C*t*h*w], as a filter's weights
    if len(pieces) < pieces.shape[1]:
        raise ValueError(
            f"a filter of {pieces.shape[1]} weights needs as many pieces of video, got "
            f"{len(pieces)}: take more clips"
        )
    variance, components = torch.linalg.eigh(pieces.T.cov())  # ascending
    filters = components.T[-conv.out_channels :]
    conv.weight.copy_(filters.view_as(conv.weight))
    norm.running_mean.copy_(filters @ pieces.mean(0))
    norm.running_var.copy_(variance[-conv.out_channels :])


def _add_se(backbone: VideoResNet, se: str, reduction: int, init: str) -> None:
    for name in ("layer3", "layer4"):
        blocks = []
        for block in getattr(backbone, name):
            last = getattr(block, "conv3", block.conv2)  # a Bottleneck has three
            gate = SqueezeExcitation3d(last[-1].num_features, reduction, init)
            blocks.append(block)
            if se == "output":
                blocks.append(gate)
            else:
                last.append(gate)  # after the last batch norm, before the addition
        setattr(backbone, name, nn.Sequential(*blocks))


@torch.no_grad()
def _drop_idle_slices(backbone: VideoResNet, clip_len: int) -> None:
    """Cut from every kernel the time slices that meet only padding.

    Four frames have become one when they reach ``layer4``. In a 3x3x3 kernel with padding 1, that
    frame meets the middle slice; the other two multiply zeros, and their gradient is zero. Without
    them, and with less padding, the convolution is the same function, except for rounding: a
    library may add in another order.
    """

    def cut(conv: nn.Conv3d, inputs: tuple[Tensor]) -> None:
        """Cut before the forward pass, so that the next convolution gets the right input."""
        first, end = _acting_slices(conv, inputs[0].shape[2])
        conv.weight = nn.Parameter(conv.weight[:, :, first:end].clone())
        conv.kernel_size = (end - first, *conv.kernel_size[1:])
        # pyrefly: ignore[bad-assignment]
        conv.padding = (conv.padding[0] - first, *conv.padding[1:])

    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv3d)]
    handles = [conv.register_forward_pre_hook(cut) for conv in convs]
    backbone.eval()(torch.zeros(1, 3, clip_len, 1, 1))
    backbone.train()
    for handle in handles:
        handle.remove()


def _acting_slices(conv: nn.Conv3d, num_frames: int) -> tuple[int, int]:
    """The time slices that meet a frame, of ``num_frames``: the first, and one past the last."""
    size, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    starts = range(-padding, num_frames + padding - size + 1, stride)
    acting = [i for i in range(size) if any(0 <= start + i < num_frames for start in starts)]
    return acting[0], acting[-1] + 1


def _load(backbone: VideoResNet, weights: str | os.PathLike) -> None:
    """Load a plain ``r3d_18`` state dict, strictly, except for ``fc``, which is not used here."""
    path = _kinetics() if weights == R3D_18_Weights.KINETICS400_V1.name else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights file {path}; weights is 'KINETICS400_V1', a path to an r3d_18 state "
            "dict, or None"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        backbone.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
    except Exception as error:  # torch.load can raise almost anything for other files
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(f"{path}: not a state dict of torchvision's r3d_18: {reason}") from error


def _kinetics() -> Path:
    """The file of torchvision's weights, downloaded if needed; its hash is always checked."""
    enum = R3D_18_Weights.KINETICS400_V1
    path = Path(torch.hub.get_dir(), "checkpoints", enum.url.rpartition("/")[2])
    if not path.is_file():
        try:
            enum.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network, or a wrong hash
            raise FileNotFoundError(
                f"cannot download the weights ({error}); fetch {enum.url} on a machine with "
                f"network and put the file at {path}"
            ) from error
    stated = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(stated):
        raise ValueError(
            f"{path}: damaged, its SHA-256 is {found[: len(stated)]}... instead of {stated}...; "
            f"delete it and fetch {enum.url} again"
        )
    return path
