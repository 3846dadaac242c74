"""Things to move. Controls and plain pictures, no ``Output``: that survives being tested."""

import io
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets
import torch
from PIL import Image
from torch import Tensor, nn

from ..video import VideoError
from . import standalone

Sampler = Callable[[int, int], Sequence[int]]


class _Explorer(ipywidgets.VBox):
    """Controls above a text and a picture; moving a control draws both again.

    Attributes:
        text: what is shown, in words (HTML).
        picture: the same as an image.
        tile: the width of the frames that its pictures are made of. Where it is not 0, the output
            also has every state beforehand, for pages without a kernel.
    """

    tile = 0

    def __init__(self, *controls: ipywidgets.ValueWidget) -> None:
        self.controls = controls
        self.text = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"align_self": "flex-start"})
        for control in controls:
            control.observe(lambda _: self.draw(), names="value")
        self.draw()
        super().__init__([*controls, self.text, self.picture])

    def draw(self) -> None:
        """Show what the controls ask for."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if self.tile:
            page = standalone.page(self.controls, self.text, self.picture, self.tile)
            bundle["text/html"] = page
        return bundle


class FramePicker(_Explorer):
    """Move the length of a video and see which of its frames a sampler keeps.

    Args:
        frames: uint8 ``[T, C, H, W]``, the video; the slider shows its first frames.
        samplers: by name.
        clip_len: frames to keep.

    Attributes:
        length: the slider.
        sampler: the menu.
    """

    def __init__(self, frames: Tensor, samplers: Mapping[str, Sampler], clip_len: int = 16) -> None:
        self.frames, self.samplers, self.clip_len = frames, samplers, clip_len
        self.tile = frames.shape[-1]
        self.length = ipywidgets.IntSlider(
            len(frames), 1, len(frames), description="frames", continuous_update=False
        )
        self.sampler = ipywidgets.Dropdown(options=list(samplers), description="sampler")
        super().__init__(self.length, self.sampler)

    def draw(self) -> None:
        """Show the kept frames."""
        num_frames = self.length.value
        indices = list(self.samplers[self.sampler.value](num_frames, self.clip_len))
        lost = sorted(set(range(num_frames)) - set(indices))
        self.text.value = f"kept: {indices}<br>never seen: {lost if lost else 'none'}"
        self.picture.value = _png(_row(self.frames[indices]))


class AxesExplorer(_Explorer):
    """Choose how a video is brought into the backbone's axes, and see what the backbone sees.

    Args:
        video: uint8 ``[B, T, C, H, W]``; the slider shows its first frames.
        ways: by name, each from ``[B, T, C, H, W]`` to what is taken for ``[B, C, T, H, W]``.

    Attributes:
        way: the menu.
        length: the slider, ``T``.
    """

    def __init__(self, video: Tensor, ways: Mapping[str, Callable[[Tensor], Tensor]]) -> None:
        self.video, self.ways = video, ways
        self.tile = video.shape[-1]
        num_frames = video.shape[1]
        self.way = ipywidgets.Dropdown(options=list(ways), description="way")
        self.length = ipywidgets.IntSlider(
            num_frames, 1, num_frames, description="T", continuous_update=False
        )
        super().__init__(self.way, self.length)

    def draw(self) -> None:
        """Show what the backbone sees."""
        self.picture.value = _BLANK
        try:
            seen = self.ways[self.way.value](self.video[:, : self.length.value])
        except RuntimeError as error:
            self.text.value = f"{type(error).__name__}: {error}"
            return
        B, C, T = seen.shape[:3]
        self.text.value = f"{list(seen.shape)}: {B} video(s) of {T} frame(s) with {C} colour(s)"
        if C == 3:
            self.picture.value = _png(_row(seen[0].transpose(0, 1)))
        else:
            self.text.value += "<br>the first convolution wants 3 colours and raises an error"


class GateExplorer(_Explorer):
    """Move the bias in front of a gate and see what is left of a feature map.

    Args:
        feature_map: float ``[H, W]``, not negative: one channel at one moment.

    Attributes:
        bias: the slider; what goes into the sigmoid.
        start: the menu: ``sigmoid`` or ``2 * sigmoid``.
    """

    def __init__(self, feature_map: Tensor) -> None:
        self.feature_map = feature_map / feature_map.max()
        self.bias = ipywidgets.FloatSlider(
            0.0, min=-6.0, max=6.0, step=0.5, description="bias", continuous_update=False
        )
        self.start = ipywidgets.Dropdown(options=["sigmoid", "2 * sigmoid"], description="gate")
        super().__init__(self.bias, self.start)

    def draw(self) -> None:
        """Show the map before and after its gate."""
        scale = 2.0 if self.start.value == "2 * sigmoid" else 1.0
        gate = scale * torch.tensor(self.bias.value).sigmoid().item()
        self.text.value = f"gate = {gate:.3f}: left as it came, right what is passed on"
        both = torch.stack([self.feature_map, gate * self.feature_map])  # [2, H, W]
        pixels = (255 * (both / 2).clamp(0, 1)).byte()  # white is twice the brightest input
        large = pixels.repeat_interleave(6, 1).repeat_interleave(6, 2)
        framed = nn.functional.pad(large, (0, 6), value=255)  # a white line after each
        self.picture.value = _png(_row(framed[:, None].expand(-1, 3, -1, -1)))


class LengthExplorer(_Explorer):
    """Move the length of the sequence and see which weights of an LSTM get a gradient.

    Args:
        lstm: a one-layer ``nn.LSTM`` with ``batch_first=True``; its gradients are overwritten.

    Attributes:
        length: the slider.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        self.lstm = lstm
        self.tile = (lstm.input_size + lstm.hidden_size) // 4
        self.length = ipywidgets.IntSlider(1, 1, 8, description="steps", continuous_update=False)
        super().__init__(self.length)

    def draw(self) -> None:
        """Show where the gradient is zero."""
        generator = torch.Generator().manual_seed(0)
        steps = torch.randn(4, self.length.value, self.lstm.input_size, generator=generator)
        self.lstm.zero_grad()
        self.lstm(steps)[0][:, -1].square().mean().backward()
        gradients = [p.grad for p in self.lstm.parameters() if p.grad is not None]
        total = sum(gradient.numel() for gradient in gradients)
        dead = sum(int((gradient == 0).sum()) for gradient in gradients)
        self.text.value = (
            f"{self.length.value} step(s): {dead:,} of {total:,} parameters ({dead / total:.1%}) "
            "have a gradient of exactly zero (white)"
        )
        alive = torch.cat([g != 0 for g in gradients[:2]], 1)[::4, ::4]  # [4 gates, inputs|memory]
        self.picture.value = _png((~alive).byte().mul(215).add(40).expand(3, -1, -1))


