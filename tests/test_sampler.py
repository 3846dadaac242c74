"""`sampler`: every length of video gives the frames it should, and none twice without need."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r3d_helpers import sampler

LENGTHS = range(1, 501)
CLIP_LENS = range(1, 65)
lengths = st.integers(1, 5000)
clip_lens = st.integers(1, 64)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# Uniform


def test_uniform_takes_the_golden_midpoints():
    assert sampler.uniform(100, 16) == [
        *(3, 9, 15, 21, 28, 34, 40, 46),
        *(53, 59, 65, 71, 78, 84, 90, 96),
    ]


def test_uniform_takes_each_of_two_frames_eight_times():
    assert sampler.uniform(2) == [0] * 8 + [1] * 8


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_is_as_long_as_asked_ordered_and_inside(n):
    for length in LENGTHS:
        indices = sampler.uniform(length, n)
        assert len(indices) == n
        assert indices == sorted(indices)
        assert indices[0] >= 0
        assert indices[-1] < length


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_loses_no_frame_of_a_short_video(n):
    for length in range(1, n + 1):
        assert set(sampler.uniform(length, n)) == set(range(length))


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_repeats_the_frames_of_a_short_video_equally_often(n):
    for length in range(1, n + 1):
        indices = sampler.uniform(length, n)
        counts = {indices.count(frame) for frame in range(length)}
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_keeps_a_video_that_fits(n):
    assert sampler.uniform(n, n) == list(range(n))


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_steps_are_equal_up_to_one_frame(n):
    for length in LENGTHS:
        steps = {b - a for a, b in pairwise(sampler.uniform(length, n))}
        assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_covers_both_halves_evenly(n):
    for length in LENGTHS:
        indices = sampler.uniform(length, n)
        first = sum(2 * index + 1 < length for index in indices)
        second = sum(2 * index + 1 > length for index in indices)
        assert abs(first - second) <= 1


@pytest.mark.parametrize("n", CLIP_LENS)
def test_uniform_is_its_own_mirror_image_up_to_one_frame(n):
    for length in LENGTHS:
        indices = sampler.uniform(length, n)
        assert all(
            0 <= a + b - (length - 1) <= 1 for a, b in zip(indices, indices[::-1], strict=True)
        )


# Jitter


@given(lengths, clip_lens, st.integers(0, 2**32))
def test_jitter_stays_in_its_segments(length, n, seed):
    indices = sampler.jitter(length, n, generator=seeded(seed))
    assert len(indices) == n
    for i, index in enumerate(indices):
        first, end = i * length // n, (i + 1) * length // n
        assert first <= index < max(end, first + 1) <= length


@given(lengths, clip_lens, st.integers(0, 2**32))
def test_jitter_repeats_with_its_generator(length, n, seed):
    once, again = (sampler.jitter(length, n, generator=seeded(seed)) for _ in range(2))
    assert once == again


def test_jitter_without_a_generator_draws_from_torch():
    torch.manual_seed(5)
    drawn = sampler.jitter(400)
    assert drawn == sampler.jitter(400, generator=seeded(5))


@pytest.mark.parametrize("n", CLIP_LENS)
def test_jitter_loses_no_frame_of_a_short_video(n):
    for length in range(1, n + 1):
        assert set(sampler.jitter(length, n, generator=seeded(0))) == set(range(length))


def test_jitter_reaches_every_frame_of_a_long_video():
    generator = seeded(0)
    drawn = {i for _ in range(200) for i in sampler.jitter(50, 16, generator=generator)}
    assert drawn == set(range(50))


# Dense and multi


@given(st.data(), lengths, clip_lens, st.integers(1, 9))
def test_dense_walks_in_strides_and_then_waits_on_the_last_frame(data, length, n, stride):
    start = data.draw(st.integers(0, length - 1))
    indices = sampler.dense(length, n, stride=stride, start=start)
    inside = list(range(start, length, stride))[:n]
    assert indices[: len(inside)] == inside
    assert indices[len(inside) :] == [length - 1] * (n - len(inside))


def test_multi_takes_the_golden_clips():
    clips = sampler.multi(100, 16, stride=2, num_clips=3)
    assert [clip[0] for clip in clips] == [0, 34, 69]
    assert clips[-1][-1] == 99


@given(lengths, clip_lens, st.integers(1, 5), st.integers(2, 10))
def test_multi_covers_the_first_and_the_last_frame(length, n, stride, num_clips):
    clips = sampler.multi(length, n, stride=stride, num_clips=num_clips)
    assert len(clips) == num_clips
    assert clips[0][0] == 0
    assert clips[-1][-1] == length - 1 or (n - 1) * stride + 1 > length


@given(lengths, clip_lens, st.integers(1, 5), st.integers(3, 10))
def test_multi_spreads_its_starts_evenly(length, n, stride, num_clips):
    clips = sampler.multi(length, n, stride=stride, num_clips=num_clips)
    gaps = [b[0] - a[0] for a, b in pairwise(clips)]
    assert max(gaps) - min(gaps) <= 1


@given(lengths, clip_lens, st.integers(1, 5))
def test_a_single_clip_is_centred(length, n, stride):
    ((first, *rest),) = sampler.multi(length, n, stride=stride, num_clips=1)
    span = (n - 1) * stride + 1
    if span > length:
        assert first == 0
    else:
        assert len(rest) == n - 1
        assert 0 <= (length - first - span) - first <= 1


# The published fix's rule


def restated(x, clip_size):
    """The published fix's code on ``[B, T, C, H, W]``, without the permutes."""
    seq_len = x.shape[1]
    if seq_len < clip_size:
        repeats = torch.tensor([clip_size // seq_len + 1] * seq_len)
        return torch.repeat_interleave(x, repeats=repeats, dim=1)[:, :clip_size]
    return x[:, torch.linspace(0, seq_len - 1, clip_size).long()]


@pytest.mark.parametrize("n", [1, 8, 16, 32, 64])
def test_document_is_the_documents_code(n):
    for length in LENGTHS:
        x = torch.arange(length).view(1, length, 1, 1, 1)
        assert sampler.document(length, n) == restated(x, n).flatten().tolist()


@pytest.mark.parametrize(("length", "lost"), [(8, 2), (10, 2), (12, 4), (13, 5), (14, 6), (15, 7)])
def test_document_loses_the_end_of_a_short_video(length, lost):
    assert set(sampler.document(length)) == set(range(length - lost))


def test_document_rounds_wrongly_where_integers_do_not():
    assert 62 in sampler.document(148, 64)
    assert 63 not in sampler.document(148, 64)


def test_document_rounds_rightly_for_sixteen_frames():
    for length in range(16, 12_001):
        assert sampler.document(length) == [i * (length - 1) // 15 for i in range(16)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rule", [sampler.uniform, sampler.dense, sampler.multi])
def test_a_default_dtype_changes_no_index(rule, dtype):
    right = [rule(length) for length in range(1, 400)]
    torch.set_default_dtype(dtype)
    try:
        assert [rule(length) for length in range(1, 400)] == right
    finally:
        torch.set_default_dtype(torch.float32)


# Bad numbers

SAMPLERS = {
    "uniform": sampler.uniform,
    "jitter": sampler.jitter,
    "dense": sampler.dense,
    "multi": sampler.multi,
    "document": sampler.document,
}


@pytest.mark.parametrize("bad", [0, -3, 7.5, 8.0, "8", None])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_bad_length_is_named(name, bad):
    with pytest.raises(ValueError, match=f"num_frames .* got {bad!r}$"):
        SAMPLERS[name](bad, 16)
    with pytest.raises(ValueError, match=f"clip_len .* got {bad!r}$"):
        SAMPLERS[name](16, bad)


@pytest.mark.parametrize("bad", [0, -1, 1.5])
def test_a_bad_stride_or_number_of_clips_is_named(bad):
    with pytest.raises(ValueError, match=f"stride .* got {bad}$"):
        sampler.dense(9, 4, stride=bad)
    with pytest.raises(ValueError, match=f"stride .* got {bad}$"):
        sampler.multi(9, 4, stride=bad)
    with pytest.raises(ValueError, match=f"num_clips .* got {bad}$"):
        sampler.multi(9, 4, num_clips=bad)


@pytest.mark.parametrize("bad", [-1, 9, 0.5])
def test_a_start_outside_the_video_is_named(bad):
    with pytest.raises(ValueError, match=rf"start .* \[0, 9\), got {bad}$"):
        sampler.dense(9, 4, start=bad)
