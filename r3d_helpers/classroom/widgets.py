"""Things to move. A slider and plain pictures, no ``Output``: that survives being tested."""

import io
from collections.abc import Callable, Sequence

import ipywidgets
from PIL import Image
from torch import Tensor

Sampler = Callable[[int, int], Sequence[int]]


class FramePicker(ipywidgets.VBox):
    """Move the length of a video and see which of its frames a sampler keeps.

    Args:
        frames: uint8 ``[T, C, H, W]``, the video; the slider shows its first frames.
        samplers: by name.
        clip_len: frames to keep.

    Attributes:
        length: the slider.
        sampler: the menu.
        text: what is kept, in words.
        strip: the kept frames.
    """

    def __init__(self, frames: Tensor, samplers: dict[str, Sampler], clip_len: int = 16) -> None:
        self.frames, self.samplers, self.clip_len = frames, samplers, clip_len
        self.length = ipywidgets.IntSlider(
            len(frames), 1, len(frames), description="frames", continuous_update=False
        )
        self.sampler = ipywidgets.Dropdown(options=list(samplers), description="sampler")
        self.text = ipywidgets.HTML()
        self.strip = ipywidgets.Image(format="png")
        for control in (self.length, self.sampler):
            control.observe(lambda _: self.draw(), names="value")
        self.draw()
        super().__init__([self.length, self.sampler, self.text, self.strip])

    def draw(self) -> None:
        """Show what the controls ask for."""
        num_frames = self.length.value
        indices = list(self.samplers[self.sampler.value](num_frames, self.clip_len))
        lost = sorted(set(range(num_frames)) - set(indices))
        self.text.value = f"kept: {indices}<br>never seen: {lost if lost else 'none'}"
        self.strip.value = _png(self.frames[indices])


def _png(frames: Tensor) -> bytes:
    """Frames ``[T, C, H, W]`` side by side."""
    picture = frames.permute(2, 0, 3, 1).flatten(1, 2)  # [H, T*W, C]
    file = io.BytesIO()
    Image.fromarray(picture.numpy()).save(file, "png")
    return file.getvalue()
