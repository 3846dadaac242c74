"""`augment`: one draw per clip."""

import pytest
import torch

from r3d_helpers import augment


@pytest.fixture
def clip():
    return torch.randint(256, (6, 3, 32, 40), dtype=torch.uint8, generator=torch.Generator())


def draw(clip, seed):
    torch.manual_seed(seed)
    return augment.preset("light")(clip)


@pytest.mark.parametrize("seed", range(20))
def test_a_still_clip_stays_still(clip, seed):
    out = draw(clip[:1].repeat(6, 1, 1, 1), seed)
    assert torch.equal(out, out[:1].expand_as(out))


@pytest.mark.parametrize("name", augment.PRESETS)
def test_shape_and_type_stay(clip, name):
    out = augment.preset(name)(clip)
    assert (out.shape, out.dtype) == (clip.shape, torch.uint8)


def test_a_seed_repeats_the_draw(clip):
    assert torch.equal(draw(clip, 3), draw(clip, 3))


def test_draws_differ(clip):
    assert len({draw(clip, seed).numpy().tobytes() for seed in range(10)}) == 10


def test_a_mild_draw_keeps_the_brightness():
    grey = torch.full((4, 3, 32, 32), 128, dtype=torch.uint8)
    means = [draw(grey, seed).float().mean().item() for seed in range(20)]
    assert 95 < min(means) < 120
    assert 136 < max(means) < 160


def test_none_changes_nothing(clip):
    assert torch.equal(augment.preset("none")(clip), clip)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'heavy'.*none, light"):
        augment.preset("heavy")
