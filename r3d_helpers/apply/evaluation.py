"""Scores on people that the model has not seen, with intervals, from several clips per video."""

import copy
import csv
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from .. import sampler
from ..datasets import ClipDataset
from ..files import writing
from ..metrics import Scores, score
from ..names import counted, printable
from ..trainer import Trainer

Interval = tuple[float, float]


@dataclass(frozen=True)
class Report:
    """What `report` found; ``print`` shows it.

    Attributes:
        classes: label names, in the order of the confusion matrix.
        scores: of all clips.
        uar: 95 % interval of ``scores.uar``; None if there is only one subject.
        war: likewise of ``scores.war``.
        clips: number of videos.
        subjects: number of people.
        num_views: clips per video that were averaged.
    """

    classes: list[str]
    scores: Scores
    uar: Interval | None
    war: Interval | None
    clips: int
    subjects: int
    num_views: int = 1

    def __str__(self) -> str:
        scores = self.scores
        classes = [printable(name) for name in self.classes]
        rows = [["said:", *classes]]
        for name, row in zip(classes, scores.confusion.tolist(), strict=True):
            rows.append([name, *map(str, row)])
        first, *widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
        counts = scores.confusion.sum(1).tolist()
        absent = [name for name, count in zip(classes, counts, strict=True) if not count]
        return "\n".join(
            [
                f"{counted(self.clips, 'clip')} of {counted(self.subjects, 'subject')}: "
                f"UAR {scores.uar:.3f}{between(self.uar)}, WAR {scores.war:.3f}"
                f"{between(self.war)}, F1 {scores.f1:.3f}",
                f"by chance: UAR {self.chance:.3f}",
                *(
                    f"  {name:<{first}}"
                    + "".join(f"{each:>{width}}" for each, width in zip(row, widths, strict=True))
                    for name, *row in rows
                ),
                *([f"no clip of {', '.join(absent)}: UAR leaves it out"] if absent else []),
                *([] if self.uar else ["one subject, so no interval; --folds tests every subject"]),
            ]
        )

    @property
    def chance(self) -> float:
        """The UAR of answers at random."""
        return 1 / len(self.classes)


def report(
    logits: Tensor,
    targets: Tensor,
    subjects: Sequence[str],
    classes: Sequence[str],
    num_views: int = 1,
) -> Report:
    """Score predictions, with 95 % intervals over people.

    Args:
        logits: ``[N, K]`` float, or log-probabilities.
        targets: ``[N]`` int64.
        subjects: who is seen in each of the ``N`` clips.
        classes: ``K`` label names.
        num_views: how many clips per video were averaged; only reported.
    """
    several = len(set(subjects)) > 1
    intervals = interval(logits.argmax(1), targets, subjects) if several else (None, None)
    return Report(
        *(list(classes), score(logits, targets), *intervals),
        clips=len(targets),
        subjects=len(set(subjects)),
        num_views=num_views,
    )


