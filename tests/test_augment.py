"""`augment`: one random draw per clip, and the label of an emotion stays right."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r3d_helpers import augment, sampler

seeds = st.integers(0, 2**32 - 1)
presets = st.sampled_from(augment.PRESETS)
shapes = st.tuples(st.integers(1, 9), st.just(3), st.integers(16, 48), st.integers(16, 48))
few = settings(deadline=None, max_examples=60)


@st.composite
def clips(draw):
    """Noise, uint8 [T, C, H, W]: no two frames are alike."""
    generator = torch.Generator().manual_seed(draw(seeds))
    return torch.randint(256, draw(shapes), dtype=torch.uint8, generator=generator)


def apply(transform, clip, seed):
    torch.manual_seed(seed)
    return transform(clip)


def shown(frame, singles):
    """Which of the frames, augmented alone under the same seed, this one is."""
    return [t for t, single in enumerate(singles) if single.equal(frame)]


@few
@given(clips(), presets, seeds)
def test_shape_type_and_range_stay(clip, name, seed):
    before = clip.clone()
    out = apply(augment.preset(name), clip, seed)
    assert (out.shape, out.dtype) == (clip.shape, torch.uint8)
    assert clip.equal(before)


@few
@given(clips(), presets, seeds)
def test_every_frame_gets_the_same_parameters_and_keeps_its_place(clip, name, seed):
    out = apply(augment.preset(name), clip, seed)
    singles = [apply(augment.preset(name), frame[None], seed)[0] for frame in clip]
    places = [shown(frame, singles) for frame in out]
    assert all(places), "a frame was drawn for itself"
    if name == "strong":  # a lost frame shows one before it
        assert all(min(place) <= t for t, place in enumerate(places))
    else:
        assert all(t in place for t, place in enumerate(places))


@few
@given(clips(), presets, seeds)
def test_a_still_clip_stays_still(clip, name, seed):
    still = clip[:1].expand(6, -1, -1, -1)
    out = apply(augment.preset(name), still, seed)
    assert out.equal(out[:1].expand_as(out))


@few
@given(clips(), presets, seeds)
def test_a_seed_repeats_the_draw(clip, name, seed):
    assert apply(augment.preset(name), clip, seed).equal(apply(augment.preset(name), clip, seed))


@few
@given(presets, seeds, st.integers(2, 9))
def test_up_stays_up_and_earlier_stays_earlier(name, seed, num_frames):
    clip = torch.full((num_frames, 3, 32, 32), 60, dtype=torch.uint8)
    clip[:, :, :16] = 190  # light from above
    out = apply(augment.preset(name), clip, seed).float()
    assert (out[:, :, :12].mean((1, 2, 3)) > out[:, :, -12:].mean((1, 2, 3)) + 20).all()

    rising = torch.linspace(60, 190, num_frames).byte().view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    brightness = apply(augment.preset(name), rising, seed).float().mean((1, 2, 3))
    assert (brightness.diff() > -0.5).all()


@few
@given(presets, seeds)
def test_the_middle_of_the_picture_stays_in_sight(name, seed):
    clip = torch.full((2, 3, 48, 48), 60, dtype=torch.uint8)
    clip[:, :, 16:32, 16:32] = 250  # a mouth
    out = apply(augment.preset(name), clip, seed).float().mean(1)
    mouth = (out > out[:, :1, :1] + 20).float().mean((1, 2))
    assert (mouth > 0.02).all()  # of a ninth


@pytest.mark.parametrize("name", augment.PRESETS)
def test_draws_differ_unless_there_is_nothing_to_draw(name):
    clip = torch.randint(256, (4, 3, 32, 40), dtype=torch.uint8)
    draws = {apply(augment.preset(name), clip, s).numpy().tobytes() for s in range(10)}
    assert len(draws) == (1 if name == "none" else 10)


def test_about_half_of_the_clips_are_mirrored():
    clip = torch.full((2, 3, 32, 32), 60, dtype=torch.uint8)
    clip[..., :16] = 190
    for name in ("light", "strong"):
        outs = [apply(augment.preset(name), clip, s).float() for s in range(200)]
        mirrored = sum(bool(o[..., :12].mean() < o[..., -12:].mean()) for o in outs)
        assert 70 < mirrored < 130


def test_the_stronger_preset_changes_more():
    clip = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8).float()
    smooth = torch.nn.functional.avg_pool2d(clip, 9, 1, 4).byte()
    change = {
        name: sum(
            (apply(augment.preset(name), smooth, s).float() - smooth.float()).abs().mean()
            for s in range(100)
        )
        for name in augment.PRESETS
    }
    assert change["none"] == 0 < change["light"] < change["strong"]


def test_none_changes_nothing():
    clip = torch.randint(256, (4, 3, 16, 20), dtype=torch.uint8)
    assert augment.preset("none")(clip).equal(clip)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'heavy'.*none, light, strong"):
        augment.preset("heavy")


@few
@given(clips(), st.floats(0, 1), seeds)
def test_a_lost_frame_shows_the_one_before_it(clip, p, seed):
    out = apply(augment.FrameDrop(p), clip, seed)
    assert out[0].equal(clip[0])
    for t in range(1, len(clip)):
        assert out[t].equal(clip[t]) or out[t].equal(out[t - 1])


def test_the_share_of_lost_frames_is_the_one_asked_for():
    clip = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1)
    for p in (0, 0.1, 0.6, 1):
        lost = [(apply(augment.FrameDrop(p), clip, s) != clip).float().mean() for s in range(20)]
        assert sum(lost) / 20 == pytest.approx(p * 199 / 200, abs=0.03)


@few
@given(clips(), seeds)
def test_reverse_turns_all_frames_or_none(clip, seed):
    assert augment.Reverse(1)(clip).equal(clip.flip(0))
    assert augment.Reverse(0)(clip).equal(clip)
    out = apply(augment.Reverse(), clip, seed)
    assert out.equal(clip) or out.equal(clip.flip(0))


def test_reverse_turns_about_half():
    clip = torch.arange(4, dtype=torch.uint8).view(-1, 1, 1, 1)
    turned = sum(bool(apply(augment.Reverse(), clip, s)[0] == 3) for s in range(200))
    assert 70 < turned < 130


@few
@given(st.integers(1, 60), st.integers(1, 32), st.floats(0, 1), seeds)
def test_speed_samples_one_stretch_of_the_video(num_frames, clip_len, shortest, seed):
    torch.manual_seed(seed)
    stretches = []

    def spy(length, n):
        stretches.append(length)
        return sampler.uniform(length, n)

    indices = augment.Speed(spy, shortest)(num_frames, clip_len)
    (length,) = stretches
    assert max(1, round(shortest * num_frames)) <= length <= num_frames
    start = indices[0] - sampler.uniform(length, clip_len)[0]
    assert 0 <= start <= num_frames - length
    assert indices == [start + i for i in sampler.uniform(length, clip_len)]


def test_speed_reaches_both_ends_of_the_video():
    fast = augment.Speed(lambda length, _: [0, length - 1], 0.5)
    stretches = {tuple(fast(10, 2)) for _ in range(500)}
    assert {(0, 9), (0, 4), (5, 9)} <= stretches


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_named(value):
    makers = {
        "p": [augment.FrameDrop, augment.Reverse],
        "shortest": [lambda share: augment.Speed(sampler.uniform, share)],
    }
    for name, makes in makers.items():
        for make in makes:
            with pytest.raises(ValueError, match=rf"^{name} must lie in \[0, 1\], got {value}"):
                make(value)
