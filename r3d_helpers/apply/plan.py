"""The options of the commands: where clips come from, their shape, and what is trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import checkpoint, datasets, recommended, video
from ..config import TrainConfig
from ..datasets import Clip, ClipDataset
from ..listing import Listing
from ..model import R3DEmotion
from ..names import printable
from .cache import ClipCache
from .crops import FaceCrop


@dataclass(frozen=True)
class Source:
    """Where clips come from, and which of them may be left out.

    Attributes:
        root: the folder of videos.
        names: how they are named: ``"ravdess"``, ``"crema_d"`` or ``"folder"``.
        skip_unreadable: leave clips out that cannot be read, and say which.
        skip_no_face: leave clips out that show no face, and say which.
        channel: of RAVDESS, ``"speech"`` or ``"song"``; None: speech.

    Raises:
        ValueError: a channel of another data set.
    """

    root: Path
    names: str = "ravdess"
    skip_unreadable: bool = False
    skip_no_face: bool = False
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.channel is not None and self.names != "ravdess":
            raise ValueError(f"--channel {self.channel} goes with --reader ravdess")

    def __str__(self) -> str:
        channel = f" ({self.channel})" if self.channel else ""
        return printable(f"{self.names}{channel} in {self.root.resolve().name}")

    def clips(self) -> Listing:
        """List them by their names."""
        options = {} if self.channel is None else {"channel": self.channel}
        return getattr(datasets, self.names)(self.root, **options)


@dataclass(frozen=True)
class CropOptions:
    """The options of the face crop.

    Attributes:
        kind: ``"face"``, ``"none"``, or None: as the checkpoint was made.
        no_face: what to do with a clip without a face: ``"error"``, ``"centre"`` or ``"skip"``.
        margin: around the face, as a share of its size; None: as in the checkpoint.
        detector: see `FaceCrop`; None: as in the checkpoint.
    """

    kind: str | None = None
    no_face: str = "error"
    margin: float | None = None
    detector: str | None = None

    def resolve(self, saved: Mapping | None) -> FaceCrop | None:
        """Make the crop; options that are None come from the settings saved in a checkpoint.

        Raises:
            ValueError: options of a crop, but no crop.
        """
        if self.kind == "none" or (self.kind is None and not saved):
            if (self.no_face, self.margin, self.detector) != ("error", None, None):
                raise ValueError("--no-face, --margin and --face-model go with --crop face")
            return None
        settings = {} if self.kind == "face" else dict(saved)
        if self.no_face != "error":
            settings["no_face"] = "centre" if self.no_face == "centre" else "error"
        if self.margin is not None:
            settings["margin"] = self.margin
        if self.detector is not None:
            settings["detector"] = self.detector
        return FaceCrop(**settings)


@dataclass(frozen=True)
class Shape:
    """The shape in which a model gets clips.

    Attributes:
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        crop: cut to the face; None keeps the frame.
        cache: the folder for decoded clips; None decodes each time.
    """

    clip_len: int = 16
    size: int = 112
    crop: FaceCrop | None = None
    cache: Path | None = None

    def dataset(
        self,
        clips: Sequence[Clip],
        make: Callable[..., ClipDataset] = ClipDataset,
        **options: Any,  # noqa: ANN401 (as there)
    ) -> ClipDataset:
        """Make a data set of clips in this shape; ``options`` are those of ``make``."""
        reader = self.crop or video
        if self.cache is not None:
            reader = ClipCache(self.cache, self.crop)
        shape = {"clip_len": self.clip_len, "size": self.size, "reader": reader}
        return make(clips, **shape, **options)


@dataclass(frozen=True)
class ModelOptions:
    """The options of the model.

    None: as in the checkpoint to start from; without one, as in `recommended.model`.

    Attributes:
        se: as in `R3DEmotion`, with ``"none"`` for no gates.
        se_init: as in `R3DEmotion`, as are the others.
        dropout: likewise.
        lean: likewise.
        weights: likewise.
    """

    se: str | None = None
    se_init: str | None = None
    dropout: float | None = None
    lean: bool | None = None
    weights: str | None = None

    def build(self, classes: Sequence[str], clip_len: int, start: Path | None) -> R3DEmotion:
        """Create the model, or load the one to start from."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if start is not None:
            return checkpoint.load(start, classes, clip_len=clip_len, **given)[0]
        if self.se == "none":
            given["se"] = None
        return recommended.model(len(classes), clip_len=clip_len, **given)


@dataclass(frozen=True)
class Plan:
    """The options of the command `train`.

    Attributes:
        source: the clips.
        out: the run's folder.
        model: the network.
        config: how to train.
        clip_len: frames, ``T``; None: as in ``start``, or as in `Shape`.
        size: pixels, ``H`` = ``W``; None: likewise.
        crop: how to cut to the face.
        cache: as in `Shape`.
        augment: one of `augment.PRESETS`.
        seed: of the split and of the first weights.
        start: fine-tune this checkpoint instead of a new network.
        resume: continue the run in ``out``.
        folds: number of folds of the subjects, with one run for each; None is one run.
        views: clips per test video.

    Raises:
        ValueError: an option of the model that the checkpoint ``start`` determines.
    """

    source: Source
    out: Path
    model: ModelOptions
    config: TrainConfig
    clip_len: int | None = None
    size: int | None = None
    crop: CropOptions = CropOptions()
    cache: Path | None = None
    augment: str = recommended.AUGMENT
    seed: int = 0
    start: Path | None = None
    resume: bool = False
    folds: int | None = None
    views: int = 1

    def __post_init__(self) -> None:
        for name in ("se", "se_init", "weights"):
            if self.start is not None and getattr(self.model, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise ValueError(f"{flag} does not go with --from: the checkpoint determines it")

    def shape(self) -> Shape:
        """The shape of clips; what is None comes from the checkpoint to start from."""
        clip_len, size, crop = Shape.clip_len, Shape.size, None
        if self.start is not None:
            model, begun = checkpoint.load(self.start)
            clip_len, size, crop = model.clip_len, begun.size or size, begun.crop
        return Shape(
            clip_len if self.clip_len is None else self.clip_len,
            size if self.size is None else self.size,
            self.crop.resolve(crop),
            self.cache,
        )
