"""Sure, likely, cannot tell: if there is no difference, errors are as rare as promised."""

import numpy as np
import pytest
import torch
from scipy import stats

from r3d_helpers.studies import compare

PEOPLE = 60


def without_difference(experiments, splits, train, test, *, seed=0):
    """Scores ``[experiment, split, learner]`` of two learners of which none is better.

    In each experiment sixty people show two emotions, and a split draws at random whom a learner
    is trained and tested on. One learner sees one half of the features, its twin the other half,
    which is made alike: whatever differs is luck of these people.
    """
    rng = np.random.default_rng(seed)
    shape = (experiments, 2, PEOPLE, 2)  # experiment, learner, person, emotion
    people = rng.standard_normal((*shape, 1, 6))  # a person looks the same in all clips
    clips = people + 0.5 * rng.standard_normal((*shape, 2, 6))
    clips[:, :, :, 1] += 0.45
    middle = clips.mean(4)
    order = np.tile(np.arange(PEOPLE), (experiments, 1))
    scores = []
    for _ in range(splits):
        order = rng.permuted(order, axis=1)
        tested, learned = order < test, order >= PEOPLE - train  # [experiment, person]
        means = np.einsum("elpkd,ep->elkd", middle, learned) / train
        weight = means[:, :, 1] - means[:, :, 0]
        bias = -(weight * means.sum(2)).sum(-1) / 2
        answer = np.einsum("elpkcd,eld->elpkc", clips, weight) + bias[..., None, None, None] > 0
        right = (answer == np.array([False, True])[:, None]).mean((3, 4))
        scores.append(np.einsum("elp,ep->el", right, tested) / test)
    return np.stack(scores, 1)


def share_sure(scores, train, test):
    found = [compare.settings(*pair.T.tolist(), train=train, test=test) for pair in scores]
    words = [one.verdict for one in found]
    return words.count("sure") / len(words), 1 - words.count("cannot tell") / len(words)


@pytest.mark.parametrize(("splits", "train", "test"), [(3, 41, 12), (10, 41, 12), (3, 16, 36)])
def test_sure_is_wrong_at_most_one_time_in_twenty(splits, train, test):
    """Without it: a lesson says "sure", and another draw of the people shows the opposite."""
    scores = without_difference(1500, splits, train, test)
    sure, likely_or_sure = share_sure(scores, train, test)
    chance = 2 * (0.05 * 0.95 / len(scores)) ** 0.5  # two standard errors of counting
    assert 0.005 < sure < 0.05 + chance
    assert likely_or_sure < 0.2 + 2 * chance


def test_a_plain_interval_is_wrong_more_often():
    """Without it: the correction could be left out, and nobody would notice."""
    for splits, least in ((3, 0.07), (10, 0.2)):
        scores = without_difference(1500, splits, 41, 12)
        differences = scores[..., 0] - scores[..., 1]
        error = np.maximum(differences.std(1, ddof=1), 1e-9) / splits**0.5
        plain = 2 * stats.t.sf(np.abs(differences.mean(1)) / error, splits - 1)
        assert (plain < 0.05).mean() > least


def test_disjoint_folds_need_the_correction_too():
    differences = []
    rng = np.random.default_rng(0)
    for _ in range(800):  # five folds: four of five training people are shared
        people = rng.standard_normal(PEOPLE)
        noise = 0.3 * rng.standard_normal(5)
        differences.append(people.reshape(5, -1).mean(1) + noise + 0.2 * rng.standard_normal())
    pairs = [compare.settings(d, [0.0] * 5, train=48, test=12) for d in np.array(differences)]
    sure = sum(one.verdict == "sure" for one in pairs) / len(pairs)
    plain = stats.ttest_1samp(differences, 0, axis=1).pvalue
    assert sure < 0.065 < (plain < 0.05).mean()