def interval(
    predicted: Tensor,
    targets: Tensor,
    subjects: Sequence[str],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """Bootstrap intervals of UAR and WAR, drawing *people* with replacement.

    Clips of one person succeed or fail together, so drawing single clips would give intervals that
    are too narrow. With fewer than about ten people even these are too narrow.

    Args:
        predicted: class of each clip, ``[N]`` int64.
        targets: its label, ``[N]`` int64.
        subjects: who is seen in it.
        level: share of the draws that lie inside, between 0 and 1.
        draws: number of draws.
        seed: of the draws.

    Returns:
        ``(low, high)`` of UAR and of WAR. A class that a draw does not contain is left out of it.

    Raises:
        ValueError: fewer than two subjects, or a number out of range.

    Source: cluster bootstrap (Field and Welsh 2007).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level!r}")
    edges = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.double)
    drawn = resampled(predicted, targets, subjects, draws=draws, seed=seed)
    low_high = [tuple(values.quantile(edges).tolist()) for values in drawn]
    return low_high[0], low_high[1]


def resampled(
    predicted: Tensor, targets: Tensor, subjects: Sequence[str], *, draws: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """UAR and WAR, ``[draws]`` float64 each, of people drawn with replacement.

    The same subjects and seed give the same people in each draw, so that two models can be
    compared draw by draw.

    Raises:
        ValueError: fewer than two subjects, or ``draws`` below 1.
    """
    names = sorted(set(subjects))
    if len(names) < 2:
        raise ValueError(f"an interval over people needs 2 subjects or more, got {names}")
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, got {draws!r}")
    num_classes = int(max(predicted.max(), targets.max())) + 1
    who = one_hot(torch.tensor([names.index(subject) for subject in subjects])).double()  # [N, S]
    of = one_hot(targets, num_classes).double()
    right = of * (predicted == targets)[:, None]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(names), (draws, len(names)), generator=generator)
    times = torch.zeros(draws, len(names)).double()  # how often a draw has each person
    times.scatter_add_(1, drawn, torch.ones_like(times))
    clips, hits = times @ (who.T @ of), times @ (who.T @ right)  # [draws, K]
    return (hits / clips).nanmean(1), hits.sum(1) / clips.sum(1)


def views(num_views: int) -> list[Callable[[int, int], list[int]]]:
    """Samplers for several clips of one video that share no frame, if it has enough of them.

    Each is `sampler.uniform`, a little earlier or later; if their number is odd, the middle one is
    `sampler.uniform` itself.

    Raises:
        ValueError: ``num_views`` below 1.

    Source: multi-view testing (Feichtenhofer et al. 2019).
    """
    if num_views < 1:
        raise ValueError(f"num_views must be 1 or more, got {num_views!r}")

    return [partial(_view, number=number, of=num_views) for number in range(num_views)]


def _view(num_frames: int, clip_len: int, *, number: int, of: int) -> list[int]:
    return sampler.uniform(num_frames, of * clip_len)[number::of]


def predict(trainer: Trainer, dataset: ClipDataset, num_views: int = 1) -> tuple[Tensor, Tensor]:
    """Average the probabilities of several clips per video.

    Returns:
        Log-probabilities ``[N, K]`` float32 and labels ``[N]`` int64, in order.
    """
    answers = []
    for view in views(num_views):
        seen = copy.copy(dataset)
        seen.sampler = view
        answers.append(trainer.predict(seen))
    return average([logits for logits, _ in answers]), answers[0][1]


def average(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean probabilities, ``[N, K]``, of several logits ``[N, K]``."""
    shares = torch.stack([part.log_softmax(1) for part in logits])
    return shares.logsumexp(0) - math.log(len(logits))


def evaluate(trainer: Trainer, dataset: ClipDataset, num_views: int = 1) -> Report:
    """Score a trainer's model on a data set, with intervals."""
    logits, targets = predict(trainer, dataset, num_views)
    subjects = [clip.subject for clip in dataset.clips]
    return report(logits, targets, subjects, dataset.classes, num_views)


def write_predictions(path: str | os.PathLike, dataset: ClipDataset, logits: Tensor) -> None:
    """Write one CSV row per clip: path, subject, label, predicted label, all probabilities."""
    probabilities = logits.softmax(1).tolist()
    with writing(path) as file:
        writer = csv.writer(file)
        writer.writerow(["path", "subject", "label", "predicted", *dataset.classes])
        for clip, row in zip(dataset.clips, probabilities, strict=True):
            predicted = dataset.classes[row.index(max(row))]
            writer.writerow([clip.path, clip.subject, clip.label, predicted, *row])


def read_predictions(path: str | os.PathLike) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Read what `write_predictions` wrote: log-probabilities, labels, subjects, classes."""
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        header, *rows = csv.reader(file)
    classes = header[4:]
    probabilities = torch.tensor([[float(value) for value in row[4:]] for row in rows])
    targets = torch.tensor([classes.index(row[2]) for row in rows])
    return probabilities.log(), targets, [row[1] for row in rows], classes


def pooled(paths: Sequence[str | os.PathLike], num_views: int = 1) -> Report:
    """Score the predictions of all folds together: every subject was tested once."""
    logits, targets, subjects, classes = zip(*map(read_predictions, paths), strict=True)
    everybody = [subject for part in subjects for subject in part]
    return report(torch.cat(logits), torch.cat(targets), everybody, classes[0], num_views)


def between(values: Interval | None) -> str:
    """An interval as text that follows a score; ``""`` for None."""
    return "" if values is None else f" ({values[0]:.3f} to {values[1]:.3f})"