class VideoAsker(_Explorer):
    """Upload a video and see what a model says of it.

    Args:
        ask: from the path of a video to the probability of each label and the frames that the
            model saw, uint8 ``[T, C, H, W]``.

    Attributes:
        upload: the button.
    """

    def __init__(self, ask: Callable[[Path], tuple[Mapping[str, float], Tensor]]) -> None:
        self.ask = ask
        self.upload = ipywidgets.FileUpload(accept="video/*", description="a video")
        super().__init__(self.upload)

    def draw(self) -> None:
        """Ask about the uploaded video."""
        if self.upload.value:
            self.show(self.upload.value[0]["name"], self.upload.value[0]["content"])
        else:
            self.text.value = "Nothing uploaded yet. The file stays on this machine."
            self.picture.value = _BLANK

    def show(self, name: str, content: bytes) -> None:
        """Ask about a video of this name and content."""
        self.picture.value = _BLANK
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, Path(name).name)
            path.write_bytes(content)
            try:
                answer, seen = self.ask(path)
            except VideoError as error:
                self.text.value = str(error).replace(f"{folder}{os.sep}", "")
                return
        ranked = sorted(answer.items(), key=lambda item: -item[1])
        self.text.value = "<br>".join(f"{share:.2f} {label}" for label, share in ranked)
        large = seen.repeat_interleave(2, 2).repeat_interleave(2, 3)
        self.picture.value = _png(_row(large))


def _row(frames: Tensor) -> Tensor:
    """Frames ``[T, C, H, W]`` side by side, ``[C, H, T*W]``."""
    return frames.permute(1, 2, 0, 3).flatten(2)


def _png(picture: Tensor) -> bytes:
    """Encode uint8 ``[3, H, W]``."""
    file = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "png")
    return file.getvalue()


_BLANK = _png(torch.full((3, 1, 1), 255, dtype=torch.uint8))
