"""The drawings of the cheat sheet, as in the lessons: ``python -m tools.drawings`` writes them."""

import io
from collections.abc import Iterator

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from r3d_helpers import R3DEmotion
from r3d_helpers.classroom import circuits, schematics
from r3d_helpers.config import STAGES

from .notebooks import ROOT

FOLDER = ROOT / "docs" / "learn" / "drawings"
CLIP = {"B": 1, "C": 3, "T": 16, "H": 112, "W": 112}  # what the published fix takes


def sizes() -> dict[str, dict[str, int]]:
    """The axes of a clip after each stage of R3D-18, without running the network."""
    found = {"input": dict(CLIP)}
    with torch.device("meta"):
        net, x = R3DEmotion(7, se=None).backbone, torch.empty(*CLIP.values())
        for name in STAGES:
            x = getattr(net, name)(x)
            found[name] = dict(zip(CLIP, x.shape, strict=True))
        found["average"] = dict(zip("BC", net.avgpool(x).flatten(1).shape, strict=True))
    return found


def drawings() -> Iterator[tuple[str, Figure]]:
    """Each drawing with the name of its file."""
    stages = sizes()
    inside = {letter: stages["layer3"][letter] for letter in "CTHW"}
    yield "funnel", schematics.funnel(stages)
    yield "squeeze", circuits.squeeze_excite_scale(**inside)
    yield "places", circuits.places()
    yield "lstm", circuits.lstm()


def svg(figure: Figure) -> str:
    """A drawing as SVG, always the same text; its letters are outlines."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def write() -> None:
    """Make every drawing again."""
    FOLDER.mkdir(exist_ok=True)
    with plt.rc_context({**plt.rcParamsDefault, "svg.hashsalt": "r3d"}):
        for name, figure in drawings():
            (FOLDER / f"{name}.svg").write_text(svg(figure), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
