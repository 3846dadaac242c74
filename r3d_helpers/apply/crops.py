"""Find the face of a clip, and cut one square around it that does not move within the clip."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from numbers import Integral
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from .. import video
from ..names import printable
from ..video import Box, VideoError

Face = tuple[float, float, float, float]  # x, y, width, height, in pixels
Detector = Callable[[np.ndarray], Sequence[Sequence[float]]]  # RGB frame to (x, y, w, h) of faces

_LOOK_SIZE = 320  # pixels; a frame is scaled so that its shorter side has this length
_SMALLEST = 8  # the smallest face is the shorter side divided by this number
_SEEN = 0.25  # share of the searched frames that must show a face; single hits are mistakes


class NoFaceError(VideoError):
    """A video shows no face, or too rarely; names the file."""


class SeveralFaces(UserWarning):
    """Faces were found at several places about equally often; names the file."""


@dataclass(frozen=True)
class Track:
    """Where `FaceCrop.track` found the largest face of a video.

    Attributes:
        height: of a frame, pixels.
        width: likewise.
        times: of all frames, seconds.
        seconds: times of the frames that were searched.
        faces: the face in each of these, ``(x, y, width, height)`` in pixels, or None.
    """

    height: int
    width: int
    times: list[float]
    seconds: list[float]
    faces: list[Face | None]


@dataclass(frozen=True)
class Sighting:
    """How often a face was found at the place of a crop; ``str`` puts it into words.

    Attributes:
        looks: the number of frames that were searched.
        here: how many of them show a face at this place.
        elsewhere: how many show one at the second most frequent place.
        face: the median of the faces found here; None if there is none.
    """

    looks: int
    here: int = 0
    elsewhere: int = 0
    face: Face | None = None

    def __str__(self) -> str:
        more = f" and, at another place, in {self.elsewhere}" if self.elsewhere else ""
        return f"a face in {self.here} of {self.looks} frames looked at{more}"

    @property
    def share(self) -> float:
        """The share of the searched frames that show a face here."""
        return self.here / self.looks

    @property
    def enough(self) -> bool:
        """Whether it is seen too often to be a mistake of the detector."""
        return self.share >= _SEEN

    @property
    def several(self) -> bool:
        """Whether a face is seen about as often at another place."""
        return 2 * self.elsewhere > self.here

    @property
    def sure(self) -> bool:
        """Whether the face is seen in most frames, and no other about as often."""
        return self.share > 0.5 and not self.several


@dataclass(frozen=True)
class FaceCrop:
    """Cut one square around a face, the same for every frame of a clip.

    The largest face is searched for in every few frames. The square is where it was found most
    often, at the median there. So a miss, a passer-by or a second person does not move it, and the
    head's own motion stays visible. If a second place is about as frequent, `read` warns.

    Args:
        no_face: what to do with a clip without a face: ``"error"``: raise `NoFaceError`.
            ``"centre"``: take the largest square around the centre.
        margin: added on each side, as a share of the face's size.
        every: search every so many frames.
        detector: None: OpenCV's own Haar cascade for frontal faces. Or a path to the ONNX file of
            ``cv2.FaceDetectorYN`` (YuNet), which is better with turned heads and poor light.

    Raises:
        ValueError: a setting out of range, or a detector file that OpenCV cannot load.
        FileNotFoundError: no such detector file.

    Source: Viola and Jones 2001 (Haar cascades); Wu et al. 2023 (YuNet).
    """

    no_face: str = "error"
    margin: float = 0.3
    every: int = 5
    detector: str | None = None

    def __post_init__(self) -> None:
        if self.no_face not in ("error", "centre"):
            raise ValueError(f"no_face must be 'error' or 'centre', got {self.no_face!r}")
        if not 0 <= self.margin < 10:
            raise ValueError(f"margin must lie in [0, 10), got {self.margin!r}")
        if not isinstance(self.every, Integral) or self.every < 1:
            raise ValueError(f"every must be an integer of 1 or more, got {self.every!r}")
        if self.detector is not None:
            _yunet(self.detector)

    @property
    def settings(self) -> dict:
        """The arguments that rebuild this crop, as a checkpoint stores them."""
        return asdict(self)

    @property
    def key(self) -> str:
        """The settings and a digest of the detector's file, as text."""
        content = b"" if self.detector is None else Path(self.detector).read_bytes()
        return repr({**asdict(self), "detector": hashlib.sha256(content).hexdigest()})

    def read(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
        *,
        whole: bool = False,
    ) -> Tensor:
        """Decode the face of a video, as `video.read` decodes the whole picture.

        Raises:
            NoFaceError: no face, and ``no_face`` is ``"error"``.
            VideoError: as `video.read`.
        """
        track = self.track(path)
        box = self.square(track, path)
        self.warn(track, path)
        return video.read(path, indices, size, box, whole=whole)

    def track(self, path: str | os.PathLike) -> Track:
        """Search for the largest face in every few frames of a video.

        Results for the last thousand videos are kept, so another margin needs no second search.
        """
        state = os.stat(path) if os.path.exists(path) else None
        changed = state and (state.st_ino, state.st_size, state.st_mtime_ns)
        return _track(os.path.abspath(path), changed, self.every, self.detector)

    def square(
        self,
        track: Track,
        path: str | os.PathLike,
        begin: float = 0.0,
        end: float = float("inf"),
    ) -> Box:
        """The square for the clip from ``begin`` to ``end``, in seconds.

        Raises:
            NoFaceError: no face there, and ``no_face`` is ``"error"``.
        """
        found = self.sighting(track, begin, end)
        if found.face is None or not found.enough:
            if self.no_face == "error":
                raise NoFaceError(f"{path}: {found}, too few to cut to it")
            return _square(track, track.width / 2, track.height / 2, float("inf"))
        x, y, w, h = found.face
        return _square(track, x + w / 2, y + h / 2, max(w, h) * (1 + 2 * self.margin))

    def sighting(self, track: Track, begin: float = 0.0, end: float = float("inf")) -> Sighting:
        """How often a face is seen where the square from ``begin`` to ``end`` lies."""
        looks = list(zip(track.seconds, track.faces, strict=True))
        # If no frame in the stretch was searched, take the nearest one.
        middle = (begin + min(end, track.seconds[-1])) / 2
        inside = [face for second, face in looks if begin <= second <= end]
        inside = inside or [min(looks, key=lambda look: abs(look[0] - middle))[1]]
        places = _places([face for face in inside if face is not None])
        if not places:
            return Sighting(len(inside))
        here, elsewhere = [*places, ()][:2]
        face = tuple(np.median(here, axis=0).tolist())
        return Sighting(len(inside), len(here), len(elsewhere), face)

    def warn(
        self,
        track: Track,
        path: str | os.PathLike,
        spans: Sequence[tuple[float, float]] = ((0.0, float("inf")),),
    ) -> None:
        """Warn once if in some of these spans (seconds) another face is seen about as often."""
        found = [self.sighting(track, *span) for span in spans]
        doubtful = [each for each in found if each.enough and each.several]
        if doubtful:
            windows = f" in {len(doubtful)} of {len(found)} windows" if len(found) > 1 else ""
            message = f"{path}: {doubtful[0]}{windows}; the crop follows the first"
            warnings.warn(printable(message), SeveralFaces, stacklevel=3)


