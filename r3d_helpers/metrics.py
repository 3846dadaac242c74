"""Scores of a classifier, and which epoch is the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Scores:
    """How well a model does on a set of clips. Every share lies in [0, 1].

    Attributes:
        uar: unweighted average recall: the mean over classes of the share of clips found. Chance
            level is one over the number of classes, even where classes have different sizes.
        war: weighted average recall, which is accuracy: the share of clips that are right.
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
    from torchmetrics.functional import classification  # here: to import it takes a second

    num_classes = logits.shape[1]
    predicted = logits.argmax(1)
    confusion = classification.multiclass_confusion_matrix(predicted, targets, num_classes)
    present = confusion.sum(1) > 0  # torchmetrics' own mean counts a class that no clip has
    recall = classification.multiclass_recall(predicted, targets, num_classes, average="none")
    f1 = classification.multiclass_f1_score(predicted, targets, num_classes, average="none")
    return Scores(
        uar=recall[present].mean().item(),
        war=classification.multiclass_accuracy(
            predicted, targets, num_classes, average="micro"
        ).item(),
        f1=f1[present].mean().item(),
        confusion=confusion,
        loss=nn.functional.cross_entropy(logits, targets).item(),
    )


def best_epoch(history: Sequence[Mapping]) -> Mapping:
    """The record of the best epoch: the highest validation UAR, then the lowest loss."""
    return max(history, key=lambda record: (record["val_uar"], -record["val_loss"]))
