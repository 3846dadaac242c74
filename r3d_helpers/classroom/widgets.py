"""Explorers: controls with a text and a picture. No ``Output`` widgets, which nbval cannot test."""

import io
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from ..video import VideoError
from . import standalone
from .circuits import PLACES

Sampler = Callable[[int, int], Sequence[int]]
_LONG = {"width": "30em", "max_width": "100%"}  # of a slider: far enough from value to value


class _Explorer(ipywidgets.VBox):
    """Controls above a text and a picture; moving a control draws both again.

    Attributes:
        text: what is shown, in words (HTML).
        picture: the same as an image.
        tile: width of the frames in its pictures. If it is not 0, the output also holds all
            states, for pages without a kernel.
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
            len(frames), 1, len(frames), description="frames", continuous_update=False, layout=_LONG
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
    """Choose how to reorder a video's axes, and see the backbone's input.

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
            num_frames, 1, num_frames, description="T", continuous_update=False, layout=_LONG
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
        counts = f"{_count(B, 'video')} of {_count(T, 'frame')} with {_count(C, 'colour')}"
        self.text.value = f"{list(seen.shape)}: {counts}"
        if C == 3:
            self.picture.value = _png(_row(seen[0].transpose(0, 1)))
        else:
            self.text.value += "<br>the first convolution wants 3 colours and raises an error"


class GateExplorer(_Explorer):
    """Put a gate into a residual block, and see what still passes, forwards and backwards.

    Args:
        block: of torchvision's ``r3d_18``, with a shortcut that changes nothing.
        features: float ``[1, C, T, H, W]``, what the block is given.

    Attributes:
        place: the menu, one of `circuits.PLACES`.
        gate: the slider; the factor of all channels.
    """

    def __init__(self, block: nn.Module, features: Tensor) -> None:
        self.block, self.features = block.eval(), features.detach()
        self.whole = self._run(1.0, 1.0, 1.0)
        self.tile = _WIDE
        self.place = ipywidgets.Dropdown(options=PLACES, description="gate")
        self.gate = ipywidgets.FloatSlider(
            1.0,
            min=0.0,
            max=2.0,
            step=0.25,
            description="factor",
            continuous_update=False,
            layout=_LONG,
        )
        super().__init__(self.place, self.gate)

    def draw(self) -> None:
        """Run the block with its gate, there and back."""
        factors = [self.gate.value if self.place.value == place else 1.0 for place in PLACES]
        maps, sizes = self._run(*factors)
        share = [size / whole for size, whole in zip(sizes, self.whole[1], strict=True)]
        self.text.value = (
            f"gate {self.gate.value:.2f} {self.place.value}; without a gate all three are 1.00"
            f"<br>features that leave the block: {share[0]:.2f}"
            f"<br>gradient for the block's own weights: {share[1]:.2f}"
            f"<br>gradient for all that lies in front of it: {share[2]:.2f}"
        )
        at = PLACES.index(self.place.value)
        self.picture.value = _drawn(maps, factors, at, float(self.whole[0][-1].max()))

    def _run(self, branch: float, shortcut: float, after: float) -> tuple[list[Tensor], list]:
        """Four maps, from the input to the output, and the size of the output and two gradients."""
        x = self.features.requires_grad_()
        on_branch = branch * self.block.conv2(self.block.conv1(x))
        on_shortcut = shortcut * x
        out = after * (on_branch + on_shortcut).relu()
        weights = list(self.block.parameters())
        mixed = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
        *own, front = torch.autograd.grad((out * mixed).sum(), [*weights, x])
        sizes = [out.norm(), torch.cat([grad.flatten() for grad in own]).norm(), front.norm()]
        self.features.requires_grad_(False)
        spread = [m[0].flatten(1).std(1) for m in (x, self.block.conv2(self.block.conv1(x)))]
        seen = torch.minimum(*spread).argmax()  # a channel in which both ways carry something
        maps = [m[0, seen, -1].detach().abs() for m in (x, on_shortcut, on_branch, out)]
        return maps, [size.item() for size in sizes]