def _places(faces: Sequence[Face]) -> list[np.ndarray]:
    """Group faces by place, ``[N, 4]`` each: the most frequent first, then that of larger faces.

    Two faces with a gap smaller than a face may be one that moves: they are one place.
    """
    boxes = np.array(faces).reshape(-1, 4)
    sides = boxes[:, 2:]
    middles = boxes[:, :2] + sides / 2
    places = np.arange(len(boxes))
    for i in range(len(boxes)):
        near = (abs(middles[:i] - middles[i]) <= sides[:i] + sides[i]).all(1)
        places[:i][np.isin(places[:i], places[:i][near])] = i
    groups = [boxes[places == place] for place in np.unique(places)]
    return sorted(
        groups, key=lambda group: (len(group), np.median(group[:, 2:].prod(1))), reverse=True
    )


@lru_cache(1000)
def _track(path: str, _changed: tuple | None, every: int, detector: str | None) -> Track:
    find = _haar() if detector is None else _yunet(detector)
    times, seconds, faces, height, width = [], [], [], 0, 0
    for number, picture in enumerate(video.pictures(path)):
        times.append(picture.seconds)
        if number % every == 0:
            seconds.append(picture.seconds)
            faces.append(_largest(find, picture.pixels()))
            height, width = picture.shape
    return Track(height, width, times, seconds, faces)


def _square(track: Track, x: float, y: float, side: float) -> Box:
    """A square around a point, moved and shrunk to lie within the frame."""
    side = max(1, round(min(side, track.height, track.width)))
    top = min(max(0, round(y - side / 2)), track.height - side)
    left = min(max(0, round(x - side / 2)), track.width - side)
    return top, left, side, side


def _largest(find: Detector, frame: np.ndarray) -> Face | None:
    """The largest face of an RGB frame ``[H, W, C]``, in the frame's own pixels."""
    scale = min(4.0, _LOOK_SIZE / min(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=scale, fy=scale)
    faces = find(small)
    if len(faces) == 0:
        return None
    largest = max(faces, key=lambda face: face[2] * face[3])
    x, y, w, h = (float(value) / scale for value in largest[:4])
    return x, y, w, h


def _haar() -> Detector:
    # One for each video, because threads must not share a cascade.
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def find(frame: np.ndarray) -> Sequence[Sequence[float]]:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        least = min(grey.shape) // _SMALLEST
        faces = cascade.detectMultiScale(grey, 1.1, 5, minSize=(least, least))
        return np.asarray(faces).tolist()

    return find


def _yunet(path: str | os.PathLike) -> Detector:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no face detector at {path}; leave it out for the Haar cascade")
    wrong = f"{path}: not a face detector that OpenCV's FaceDetectorYN can use"
    try:
        network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score_threshold=0.7)
    except cv2.error as error:
        raise ValueError(wrong) from error

    def find(frame: np.ndarray) -> Sequence[Sequence[float]]:
        try:
            network.setInputSize((frame.shape[1], frame.shape[0]))
            _, faces = network.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        except cv2.error as error:  # another kind of network
            raise ValueError(wrong) from error
        return [] if faces is None else faces  # pyrefly: ignore[bad-return]

    return find
