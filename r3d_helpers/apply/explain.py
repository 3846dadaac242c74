"""What a trained model predicts for a video over time, and which pixels and channels it uses."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import torch
from torch import Tensor

from .. import sampler, video
from .._extras import needed
from ..config import STAGES
from ..datasets import normalize
from ..model import R3DEmotion, SqueezeExcitation3d
from .crops import FaceCrop, Track

_BATCH = 8  # windows that go through the network together


@dataclass(frozen=True)
class Timeline:
    """What `timeline` found.

    Attributes:
        begin: of each window, seconds.
        end: likewise.
        probabilities: ``[N, K]`` float32, one row per window.
    """

    begin: list[float]
    end: list[float]
    probabilities: Tensor

    @property
    def overall(self) -> Tensor:
        """The mean of all windows, ``[K]``."""
        return self.probabilities.mean(0)


@torch.no_grad()
def timeline(
    model: R3DEmotion,
    path: str | os.PathLike,
    *,
    size: int,
    window: float = 3.0,
    step: float = 1.0,
    crop: FaceCrop | None = None,
) -> Timeline:
    """Slide a window along a video and predict each window.

    The video is decoded frame by frame, so it may be of any length. Of each window the model sees
    ``model.clip_len`` frames, spread evenly, as it saw of whole clips in training. Each window has
    a crop of its own. A window without any frame is left out, because times in a file may jump by
    hours.

    Args:
        model: in evaluation mode.
        path: the video.
        size: height and width that the model was trained with, pixels.
        window: seconds; about as long as the training clips. A shorter video is one window.
        step: seconds from one window to the next; the last one ends with the video.
        crop: the face crop that the model was trained with, if any.

    Raises:
        ValueError: ``window`` or ``step`` is not above 0.
        VideoError: the video cannot be read; or `NoFaceError`, if ``crop.no_face`` is ``"error"``.
    """
    if not (0 < window < math.inf and 0 < step < math.inf):
        raise ValueError(f"window and step must be above 0 seconds, got {window!r} and {step!r}")
    device = next(model.parameters()).device
    track = None if crop is None else crop.track(path)
    times = [each.seconds for each in video.pictures(path)] if track is None else track.times
    spans = _spans(times, window, step)
    if crop is not None and track is not None:
        crop.warn(track, path, spans)
    clips = _clips(path, spans, crop, track, size, model.clip_len)
    answers = []
    while batch := list(islice(clips, _BATCH)):
        seen = torch.stack([normalize(clip) for clip in batch])
        answers.append(model(seen.to(device)).softmax(1).cpu())
    begin, end = map(list, zip(*spans, strict=True))
    return Timeline(begin, end, torch.cat(answers))


def clip_at(
    model: R3DEmotion,
    path: str | os.PathLike,
    begin: float,
    end: float,
    *,
    size: int,
    crop: FaceCrop | None = None,
) -> Tensor:
    """The clip that `timeline` gave the model for one window: uint8 ``[T, C, H, W]``.

    Args:
        model: in evaluation mode.
        path: the video.
        begin: seconds, from 0.
        end: likewise.
        size: as in `timeline`.
        crop: as in `timeline`.

    Raises:
        ValueError: ``begin`` is below 0 or after ``end``.
        VideoError: as in `timeline`.
    """
    if not 0 <= begin <= end:
        raise ValueError(f"a window needs 0 <= begin <= end, got {begin}, {end}")
    track = None if crop is None else crop.track(path)
    return next(_clips(path, [(begin, end)], crop, track, size, model.clip_len))


def grad_cam(
    model: R3DEmotion, clip: Tensor, target: int | Tensor | None = None, layer: str = "layer4"
) -> Tensor:
    """Where and when a layer's features speak for a class.

    Args:
        model: in evaluation mode.
        clip: a normalised clip, float ``[T, C, H, W]``, with the model's own ``T``; or a batch of
            them, ``[B, T, C, H, W]``, which takes less time than one after the other.
        target: index of the class, or one for each clip of a batch, int64 ``[B]``; None is the
            predicted one.
        layer: the stage of the backbone, ``"stem"`` to ``"layer4"``. A later stage is closer to
            the answer and coarser, in time as well.

    Returns:
        A map ``[T, H, W]`` float32, or one for each clip of the batch, ``[B, T, H, W]``. A map goes
        from 0 to 1; it is 0 everywhere if nothing speaks for the class.

    Raises:
        ValueError: another shape, or no such layer.

    Source: Selvaraju et al. 2017 (Grad-CAM), here with time as a third axis.
    """
    if clip.ndim not in (4, 5) or clip.shape[-4] != model.clip_len:
        raise ValueError(
            f"expected one clip [T={model.clip_len}, C, H, W] or a batch of them, got "
            f"{list(clip.shape)}"
        )
    if layer not in STAGES:
        raise ValueError(f"layer must be one of stem, layer1 to layer4, got {layer!r}")
    *_, T, _, H, W = clip.shape
    videos = (clip if clip.ndim == 5 else clip[None]).to(next(model.parameters()).device)
    if target is None:
        with torch.no_grad():
            target = model(videos).argmax(1)
    with needed("apply"):
        from captum.attr import LayerAttribution, LayerGradCam

    cam = LayerGradCam(model, getattr(model.backbone, layer)).attribute(
        videos, target, relu_attributions=True
    )
    cam = LayerAttribution.interpolate(cam, (T, H, W), "trilinear")[:, 0].detach().cpu()
    cam = cam / cam.amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(cam.dtype).tiny)
    return cam if clip.ndim == 5 else cam[0]


@torch.no_grad()
def gates(model: R3DEmotion, video: Tensor) -> dict[str, Tensor]:
    """The values of each Squeeze-and-Excitation gate for a batch.

    Args:
        model: in evaluation mode, with gates.
        video: ``[B, T, C, H, W]``, normalised.

    Returns:
        For the name of each gate in the model, ``[B, channels]`` from 0 to its scale; 1 leaves a
        channel unchanged. Empty for a model without gates.
    """
    found: dict[str, Tensor] = {}

    def note(name: str) -> object:
        def hook(module: SqueezeExcitation3d, inputs: tuple[Tensor]) -> None:
            found[name] = module.gate(inputs[0]).flatten(1).cpu()

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name))
        for name, module in model.named_modules()
        if isinstance(module, SqueezeExcitation3d)
    ]
    try:
        model(video.to(next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _spans(times: Sequence[float], window: float, step: float) -> list[tuple[float, float]]:
    """Begin and end of the windows that have a frame; the last one ends with the video.

    Args:
        times: of the frames, seconds, rising from 0.
        window: seconds.
        step: seconds from one window to the next.
    """
    duration = times[-1]
    if duration <= window:
        return [(0.0, duration)]
    count = math.floor((duration - window) / step) + 1
    numbers: list[int] = []
    for time in times:
        first = math.ceil((time - window) / step)
        first = max(first, numbers[-1] + 1 if numbers else 0)
        numbers += range(first, min(math.floor(time / step) + 1, count))
    spans = [(number * step, number * step + window) for number in numbers]
    if (count - 1) * step + window < duration - 1e-6:  # sums of steps are rounded
        spans.append((duration - window, duration))
    return [*spans[:-1], (spans[-1][0], duration)]


def _clips(
    path: str | os.PathLike,
    spans: Sequence[tuple[float, float]],
    crop: FaceCrop | None,
    track: Track | None,
    size: int,
    clip_len: int,
) -> Iterator[Tensor]:
    """One clip, uint8 ``[T, C, H, W]``, for each span of a video, in order of their begins."""
    boxes = [None if crop is None else crop.square(track, path, *span) for span in spans]
    frames: list[list] = [[] for _ in spans]
    done, before = 0, None
    for picture in chain(video.pictures(path), [None]):
        second = math.inf if picture is None else picture.seconds
        while done < len(spans) and second > spans[done][1]:
            # Without a new frame in this span, the frame before it is still shown.
            # pyrefly: ignore[missing-attribute]
            shown = frames[done] or [before.pixels((size, size), boxes[done])]
            yield _sampled(shown, clip_len)
            frames[done].clear()
            done += 1
        for number in range(done, len(spans)):
            if second < spans[number][0]:
                break
            # pyrefly: ignore[missing-attribute]
            frames[number].append(picture.pixels((size, size), boxes[number]))
        before = picture


def _sampled(frames: Sequence, clip_len: int) -> Tensor:
    """The frames of a window, as uint8 ``[T, C, H, W]``."""
    kept = [torch.from_numpy(frames[i]) for i in sampler.uniform(len(frames), clip_len)]
    return torch.stack(kept).permute(0, 3, 1, 2)