def test_sure_of_two_models_is_wrong_at_most_one_time_in_twenty():
    """Without it: results of twelve people seem as sure as those of many."""
    rng, words = np.random.default_rng(0), []
    targets, subjects = torch.arange(14) % 7, [str(n // 14) for n in range(168)]
    targets = targets.repeat(12)
    for _ in range(300):
        skill = 0.75 + 0.12 * rng.standard_normal((2, 12, 1))  # a person is hard, or easy
        right = torch.from_numpy(rng.random((2, 12, 14)) < skill).reshape(2, -1)
        first, second = torch.where(right, targets, (targets + 1) % 7)
        words.append(compare.models(first, second, targets, subjects, draws=1000).verdict)
    assert 0.005 < words.count("sure") / len(words) < 0.05 + 0.025


def test_it_says_what_a_table_of_t_says():
    found = compare.settings([0.9, 0.5, 0.7], [0.8, 0.3, 0.4], train=41, test=12)
    assert found.pairs == pytest.approx([0.1, 0.2, 0.3])
    # 4.303 is in every table for two degrees of freedom
    reach = 4.303 * 0.1 * (1 / 3 + 12 / 41) ** 0.5
    assert (found.mean, found.low, found.high) == pytest.approx(
        (0.2, 0.2 - reach, 0.2 + reach), abs=1e-4
    )
    assert str(found) == "+0.200 (-0.140 to +0.540), likely"


def test_people_are_compared_by_the_plain_table_of_t():
    found = compare.paired([0.9, 0.5, 0.7], [0.8, 0.3, 0.4])
    reach = 4.303 * 0.1 / 3**0.5
    assert (found.low, found.high) == pytest.approx((0.2 - reach, 0.2 + reach), abs=1e-4)
    assert found.pairs == pytest.approx([0.1, 0.2, 0.3])


def test_sure_of_paired_people_is_wrong_at_most_one_time_in_twenty():
    """Without it: the test of lesson 12's maps says "sure" by chance, or never."""
    drawn = np.random.default_rng(0).standard_normal((1500, 2, 12)).tolist()
    words = [compare.paired(*pair, comparisons=2).verdict for pair in drawn]
    assert 0.01 < words.count("sure") / len(words) < 0.025 + 0.01


def test_several_comparisons_widen_every_interval():
    scores, others = [0.80, 0.83, 0.84], [0.70, 0.75, 0.71]
    alone, many = (
        compare.settings(scores, others, train=41, test=12, comparisons=k) for k in (1, 5)
    )
    assert (alone.verdict, many.verdict) == ("sure", "likely")
    # 99 % is one in a hundred, a fifth of one in twenty; 9.925 for two degrees of freedom
    assert many.high - many.mean == pytest.approx((alone.high - alone.mean) * 9.925 / 4.303, 1e-3)


def test_scores_that_differ_by_the_same_number_prove_nothing():
    assert compare.settings([0.5, 0.6], [0.4, 0.5], train=5, test=1).verdict == "cannot tell"


def test_two_models_are_compared_on_the_same_people():
    targets = torch.arange(7).repeat(20)
    subjects = [str(n // 7) for n in range(140)]
    good, bad = targets.clone(), targets.clone()
    hard = torch.tensor([int(s) % 3 == 0 for s in subjects])
    good[hard], bad[hard] = 0, 0  # both fail for the same people
    bad[(targets == 3) & (torch.arange(140) % 14 < 7)] = 0
    found = compare.models(good, bad, targets, subjects)
    assert found.verdict == "sure"
    assert found.mean == pytest.approx(
        (good == targets).double().mean() - (bad == targets).double().mean()
    )
    back = compare.models(bad, good, targets, subjects)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=0.005)


def test_power_is_what_simulation_says():
    """Without it: the number of splits that the lesson names is too small in half of the
    experiments.
    """
    train, test, gain, deviation = 57, 3, 0.05, 0.04
    n = compare.splits_needed(gain, deviation, train=train, test=test)
    rng = np.random.default_rng(0)
    rho = (test / train) / (1 + test / train)  # what the correction takes for the shared part
    spread = deviation / (1 - rho) ** 0.5 * np.array([rho**0.5, (1 - rho) ** 0.5])
    d = (
        gain
        + spread[0] * rng.standard_normal((1500, 1))
        + spread[1] * rng.standard_normal((1500, n))
    )
    found = [compare.settings(row, [0.0] * n, train=train, test=test).verdict for row in d]
    assert found.count("sure") / len(found) == pytest.approx(0.8, abs=0.05)


def test_more_splits_of_the_same_people_are_not_always_enough():
    assert compare.splits_needed(0.02, 0.03, train=41, test=12) is None
    assert compare.splits_needed(0.06, 0.03, train=41, test=12) is not None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: compare.settings([1], [1], train=4, test=1), "2 pairs or more, got 1 and 1"),
        (lambda: compare.settings([1, 2], [1], train=4, test=1), "got 2 and 1 scores"),
        (lambda: compare.settings([1, 2], [1, 3], train=0, test=1), "train must be 1 or more"),
        (lambda: compare.paired([1], [1]), "2 pairs or more, got 1 and 1"),
        (lambda: compare.paired([1, 2], [1, 3], comparisons=0), "comparisons must be 1 or more"),
        (lambda: compare.splits_needed(0, 1, train=4, test=1), "gain and deviation"),
        (lambda: compare.splits_needed(1, 1, train=4, test=1, power=1), "between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