class LengthExplorer(_Explorer):
    """Give an LSTM a sequence, and see which weights learn and to which steps it listens.

    Args:
        lstm: a one-layer ``nn.LSTM`` with ``batch_first=True``; its gradients are overwritten.

    Attributes:
        length: the slider.
        given: the menu: a new vector at each step, or the same one again.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        self.lstm = lstm
        self.tile = (lstm.input_size + lstm.hidden_size) // 4
        self.length = ipywidgets.IntSlider(
            1, min=1, max=8, description="steps", continuous_update=False, layout=_LONG
        )
        self.given = ipywidgets.Dropdown(
            options=["a new vector", "the same again"], description="each step"
        )
        super().__init__(self.length, self.given)

    def draw(self) -> None:
        """Run forwards, backwards, and on the steps in reverse."""
        generator = torch.Generator().manual_seed(0)
        shape = (4, self.length.value, self.lstm.input_size)
        steps = torch.randn(shape, generator=generator)
        if self.given.value == "the same again":
            steps = steps[:, :1].expand_as(steps)
        steps = steps.clone().requires_grad_()
        self.lstm.zero_grad()
        last = self.lstm(steps)[0][:, -1]
        last.square().mean().backward()
        other = self.lstm(steps.flip(1))[0][:, -1]
        change = ((other - last).norm() / last.norm()).item()
        gradients = [p.grad for p in self.lstm.parameters() if p.grad is not None]
        total = sum(gradient.numel() for gradient in gradients)
        dead = sum(int((gradient == 0).sum()) for gradient in gradients)
        listens = steps.grad.norm(dim=(0, 2))  # pyrefly: ignore[missing-attribute]
        listens = listens / listens.sum()
        self.text.value = (
            f"{dead:,} of {total:,} parameters ({dead / total:.1%}) have a gradient of exactly "
            f"zero<br>of what moves the last output, this much comes from each step: "
            f"{', '.join(f'{share:.0%}' for share in listens)}"
            f"<br>with the steps in reverse order, the last output changes by {change:.0%}"
        )
        alive = torch.cat([g != 0 for g in gradients[:2]], 1)[::4, ::4]  # [4 gates, inputs|memory]
        weights = (~alive).byte() * 215 + 40
        tall, wide = weights.shape
        weights[[0, -1]], weights[:, [0, -1]] = 90, 90  # a frame
        at = torch.arange(wide) * len(listens) // wide  # which step a column belongs to
        gap = at.diff(prepend=at[:1]) != 0
        full = torch.arange(tall, 0, -1)[:, None] <= listens[at] * tall
        bars = torch.where(full & ~gap, 90, 255).byte()
        picture = torch.cat([weights, bars], 1)
        words = {wide // 2: "the weights"}
        words |= {
            wide + (2 * i + 1) * wide // (2 * len(listens)): str(i + 1) for i in range(len(listens))
        }
        self.picture.value = _png(torch.cat([picture, _written(words, 2 * wide)]).expand(3, -1, -1))


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


_WIDE, _TALL = 520, 240  # pixels of the drawing of a block
_STRIP = 22  # pixels for words below a picture


def _drawn(maps: Sequence[Tensor], factors: Sequence[float], at: int, brightest: float) -> bytes:
    """A residual block, its gate ``at`` a place, and four maps: input, shortcut, branch, output.

    A wire is as wide as what it lets pass is large; white in a map is twice ``brightest``.
    """
    branch, shortcut, after = factors
    picture = Image.new("L", (_WIDE, _TALL), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)

    def wire(passes: float, *points: tuple[int, int]) -> None:
        draw.line(points, fill=40 if passes else 220, width=max(1, round(4 * passes)))

    wire(1, (78, 80), (120, 80), (120, 36), (230, 36))
    wire(1, (120, 80), (120, 160), (230, 160))
    wire(shortcut, (230, 36), (372, 36), (372, 80))
    wire(branch, (230, 160), (372, 160), (372, 80))
    wire(float((branch or shortcut) and after), (372, 80), (450, 80))
    draw.rectangle((135, 144, 225, 176), fill=255, outline=40)
    draw.text((180, 160), "conv, conv", fill=40, font=font, anchor="mm")
    draw.ellipse((360, 68, 384, 92), fill=255, outline=40)
    draw.text((372, 79), "+", fill=40, font=font, anchor="mm")
    x, y = ((255, 160), (255, 36), (412, 80))[at]
    draw.rectangle((x - 21, y - 12, x + 21, y + 12), fill=40)
    draw.text((x, y), f"{factors[at]:.2f}", fill=255, font=font, anchor="mm")
    names = ((42, 126, "given"), (316, 82, "shortcut"), (316, 206, "branch"), (480, 126, "leaves"))
    for (x, y, name), one in zip(names, maps, strict=True):
        grey = (one / brightest * 127.5).clamp(0, 255).byte()
        tile = Image.fromarray(grey.numpy()).resize((70, 60), Image.Resampling.NEAREST)
        top = y - 76
        picture.paste(tile, (x - 35, top))
        draw.rectangle((x - 36, top - 1, x + 35, top + 60), outline=40)
        draw.text((x, y - 2), name, fill=40, font=font, anchor="mm")
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def _written(words: Mapping[int, str], width: int) -> Tensor:
    """A strip of white, uint8 ``[_STRIP, width]``, with words around the places that are given."""
    strip = Image.new("L", (width, _STRIP), 255)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(14)
    for x, word in words.items():
        draw.text((x, _STRIP // 2), word, fill=40, font=font, anchor="mm")
    return torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).view(_STRIP, width)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _row(frames: Tensor) -> Tensor:
    """Frames ``[T, C, H, W]`` side by side, ``[C, H, T*W]``."""
    return frames.permute(1, 2, 0, 3).flatten(2)


def _png(picture: Tensor) -> bytes:
    """Encode uint8 ``[3, H, W]``."""
    file = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "png")
    return file.getvalue()


_BLANK = _png(torch.full((3, 1, 1), 255, dtype=torch.uint8))
