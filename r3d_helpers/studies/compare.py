"""Is one better than the other? One verdict for every comparison: sure, likely or cannot tell.

There are three different questions. `settings` compares two **ways to train**, from runs on
several splits of the people. `models` compares two **trained models**, from their answers for the
same people. `paired` compares two **numbers of each person**. All use differences of pairs, and
all return a `Comparison`:

=============  ====================================================================================
sure           the 95 % interval of the difference leaves out zero: where there is no difference,
               this is said at most one time in twenty
likely         the 80 % interval leaves out zero: at most one time in five
cannot tell    anything else. It does not mean that both are equally good
=============  ====================================================================================

If you make several comparisons, pass their number, ``comparisons=5``, and every interval becomes
wider (Bonferroni): then the one time in twenty holds for all five together.

>>> light, none = [0.80, 0.83, 0.84], [0.70, 0.75, 0.71]
>>> print(settings(light, none, train=41, test=12))
+0.103 (+0.018 to +0.189), sure
>>> print(settings(light, none, train=41, test=12, comparisons=5))
+0.103 (-0.094 to +0.301), likely
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from scipy.special import ndtr, stdtrit
from torch import Tensor
from torch.nn.functional import one_hot

from ..apply import evaluation

SURE, LIKELY = 0.05, 0.2  # how often the verdict may be wrong if there is no difference
MOST_SPLITS = 1000


@dataclass(frozen=True)
class Comparison:
    """How much better one is than the other.

    Attributes:
        mean: the difference; above zero if the first is better.
        low: lower end of its 95 % interval, wider for several comparisons.
        high: its upper end.
        verdict: ``"sure"``, ``"likely"`` or ``"cannot tell"``.
        pairs: the difference on each split of the people, or of each person; of two models none.
    """

    mean: float
    low: float
    high: float
    verdict: str
    pairs: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f}), {self.verdict}"


def settings(
    scores: Sequence[float],
    others: Sequence[float],
    *,
    train: int,
    test: int,
    comparisons: int = 1,
) -> Comparison:
    """Compare two ways to train: the corrected resampled t test.

    Each was trained and tested on the same splits of the people, with the same starts. The splits
    are drawn from the same people, so they overlap: their differences are not independent, and a
    plain t interval is too narrow. The correction adds ``test / train`` to the variance of the
    mean. It is also right for disjoint folds, whose training people overlap.

    Args:
        scores: of the first way, one for each split.
        others: of the second way, in the same order.
        train: people that each run learned from.
        test: people that each run was tested on.
        comparisons: how many are made in all.

    Raises:
        ValueError: fewer than two pairs, scores without a partner, or a number below 1.

    Source: Nadeau and Bengio 2003, Inference for the Generalization Error.
    """
    _expect(train=train, test=test, comparisons=comparisons)
    return _t_test(scores, others, test / train, comparisons)


def paired(values: Sequence[float], others: Sequence[float], *, comparisons: int = 1) -> Comparison:
    """Compare two numbers of each person: the paired t test.

    The pairs must be independent: one for each person, or one for each of several groups without
    common people. Several clips of one person are not independent: take their mean first. For
    splits of the same people use `settings`.

    Args:
        values: the first number of each person.
        others: the second, in the same order.
        comparisons: how many are made in all.

    Raises:
        ValueError: fewer than two pairs, values without a partner, or a number below 1.
    """
    _expect(comparisons=comparisons)
    return _t_test(values, others, 0.0, comparisons)


def models(
    predicted: Tensor,
    others: Tensor,
    targets: Tensor,
    subjects: Sequence[str],
    *,
    comparisons: int = 1,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare the UAR of two trained models that have answered for the same clips.

    Draws people with replacement, and takes the difference in each draw: a person who is hard for
    one model is often hard for the other, too, and this cancels. The interval is widened for few
    people. It says how *these two models* would do on other people, and nothing about two ways to
    train, because another start would give other models.

    Args:
        predicted: class of each clip by the first model, ``[N]`` int64.
        others: by the second model, ``[N]`` int64.
        targets: the labels, ``[N]`` int64.
        subjects: who is seen in each clip.
        comparisons: how many are made in all.
        draws: number of draws.
        seed: of the draws.

    Raises:
        ValueError: fewer than two subjects, or a number below 1.

    Source: cluster bootstrap (Field and Welsh 2007); expanded percentiles (Hesterberg 2015).
    """
    _expect(comparisons=comparisons)
    first, second = (
        evaluation.resampled(answers, targets, subjects, draws=draws, seed=seed)[0]
        for answers in (predicted, others)
    )
    right = one_hot(targets).double()  # [N, K]
    recall = [((a == targets).double() @ right / right.sum(0)) for a in (predicted, others)]
    people = len(set(subjects))

    def inside(alpha: float) -> tuple[float, float]:
        reach = float(stdtrit(people - 1, 1 - alpha / comparisons / 2))
        tail = float(ndtr(-reach * (people / (people - 1)) ** 0.5))
        edges = torch.tensor([tail, 1 - tail], dtype=torch.double)
        low, high = (first - second).quantile(edges).tolist()
        return low, high

    return Comparison(
        (recall[0] - recall[1]).nanmean().item(),
        *inside(SURE),
        _verdict(inside(SURE), inside(LIKELY)),
    )


