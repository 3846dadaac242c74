"""Scores of a classifier, recall first; which epoch is the best; how much better one setting is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from torch import Tensor, nn
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_recall,
)


@dataclass(frozen=True)
class Scores:
    """How well a model does on a set of clips. Every share lies in [0, 1].

    Attributes:
        uar: unweighted average recall: the mean over classes of the share found. Chance is one
            over the number of classes, however unequal they are.
        war: weighted average recall, that is, accuracy: the share of clips that are right.
        f1: the mean over classes of F1.
        confusion: ``[K, K]`` int64, clips by true class (row) and predicted class (column).
        loss: mean cross-entropy.

    Means over classes leave out a class that no clip has.
    """

    uar: float
    war: float
    f1: float
    confusion: Tensor
    loss: float


def score(logits: Tensor, targets: Tensor) -> Scores:
    """Compare logits ``[N, K]`` with labels ``[N]`` int64."""
    num_classes = logits.shape[1]
    predicted = logits.argmax(1)
    confusion = multiclass_confusion_matrix(predicted, targets, num_classes)
    present = confusion.sum(1) > 0  # torchmetrics' own mean counts a class that no clip has
    recall = multiclass_recall(predicted, targets, num_classes, average="none")
    f1 = multiclass_f1_score(predicted, targets, num_classes, average="none")
    return Scores(
        uar=recall[present].mean().item(),
        war=multiclass_accuracy(predicted, targets, num_classes, average="micro").item(),
        f1=f1[present].mean().item(),
        confusion=confusion,
        loss=nn.functional.cross_entropy(logits, targets).item(),
    )


@dataclass(frozen=True)
class Gain:
    """How much better one setting is than another, pair by pair.

    Attributes:
        pairs: the difference on each split of the people.
        mean: of the pairs.
        error: the standard error of the mean. With three pairs, 95 % certainty takes 4.3 of them.
    """

    pairs: tuple[float, ...]
    mean: float
    error: float

    def __str__(self) -> str:
        pairs = " ".join(f"{pair:+.3f}" for pair in self.pairs)
        return f"{pairs}, mean {self.mean:+.3f}, standard error {self.error:.3f}"


def gain(scores: Sequence[float], others: Sequence[float]) -> Gain:
    """Compare two settings on the same splits of the people, in the same order.

    Raises:
        ValueError: fewer than two pairs, or scores without a partner.

    >>> print(gain([0.8, 0.9], [0.7, 0.6]))
    +0.100 +0.300, mean +0.200, standard error 0.100
    """
    if len(scores) != len(others) or len(scores) < 2:
        raise ValueError(
            f"a comparison needs 2 pairs or more, got {len(scores)} and {len(others)} scores"
        )
    pairs = tuple(score - other for score, other in zip(scores, others, strict=True))
    return Gain(pairs, mean(pairs), stdev(pairs) / len(pairs) ** 0.5)


def best_epoch(history: Sequence[Mapping]) -> Mapping:
    """The record of the best epoch: the highest validation UAR, of equals the lowest loss."""
    return max(history, key=lambda record: (record["val_uar"], -record["val_loss"]))
