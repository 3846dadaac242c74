"""A baseline that sees no face: a linear classifier on the colour statistics of each clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .. import metrics, video
from ..datasets import Clip


def colour_statistics(clips: Sequence[Clip]) -> Tensor:
    """Mean and standard deviation of red, green and blue over each whole clip, ``[N, 6]``."""
    rows = []
    for clip in clips:
        pixels = video.read(clip.path).float().transpose(0, 1).flatten(1)  # [C, T*H*W]
        rows.append(torch.cat([pixels.mean(1), pixels.std(1)]))
    return torch.stack(rows)


def linear_probe(
    train: Tensor, train_targets: Tensor, test: Tensor, test_targets: Tensor
) -> metrics.Scores:
    """Fit logistic regression to features ``[N, F]`` and score it on others.

    Args:
        train: features to fit, standardised here.
        train_targets: int64 ``[N]``.
        test: features to score.
        test_targets: int64 ``[M]``.
    """
    mean, std = train.mean(0), train.std(0)
    std = std.where(std > 0, 1)  # a constant feature has no information
    train, test = (train - mean) / std, (test - mean) / std
    if len(train) < train.shape[1]:
        # The weights are a sum of clips, so axes that span the clips give the same result, faster.
        axes, _ = torch.linalg.qr(train.T)
        train, test = train @ axes, test @ axes
    linear = nn.Linear(train.shape[1], int(train_targets.max()) + 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(linear(train), train_targets)
        loss = loss + 1e-3 * linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return metrics.score(linear(test), test_targets)
