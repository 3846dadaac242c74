"""How sure is that? Many simulated experiments, and the verdict of each."""

import io

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np

from ..studies import compare
from . import standalone

PEOPLE, TEST = 60, 12
EXPERIMENTS, DRAWN = 200, 40
WORDS = ("sure", "likely", "cannot tell")
_WIDTH = 640  # of the picture, pixels


class SureExplorer(ipywidgets.VBox):
    """Move how many splits there are and how large the true difference is.

    Two hundred experiments are simulated, each with other people. A split tests both ways to train
    on 12 of 60 people drawn at random; the difference of one person is the same in every split.

    Attributes:
        splits: the slider: splits of the people in each experiment.
        truth: the slider: the true difference, in UAR.
        text: how often each verdict was given.
        picture: the intervals of forty experiments, plain and corrected.
    """

    def __init__(self) -> None:
        self.splits = ipywidgets.SelectionSlider(options=[2, 3, 5, 10, 30], description="splits")
        self.truth = ipywidgets.SelectionSlider(
            options=[0.0, 0.02, 0.05, 0.1], description="true difference"
        )
        self.truth.style.description_width = "initial"
        self.splits.value = 10
        self.text = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        for control in (self.splits, self.truth):
            control.observe(lambda _: self.draw(), names="value")
        self.draw()
        super().__init__([self.splits, self.truth, self.text, self.picture])

    def draw(self) -> None:
        """Show what the controls ask for."""
        pairs = experiments(self.splits.value, self.truth.value)
        plain, corrected = (found(pairs, test) for test in (0, TEST))
        self.text.value = f"plain t: {_counted(plain)}<br>corrected: {_counted(corrected)}"
        self.picture.value = _drawn({"plain t": plain, "corrected": corrected}, self.truth.value)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/html"] = self.page()
        return bundle

    def page(self) -> str:
        """The same as HTML that needs no kernel."""
        return standalone.page((self.splits, self.truth), self.text, self.picture, _WIDTH)


def experiments(splits: int, truth: float) -> np.ndarray:
    """Differences ``[experiment, split]`` in UAR, of two ways to train."""
    rng = np.random.default_rng(0)
    person = truth + 0.12 * rng.standard_normal((EXPERIMENTS, PEOPLE))
    order = np.tile(np.arange(PEOPLE), (EXPERIMENTS, splits, 1))
    tested = rng.permuted(order, axis=2) < TEST
    start = 0.015 * rng.standard_normal((EXPERIMENTS, splits))  # chance of the first weights
    return (person[:, None] * tested).sum(2) / TEST + start


def found(pairs: np.ndarray, test: int) -> list[compare.Comparison]:
    """The verdict of each experiment; ``test`` 0 ignores that splits have people in common."""
    zeros = [0.0] * pairs.shape[1]
    people = {"train": PEOPLE - TEST, "test": test}
    return [
        compare.settings(row, zeros, **people) if test else compare.paired(row, zeros)
        for row in pairs.tolist()
    ]


def _counted(rows: list[compare.Comparison]) -> str:
    words = [one.verdict for one in rows]
    return ", ".join(f"{word} {words.count(word) / len(words):.0%}" for word in WORDS)


def _drawn(columns: dict[str, list[compare.Comparison]], truth: float) -> bytes:
    """Intervals side by side; those that leave out zero are dark, the others pale."""
    figure, axes = plt.subplots(1, 2, figsize=(_WIDTH / 80, 3.6), sharey=True, layout="constrained")
    for axis, (name, rows) in zip(axes, columns.items(), strict=True):
        low, high = np.array([(one.low, one.high) for one in rows[:DRAWN]]).T
        sure = np.array([one.verdict == "sure" for one in rows[:DRAWN]])
        for which, colour, width in ((~sure, "0.7", 1), (sure, "0", 2.2)):
            axis.hlines(np.flatnonzero(which), low[which], high[which], color=colour, lw=width)
        axis.axvline(0, color="0", linewidth=0.8)
        if truth:
            axis.axvline(truth, color="0", linewidth=0.8, linestyle=":")
        axis.set(xlim=(-0.3, 0.3), title=name, xlabel="difference in UAR", yticks=[])
    axes[0].set_ylabel(f"{DRAWN} experiments")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    plt.close(figure)
    return file.getvalue()
