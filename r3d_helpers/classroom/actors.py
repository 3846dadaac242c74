"""Drawn actors: short videos of cartoon faces that act the emotions of RAVDESS.

They replace a data set, so that everything can be trained in minutes, without a download.
A face is drawn feature by feature from *action units*, the muscle movements of the Facial Action
Coding System (FACS; Ekman, Friesen & Hager, 2002). Each has a strength in [0, 1]:

====  ===================  ====  ====================  ====  ==================
AU1   inner brow raiser    AU7   lid tightener         AU20  lip stretcher
AU2   outer brow raiser    AU9   nose wrinkler         AU23  lip tightener
AU4   brow lowerer         AU12  lip corner puller     AU25  lips part
AU5   upper lid raiser     AU15  lip corner depressor  AU26  jaw drop
AU6   cheek raiser         AU17  chin raiser           AU43  eyes closed
====  ===================  ====  ====================  ====  ==================

The emotion decides the action units and nothing else: face, length, timing, pose, background and
light are drawn without looking at it.
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator
from tqdm.auto import tqdm

from .. import datasets, video
from ..doctor import SAMPLES

SIZE = 56  # height and width of a frame, pixels
FPS = 15

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 12, 15, 17, 20, 23, 25, 26, 43)

# Who moves what: the EMFACS prototypes (Ekman & Friesen, 1983), strengths tuned by eye.
PROTOTYPES: dict[str, dict[int, float]] = {
    "neutral": {},
    "happy": {6: 1.0, 12: 1.0, 25: 0.9},
    "sad": {1: 1.0, 4: 0.5, 15: 1.0, 17: 0.7},
    "angry": {4: 1.0, 5: 0.6, 7: 0.7, 23: 1.0},
    "fearful": {1: 1.0, 2: 0.4, 4: 0.6, 5: 1.0, 20: 1.0, 25: 1.0},
    "disgust": {9: 1.0, 15: 0.7, 17: 0.5},
    "surprised": {1: 1.0, 2: 1.0, 5: 0.9, 25: 0.6, 26: 1.0},
}

Colour = tuple[float, float, float]  # RGB, 0..255
Units = Mapping[int, float]  # strength in [0, 1] by number
WHITE, INK = (252, 250, 246), (44, 28, 30)

# fmt: off
SKIN = [  # from light to dark, and anything between
    (255, 226, 204), (246, 203, 168), (226, 174, 132), (196, 139, 98), (154, 102, 71),
    (112, 72, 52),
]
HAIR = [(38, 28, 30), (66, 42, 32), (110, 70, 42), (158, 82, 44), (222, 178, 104), (176, 172, 172)]
IRIS = [(88, 54, 34), (70, 44, 30), (104, 120, 66), (70, 120, 168), (98, 112, 124)]
CLOTH = [
    (214, 92, 82), (62, 116, 160), (238, 186, 92), (84, 146, 116), (126, 96, 152), (238, 226, 208),
    (60, 66, 88),
]
# fmt: on


def _mirror(*right: tuple[float, float]) -> np.ndarray:
    """An outline, [N, 2], from its right half, listed from top to bottom."""
    half = np.array(right)
    return np.concatenate([half, half[::-1] * (-1, 1)])


def _oval(x: float, y: float, rx: float, ry: float, curls: int = 0) -> np.ndarray:
    """An outline, [N, 2], optionally with a curly rim."""
    angle = np.linspace(0, 2 * np.pi, 6 * curls or 8, endpoint=False)
    rim = 1 + 0.05 * np.cos(curls * angle) if curls else 1
    return np.stack([x + rx * rim * np.cos(angle), y + ry * rim * np.sin(angle)], 1)


# What is drawn behind the face, and what in front; an outline within another is a hole.
# fmt: off
STYLES: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {
    "none": ([], []),
    "short": ([], [
        _mirror((0.1, -0.96), (0.4, -0.9), (0.62, -0.6), (0.6, -0.12), (0.53, -0.3), (0.4, -0.56),
                (0.1, -0.62)),
    ]),
    "parted": ([], [np.array([
        (-0.6, -0.1), (-0.64, -0.5), (-0.45, -0.88), (0, -1), (0.45, -0.9), (0.64, -0.5),
        (0.6, -0.1), (0.53, -0.32), (0.4, -0.5), (0.1, -0.6), (-0.25, -0.74), (-0.45, -0.55),
        (-0.53, -0.3),
    ])]),
    "long": ([
        _mirror((0.1, -0.98), (0.5, -0.88), (0.72, -0.3), (0.78, 0.4), (0.82, 1), (0.4, 1.2)),
    ], [
        _mirror((0.05, -0.96), (0.4, -0.9), (0.64, -0.55), (0.63, 0.1), (0.54, -0.2),
                (0.38, -0.52), (0.05, -0.74)),
    ]),
    "bob": ([
        _mirror((0.1, -0.98), (0.5, -0.88), (0.74, -0.3), (0.78, 0.3), (0.62, 0.6), (0.2, 0.5)),
    ], [
        _mirror((0.1, -0.97), (0.45, -0.88), (0.66, -0.5), (0.63, 0), (0.52, -0.4), (0.4, -0.55),
                (0.1, -0.57)),
    ]),
    "bun": ([_oval(0, -0.98, 0.28, 0.24)], [
        _mirror((0.1, -0.9), (0.4, -0.84), (0.6, -0.55), (0.58, -0.15), (0.5, -0.42),
                (0.35, -0.6), (0.1, -0.7)),
    ]),
    "curly": ([_oval(0, -0.32, 0.82, 0.7, curls=11)], [_oval(0, -0.78, 0.5, 0.16, curls=7)]),
    "scarf": ([
        _mirror((0.1, -0.98), (0.5, -0.86), (0.7, -0.3), (0.68, 0.4), (0.72, 0.9), (1.1, 1.3)),
    ], [
        _mirror((0.1, -0.96), (0.48, -0.86), (0.68, -0.3), (0.66, 0.3), (0.6, 0.7), (0.5, 1)),
        _mirror((0.1, -0.62), (0.38, -0.52), (0.51, -0.15), (0.47, 0.3), (0.3, 0.68), (0.1, 0.82)),
    ]),
    "bobble hat": ([_oval(0, -1.02, 0.17, 0.15, curls=6)], [
        _mirror((0.1, -0.98), (0.42, -0.9), (0.6, -0.62), (0.62, -0.38), (0.55, -0.38),
                (0.3, -0.52), (0.1, -0.54)),
    ]),
}
# fmt: on


@dataclass(frozen=True)
class Identity:
    """What stays the same about an actor. Colours are RGB in 0..255, proportions are near 1."""

    skin: Colour
    hair: Colour  # or of the scarf or the hat
    brow: Colour
    iris: Colour
    cloth: Colour
    style: str  # of ``STYLES``
    width: float
    length: float
    eye_spacing: float
    eye_size: float
    brow_weight: float
    nose: float
    mouth: float
    lips: float
    ears: float
    beard: bool
    glasses: bool
    freckles: bool


@dataclass(frozen=True)
class View:
    """How an actor is filmed in one frame.

    Lengths are in half frames, angles in radians, colours RGB in 0..255.
    """

    x: float = 0.0
    y: float = 0.08
    zoom: float = 1.0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    background: Colour = (188, 206, 214)
    gain: Colour = (1.0, 1.0, 1.0)  # per channel
    brightness: float = 0.0  # added, 0..255
    contrast: float = 1.0
    shadow: tuple[float, float] = (0.0, 0.0)  # the light lost towards the right and the bottom
    vignette: float = 0.0


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


def _shade(colour: Colour, share: float) -> Colour:
    """A warm shadow on a colour."""
    darker = (c * (1 - share * f) for c, f in zip(colour, (0.85, 1.1, 1.1), strict=True))
    red, green, blue = darker
    return red, green, blue


class _Pen:
    """A canvas that is drawn on in face units.

    In face units x goes right, y down, the middle of the head is at 0 and the frame, unzoomed,
    reaches from -1 to 1. Points are [N, 2]; curves are drawn smoothly through them.
    """

    SCALE = 4  # drawn this much larger, then shrunk: smooth edges
    SHIFT = 4  # fixed-point bits of OpenCV's coordinates: smooth motion

    # Six points of a Catmull-Rom spline between two of its knots, as weights of four.
    SPLINE = np.vander(np.arange(6) / 6, 4, increasing=True) @ (
        np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    )

    def __init__(self, view: View) -> None:
        self.view = view
        side = SIZE * self.SCALE
        self.canvas = np.full((side, side, 3), view.background, np.uint8)
        c, s = view.zoom * np.cos(view.roll), view.zoom * np.sin(view.roll)
        self.turn = np.array([[c, s], [-s, c]])

    def _pixels(self, points: np.ndarray, closed: bool) -> np.ndarray:
        p = np.asarray(points, float)
        p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
        knots = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], 1)
        curve = (self.SPLINE @ knots).reshape(-1, 2)
        if not closed:
            curve = np.concatenate([curve, p[-1:]])
        # A head is round: in a turn, points near its middle move further.
        depth = np.clip(1 - (curve**2 @ (2.2, 1.2)), 0, 1)[:, None]
        curve = curve + depth * (self.view.yaw, self.view.pitch)
        curve = curve @ self.turn + (self.view.x, self.view.y)
        return np.round((curve + 1) / 2 * SIZE * self.SCALE * 2**self.SHIFT).astype(np.int32)

    def fill(self, colour: Colour, *outlines: np.ndarray) -> None:
        """Fill closed outlines; one inside another is a hole."""
        pixels = [self._pixels(outline, closed=True) for outline in outlines]
        cv2.fillPoly(self.canvas, pixels, colour, cv2.LINE_8, self.SHIFT)

    def line(self, colour: Colour, width: float, points: np.ndarray, closed: bool = False) -> None:
        thickness = max(1, round(width * self.view.zoom * SIZE * self.SCALE / 2))
        pixels = self._pixels(points, closed)
        cv2.polylines(self.canvas, [pixels], closed, colour, thickness, cv2.LINE_8, self.SHIFT)

    def crease(self, skin: Colour, strength: float, points: np.ndarray) -> None:
        """A fold of the skin: the stronger, the darker."""
        if strength > 0:
            self.line(_shade(skin, strength), 0.035, points)

    @contextmanager
    def inside(self, outline: np.ndarray) -> Iterator[None]:
        """Limit what is drawn in this block to the inside of the outline."""
        before, self.canvas = self.canvas, self.canvas.copy()
        yield
        mask = np.zeros(before.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self._pixels(outline, closed=True)], 1, cv2.LINE_8, self.SHIFT)
        self.canvas = cv2.copyTo(self.canvas, mask, before)  # pyrefly: ignore[bad-assignment]

    def picture(self) -> np.ndarray:
        # A lens is a little soft, and soft edges compress well.
        soft = cv2.GaussianBlur(self.canvas, (0, 0), 0.4 * self.SCALE)
        return cv2.resize(soft, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def draw(who: Identity, action_units: Units, view: View = View()) -> np.ndarray:
    """Draw one frame.

    Args:
        who: the actor.
        action_units: strengths in [0, 1] by FACS number; those left out are 0.
        view: pose, background and light.

    Returns:
        uint8 RGB, [H, W, C] with H = W = ``SIZE``.

    Raises:
        ValueError: an action unit that is not in ``ACTION_UNITS``.
    """
    unknown = sorted(set(action_units) - set(ACTION_UNITS))
    if unknown:
        raise ValueError(f"action_units has {unknown}, expected some of {ACTION_UNITS}")
    au = dict.fromkeys(ACTION_UNITS, 0.0) | dict(action_units)
    pen = _Pen(view)
    back, front = (
        [outline * (1.04 * who.width, 1) for outline in part] for part in STYLES[who.style]
    )
    _shoulders(pen, who)
    if back:
        pen.fill(_shade(who.hair, 0.22), *back)
    _head(pen, who, au)
    _nose(pen, who, au)
    _eyes(pen, who, au)
    _mouth(pen, who, au)
    if front:
        pen.fill(who.hair, *front)
        pen.line(_mix(who.hair, WHITE, 0.16), 0.05, [(-0.35, -0.72), (-0.2, -0.82), (0.02, -0.86)])
    _brows(pen, who, au)
    return _light(pen.picture(), view)


def _shoulders(pen: _Pen, who: Identity) -> None:
    chin = 0.76 * who.length
    pen.fill(who.cloth, _mirror((0.15, 0.92), (0.45, 0.88), (0.9, 0.98), (1.3, 2)))
    pen.fill(_shade(who.skin, 0.16), _mirror((0.26, 0.3), (0.25, 0.8), (0.3, 0.9), (0.1, 0.98)))
    pen.fill(_shade(who.skin, 0.28), _mirror((0.27, 0.4), (0.25, chin), (0.1, chin + 0.1)))


def _head(pen: _Pen, who: Identity, au: Units) -> None:
    w, chin, jaw = 0.6 * who.width, 0.76 * who.length, 0.14 * au[26]
    for side in (-1, 1):
        pen.fill(who.skin, _oval(side * w, 0, 0.1 * who.ears, 0.16 * who.ears))
        pen.fill(_shade(who.skin, 0.18), _oval(side * w, 0, 0.05 * who.ears, 0.1 * who.ears))
    crown = [(0.1, -0.84), (0.75 * w, -0.66), (w, -0.15), (0.93 * w, 0.25)]
    head = _mirror(*crown, (0.66 * w, 0.78 * chin + 0.7 * jaw), (0.18, chin + jaw))
    pen.fill(_shade(who.skin, 0.09), head)
    chin_colour = who.skin
    with pen.inside(head):
        pen.fill(who.skin, head - (0.07, 0.05))
        blush = _mix(who.skin, (226, 84, 74), 0.2 + 0.12 * au[6])
        for side in (-1, 1):
            pen.fill(blush, _oval(side * 0.36 * who.width, 0.24 - 0.06 * au[6], 0.14, 0.1))
        if who.beard:
            chin_colour = _mix(who.brow, who.skin, 0.2)
            edge = [(0.1, 0.27), (0.28, 0.3), (0.4, 0.24), (0.53, -0.1), (0.9, 0.2), (0.8, 1.3)]
            pen.fill(chin_colour, _mirror(*edge) * (who.width, 1))
    if who.freckles:
        for x, y in [(0.2, 0.14), (0.28, 0.19), (0.36, 0.13), (0.44, 0.18), (0.33, 0.25)]:
            for side in (-1, 1):
                pen.fill(_shade(who.skin, 0.25), _oval(side * x, y, 0.018, 0.018))
    y = 0.62 + 0.12 * au[26] - 0.03 * au[17]
    pen.crease(chin_colour, 0.3 * au[17], [(-0.1, y + 0.05), (0, y), (0.1, y + 0.05)])


def _nose(pen: _Pen, who: Identity, au: Units) -> None:
    w, y = 0.1 * who.nose * (1 + 0.25 * au[9]), 0.17 - 0.07 * au[9]
    tip = [(-w, y), (-w / 2, y + 0.05), (0, y + 0.035), (w / 2, y + 0.05), (w, y)]
    pen.fill(_shade(who.skin, 0.1), _oval(0, y - 0.02, w, 0.085))
    pen.line(_shade(who.skin, 0.28), 0.035, tip)
    for bridge in (-0.1, 0):
        points = [(-0.08, bridge - 0.02), (0, bridge + 0.02), (0.08, bridge - 0.02)]
        pen.crease(who.skin, 0.3 * au[9], points)
    # Around the mouth, unless a beard hides it: a disgusted or a smiling cheek.
    fold = np.array([(w + 0.03, y - 0.02), (0.24, y + 0.07), (0.31, 0.36)])
    for side in (-1, 1):
        pen.crease(who.skin, (not who.beard) * max(0.2 * au[9], 0.12 * au[12]), fold * (side, 1))


def _eyes(pen: _Pen, who: Identity, au: Units) -> None:
    upper = -0.105 - 0.075 * au[5] + 0.01 * au[6] + 0.05 * au[7] + 0.045 * au[9]
    lower = 0.085 + 0.02 * au[5] - 0.115 * au[6] - 0.06 * au[7] - 0.085 * au[9]
    upper, lower = (y + (0.05 - y) * au[43] for y in (upper, lower))
    # The lid follows the brow: down at the inner end in anger, at the outer end in grief.
    slant = (0.05 * au[4] - 0.09 * au[1] * (1 - au[2])) * (1 - au[43])
    lid = [(-0.1, 0.8 * upper + slant), (0, upper), (0.11, 0.8 * upper - slant)]
    lid = np.array([(-0.17, 0.02), *lid, (0.17, 0)])
    low = np.array(
        [(0.17, 0), (0.1, 0.85 * lower), (0, lower), (-0.1, 0.85 * lower), (-0.17, 0.02)]
    )
    bag = np.array([(-0.08, 0.1), (0.02, 0.12), (0.12, 0.08)])
    size = 1.15 * who.eye_size
    for side in (-1, 1):
        centre = np.array((side * 0.26 * who.eye_spacing, -0.06))
        flip = (side * size, size)
        opening = np.concatenate([lid, low[1:-1]]) * flip + centre
        pen.fill(WHITE, opening)
        with pen.inside(opening):
            x, y = centre + pen.view.gaze
            pen.fill(who.iris, _oval(x, y, 0.1 * size, 0.1 * size))
            pen.fill(INK, _oval(x, y, 0.055 * size, 0.055 * size))
            pen.fill(WHITE, _oval(x - 0.03, y - 0.035, 0.024, 0.024))
        pen.line(_shade(who.skin, 0.3), 0.025, low * flip + centre)
        pen.line(INK, 0.042, lid * flip + centre)
        pen.crease(who.skin, 0.2 * au[6], bag * flip + centre)
        if who.glasses:
            pen.line(INK, 0.03, _oval(centre[0], centre[1], 0.215, 0.2), closed=True)
    if who.glasses:
        pen.line(INK, 0.03, [(-0.06, -0.08), (0, -0.1), (0.06, -0.08)])


def _brows(pen: _Pen, who: Identity, au: Units) -> None:
    inner = -0.335 - 0.17 * au[1] + 0.13 * au[4] + 0.1 * au[9]
    arch = -0.36 - 0.08 * au[1] - 0.11 * au[2] + 0.07 * au[4] + 0.04 * au[9]
    outer = -0.3 - 0.15 * au[2] + 0.02 * au[4]
    middle = (inner + arch) / 2 - 0.02
    brow = np.array([(0.12 - 0.05 * au[4], inner), (0.27, middle), (0.37, arch), (0.46, outer)])
    frown = np.array([(0.035, inner - 0.06), (0.03, inner + 0.06)])
    for side in (-1, 1):
        pen.line(who.brow, 0.065 * who.brow_weight, brow * (side * who.eye_spacing, 1))
        pen.crease(who.skin, 0.4 * au[4], frown * (side, 1))


def _mouth(pen: _Pen, who: Identity, au: Units) -> None:
    half = 0.21 * who.mouth * (1 + 0.45 * au[12] + 0.4 * au[20] - 0.12 * au[23] - 0.35 * au[26])
    gap = 0.11 * au[25] + 0.2 * au[26]
    y = 0.43 - 0.03 * au[17] + 0.02 * au[26]
    top = y - 0.07 * au[9] + 0.03 * au[12] - 0.03 * au[15] - 0.04 * au[17]
    bottom = top + gap * (1 + 0.6 * au[12])
    corner = y - 0.01 - 0.12 * au[12] + 0.13 * au[15] + 0.03 * au[20] + 0.04 * au[23]
    corner += 0.5 * gap * (1 - au[12])
    # Stretched lips open to a slot, a dropped jaw makes an O, and the rest is a lens.
    lens = max(0, 0.3 - 0.3 * au[20] - 0.22 * au[26])
    bow = (0.85 - lens) * half
    high, deep = (middle + lens * (corner - middle) for middle in (top, bottom))
    upper = [(-half, corner), (-bow, high), (0, top), (bow, high), (half, corner)]
    opening = np.array([*upper, (bow, deep), (0, bottom), (-bow, deep)])

    lip = _mix(_shade(who.skin, 0.14), (190, 60, 66), 0.45)
    swell = 0.055 * who.lips * (1 - 0.6 * au[23]) * np.array([0, -1, -0.8, -1, 0, 1, 1.3, 1])
    pen.fill(lip, opening + np.outer(swell, (0, 1)))
    if gap > 0.01:
        pen.fill((92, 30, 36), opening)
        with pen.inside(opening):
            pen.fill((212, 96, 98), _oval(0, bottom + 0.02, 0.7 * half, 0.08))  # the tongue
            edge = top + 0.05 + 0.04 * au[12]
            pen.fill(
                WHITE, _mirror((0, top - 0.2), (2 * half, top - 0.2), (2 * half, edge), (0, edge))
            )
    pen.line(_shade(lip, 0.45 + 0.2 * au[23]), 0.03 + 0.025 * au[23], upper)


def _light(frame: np.ndarray, view: View) -> np.ndarray:
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1
    x, y = axis[None, :], axis[:, None]
    light = 1 - view.shadow[0] * x - view.shadow[1] * y - view.vignette * (x**2 + y**2) / 2
    lit = ((frame - 128.0) * view.contrast + 128) * light[..., None] * view.gain + view.brightness
    return np.clip(np.round(lit), 0, 255).astype(np.uint8)


def identity(actor: int, *, seed: int = 0) -> Identity:
    """Who an actor is: a pure function of the seed and the actor's number.

    Raises:
        ValueError: ``actor`` is not in 1 to 99.
    """
    _check_number("actor", actor)
    rng = np.random.default_rng([seed, actor])

    def about_one(spread: float) -> float:
        return rng.uniform(1 - spread, 1 + spread)

    def pick(options: Collection) -> Any:  # noqa: ANN401
        return list(options)[rng.integers(len(options))]

    tone = rng.uniform(0, len(SKIN) - 1)
    lighter = int(tone)
    hair, style = pick(HAIR), pick(STYLES)
    return Identity(
        skin=_mix(SKIN[lighter], SKIN[lighter + 1], tone - lighter),
        hair=pick(CLOTH) if style in ("scarf", "bobble hat") else hair,
        brow=_mix(hair, INK, 0.65),
        iris=pick(IRIS),
        cloth=pick(CLOTH),
        style=style,
        width=about_one(0.08),
        length=about_one(0.06),
        eye_spacing=about_one(0.06),
        eye_size=about_one(0.1),
        brow_weight=about_one(0.25),
        nose=about_one(0.25),
        mouth=about_one(0.1),
        lips=about_one(0.25),
        ears=about_one(0.15),
        beard=rng.random() < 0.3 and style not in ("long", "bob", "bun", "scarf"),
        glasses=rng.random() < 0.2,
        freckles=rng.random() < 0.2,
    )


def schedule(actor: int, take: int, *, seed: int = 0) -> np.ndarray:
    """How strongly an emotion shows over time: onset, hold and release.

    The emotion is no argument: the seven clips of one actor and take share their length and
    timing, so that neither shows the label. About 29 % of them are shorter than 16 frames; about
    a fifth, mostly short ones, reach their peak only in the last 25 to 30 %.

    Returns:
        float64 [T] in [0, 1], T from 11 to 45.

    Raises:
        ValueError: ``actor`` or ``take`` is not in 1 to 99.
    """
    _check_number("actor", actor)
    _check_number("take", take)
    rng = np.random.default_rng([seed, actor, take])
    short = rng.random() < 0.25
    length = rng.integers(11, 16) if short else int(rng.triangular(16, 16, 46))
    if rng.random() < (0.38 if short else 0.12):
        onset, apex, release = rng.uniform(0.64, 0.68), rng.uniform(0.76, 0.82), 1.0
    else:
        onset, release = rng.uniform(0.02, 0.2), rng.uniform(0.65, 0.95)
        apex = onset + rng.uniform(0.12, 0.25)
    time = (np.arange(length) + 0.5) / length
    return _ramp(time, onset, apex) * (1 - _ramp(time, release, release + 0.2))


def _ramp(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """Smoothly from 0 to 1."""
    u = np.clip((x - start) / (end - start), 0, 1)
    return u * u * (3 - 2 * u)


def _sway(rng: Generator, seconds: np.ndarray, size: float) -> np.ndarray:
    """Slow, smooth, random motion, [T], roughly from -size to size."""
    waves = [np.sin(2 * np.pi * (rng.uniform(0.2, 0.7) * seconds + rng.random())) for _ in "ab"]
    return size * (0.6 * waves[0] + 0.4 * waves[1])


def clip(actor: int, emotion: str, take: int, *, seed: int = 0) -> torch.Tensor:
    """Draw one clip: a pure function of its arguments.

    Args:
        actor: 1 to 99.
        emotion: a key of ``PROTOTYPES``.
        take: 1 to 99; the even ones are of strong intensity, as ``name`` says.

    Returns:
        uint8 RGB, [T, C, H, W] with T from 11 to 45 at ``FPS`` and H = W = ``SIZE``.

    Raises:
        ValueError: an actor, emotion or take that is not one of these.
    """
    who, code = identity(actor, seed=seed), _code(emotion)
    envelope = schedule(actor, take, seed=seed)
    rng = np.random.default_rng([seed, actor, take, int(code)])
    seconds = np.arange(len(envelope)) / FPS

    # The set. The head goes from one pose to another and rests before and after, as heads do.
    most = (0.07, 0.05, 0.06, 0.07, 0.08, 0.05)  # x, y, zoom, roll, yaw, pitch
    first = rng.uniform(-1, 1, 6)
    change = rng.uniform(-0.6, 0.6, 6) * (1, 1, 0.2, 1, 1, 1)
    start = rng.uniform(-0.3, 0.6) * seconds[-1]
    move = _ramp(seconds, start, start + rng.uniform(0.4, 0.8))
    poses = (0, 0.0, 1.2, 0, 0, 0) + (first + np.outer(move, change)) * most
    gazes = np.stack([_sway(rng, seconds, 0.03), _sway(rng, seconds, 0.015)], 1)
    background = rng.uniform(110, 225) + rng.uniform(-32, 32, 3)
    gain = rng.uniform(0.8, 1.12) * rng.uniform(0.92, 1.08, 3)
    gains = np.outer(1 + _sway(rng, seconds, 0.06), gain)
    film = {
        "background": tuple(background),
        "brightness": rng.uniform(-20, 20),
        "contrast": rng.uniform(0.8, 1.15),
        "shadow": tuple(rng.uniform(-0.15, 0.15, 2)),
        "vignette": rng.uniform(0, 0.35),
    }

    # The acting. Every face fidgets and blinks, the neutral one too.
    units = {n: np.maximum(0, _sway(rng, seconds, 0.08)) for n in (1, 2, 4, 12, 15, 20, 25)}
    blink = rng.uniform(-0.2, 3)
    units[43] = 1 - _ramp(np.abs(seconds - blink), 0.03, 0.16)
    strength = rng.uniform(0.95, 1.1) if _intensity(emotion, take) == 2 else rng.uniform(0.85, 1.0)
    for n, peak in PROTOTYPES[emotion].items():
        act = np.minimum(1, envelope * peak * strength * rng.uniform(0.9, 1.1))
        units[n] = np.maximum(act, units.get(n, 0))

    frames = [
        draw(
            who,
            {n: strengths[t] for n, strengths in units.items()},
            View(*poses[t], gaze=tuple(gazes[t]), gain=tuple(gains[t]), **film),
        )
        for t in range(len(envelope))
    ]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def name(actor: int, emotion: str, take: int) -> str:
    """A clip's path below the root, as RAVDESS names its files (Livingstone & Russo, 2018).

    ``Actor_NN/02-01-EE-II-01-RR-NN.mp4``: video only, speech, emotion, intensity (01 normal, 02
    strong; neutral has no strong one), statement 1, repetition (the take), actor.
    """
    intensity = _intensity(emotion, take)
    return f"Actor_{actor:02}/02-01-{_code(emotion)}-{intensity:02}-01-{take:02}-{actor:02}.mp4"


def generate(
    root: str | Path, *, actors: int = 60, takes: int = 2, seed: int = 0, progress: bool = True
) -> list[Path]:
    """Draw a whole data set into ``root``: every actor, emotion and take, as VP9 in .mp4.

    Returns:
        The paths written, in order.

    Raises:
        ValueError: ``actors`` or ``takes`` is not in 1 to 99.
        video.VideoError: a file cannot be written.
    """
    _check_number("actors", actors)
    _check_number("takes", takes)
    todo = [
        (actor, emotion, take)
        for actor in range(1, actors + 1)
        for emotion in PROTOTYPES
        for take in range(1, takes + 1)
    ]
    paths = []
    for actor, emotion, take in tqdm(todo, desc="drawing", unit="clip", disable=not progress):
        path = Path(root) / name(actor, emotion, take)
        video.write(path, clip(actor, emotion, take, seed=seed), FPS)
        paths.append(path)
    return paths


def _intensity(emotion: str, take: int) -> int:
    return 2 if emotion != "neutral" and take % 2 == 0 else 1


def _code(emotion: str) -> str:
    if emotion not in PROTOTYPES:
        raise ValueError(f"emotion is {emotion!r}, expected one of {', '.join(PROTOTYPES)}")
    return next(code for code, label in datasets.RAVDESS_EMOTIONS.items() if label == emotion)


def _check_number(what: str, value: int) -> None:
    if not 1 <= value <= 99:
        raise ValueError(f"{what} is {value}, expected 1 to 99")


def main(argv: list[str] | None = None) -> int:
    """Draw the sample videos again; the exit status is 2 for a bad argument."""
    parser = argparse.ArgumentParser(
        prog="python -m r3d_helpers.classroom.actors",
        description="Draw the sample videos again, frame for frame.",
    )
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder (%(default)s)")
    parser.add_argument("--actors", type=int, default=60, help="1 to 99 (%(default)s)")
    parser.add_argument("--takes", type=int, default=2, help="clips per emotion (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other actors (%(default)s)")
    args = parser.parse_args(argv)
    try:
        paths = generate(args.out, actors=args.actors, takes=args.takes, seed=args.seed)
    except (ValueError, OSError, video.VideoError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(paths)} videos in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
