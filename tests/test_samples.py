"""The shipped clips: complete, drawn by the code, and without hints to the label."""

import statistics
from pathlib import Path

import pytest
import torch

from r3d_helpers import datasets, metrics, video
from r3d_helpers.classroom import actors, baselines

ROOT = Path(__file__).parents[1] / "data_samples"


@pytest.fixture(scope="module")
def clips():
    return datasets.ravdess(ROOT)


def test_every_actor_acts_every_emotion_twice(clips):
    assert len(clips) == 60 * 7 * 2
    assert len({clip.subject for clip in clips}) == 60
    wanted = {actors.name(a, e, t) for a in range(1, 61) for e in actors.PROTOTYPES for t in (1, 2)}
    assert {clip.path.relative_to(ROOT).as_posix() for clip in clips} == wanted


def test_samples_are_small():
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 8e6


def test_the_code_draws_the_shipped_clips(clips, tmp_path):
    """Without it: the origin of the samples is unknown."""
    for clip in clips[::120]:
        _, _, code, _, _, take, actor = clip.path.stem.split("-")
        drawn = actors.clip(int(actor), datasets.RAVDESS_EMOTIONS[code], int(take))
        again = tmp_path / clip.path.name
        video.write(again, drawn, actors.FPS)
        assert torch.equal(video.read(again), video.read(clip.path)), clip.path.name


def test_lengths_and_rate_are_as_the_readme_says(clips):
    infos = [video.probe(clip.path) for clip in clips[::3]]
    lengths = [info.num_frames for info in infos]
    assert min(lengths) >= 11
    assert max(lengths) <= 45
    assert 0.2 < statistics.mean(length < 16 for length in lengths) < 0.35
    assert {(info.fps, info.height, info.width) for info in infos} == {(15.0, 56, 56)}


@pytest.mark.slow
def test_colour_does_not_give_the_label_away(clips):
    """Without it: a model that uses only colours gets a high score."""
    statistics_of = baselines.colour_statistics(clips)
    classes = sorted(actors.PROTOTYPES)
    targets = torch.tensor([classes.index(clip.label) for clip in clips])
    scores = []
    for seed in range(5):
        _, held_out = datasets.split_by_subject(clips, 0.2, seed=seed)
        people = {clip.subject for clip in held_out}
        assert len(people) >= 8
        unseen = torch.tensor([clip.subject in people for clip in clips])
        scores.append(
            baselines.linear_probe(
                statistics_of[~unseen], targets[~unseen], statistics_of[unseen], targets[unseen]
            ).uar
        )
    assert max(scores) < 1 / 7 + 0.10, scores


def test_the_probe_finds_a_label_that_is_there():
    torch.manual_seed(0)
    targets = torch.arange(7).repeat(40)
    features = torch.randn(280, 6)
    features[:, 2] += 3.0 * targets
    found = baselines.linear_probe(features[:140], targets[:140], features[140:], targets[140:])
    assert found.uar > 0.6


def test_the_probe_takes_features_that_never_change():
    features = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    targets = (features[:, 0] > 0).long()
    dead = torch.cat([features, torch.zeros(60, 2)], 1)
    expected = baselines.linear_probe(features[:40], targets[:40], features[40:], targets[40:])
    found = baselines.linear_probe(dead[:40], targets[:40], dead[40:], targets[40:])
    assert found.uar == expected.uar > 0.8


def test_the_probe_of_more_features_than_clips_is_the_one_of_all_features():
    """It works with fewer; here is what all of them give."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 90, generator=generator).double()
    targets = (features[:, :3].argmax(1) + torch.arange(60) % 2).clamp(max=2)
    train, test = features[:40], features[40:]
    found = baselines.linear_probe(train.float(), targets[:40], test.float(), targets[40:])
    mean, std = train.mean(0), train.std(0)
    train, test = (train - mean) / std, (test - mean) / std
    weight = torch.zeros(3, 90, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.01)
    for _ in range(3000):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(train @ weight.T + bias, targets[:40])
        (loss + 1e-3 * weight.square().sum()).backward()
        optimizer.step()
    right = metrics.score((test @ weight.T + bias).detach(), targets[40:])
    assert found.loss == pytest.approx(right.loss, rel=1e-3)
    assert found.confusion.equal(right.confusion)