def splits_needed(
    gain: float,
    deviation: float,
    *,
    train: int,
    test: int,
    comparisons: int = 1,
    power: float = 0.8,
) -> int | None:
    """The number of splits with which most experiments find a true gain "sure".

    A gain as large as half of its 95 % interval is found half of the time. For 80 % it must be
    about 2.8 standard errors, with few splits more.

    Args:
        gain: the true difference.
        deviation: standard deviation of the difference from split to split.
        train: people that each run learns from.
        test: people that each run is tested on.
        comparisons: how many are made in all.
        power: the share of experiments that should find it.

    Returns:
        The number of splits; None if no number is enough, because all splits are of the same
        people: then more people are needed.

    Raises:
        ValueError: a number out of range.
    """
    _expect(train=train, test=test, comparisons=comparisons)
    if gain <= 0 or deviation <= 0 or not 0 < power < 1:
        raise ValueError(
            f"gain and deviation must be above 0, power between 0 and 1, got {gain!r}, "
            f"{deviation!r}, {power!r}"
        )
    for splits in range(2, MOST_SPLITS + 1):
        error = deviation * (1 / splits + test / train) ** 0.5
        far = stdtrit(splits - 1, 1 - SURE / comparisons / 2) + stdtrit(splits - 1, power)
        if gain >= far * error:
            return splits
    return None


def table(comparisons: Mapping[str, Comparison]) -> str:
    """A line for each comparison, with name, difference, interval and verdict."""
    wide = max(map(len, comparisons))
    return "\n".join(f"{name:<{wide}}  {found}" for name, found in comparisons.items())


def _t_test(
    scores: Sequence[float], others: Sequence[float], shared: float, comparisons: int
) -> Comparison:
    """A t interval of the mean difference; ``shared`` is added to the variance of the mean."""
    if len(scores) != len(others) or len(scores) < 2:
        raise ValueError(
            f"a comparison needs 2 pairs or more, got {len(scores)} and {len(others)} scores"
        )
    pairs = tuple(score - other for score, other in zip(scores, others, strict=True))
    middle, error = mean(pairs), stdev(pairs) * (1 / len(pairs) + shared) ** 0.5

    def inside(alpha: float) -> tuple[float, float]:
        if error < 1e-9:  # equal to the last digit: rounded scores, or the same run twice
            return -float("inf"), float("inf")
        reach = float(stdtrit(len(pairs) - 1, 1 - alpha / comparisons / 2)) * error
        return middle - reach, middle + reach

    return Comparison(middle, *inside(SURE), _verdict(inside(SURE), inside(LIKELY)), pairs)


def _verdict(at_95: tuple[float, float], at_80: tuple[float, float]) -> str:
    """The verdict from the 95 % interval and the 80 % interval."""
    for (low, high), word in ((at_95, "sure"), (at_80, "likely")):
        if low > 0 or high < 0:
            return word
    return "cannot tell"


def _expect(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be 1 or more, got {number!r}")
