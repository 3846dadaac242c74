"""The film at the top of the README: it shows the bug, is small, and does not flash."""

import torch
from PIL import Image, ImageSequence

from r3d_helpers import sampler, video
from tools import opening


def test_the_stored_film_is_the_one_that_the_command_makes():
    """Without it: the first picture that people see shows another clip, or no bug at all."""
    stored = [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(opening.FILM))]
    made = opening.film()
    assert len(stored) == len(made) == opening.SHOWN
    for one, other in zip(stored, made, strict=True):
        assert one.size == other.size
        below = (0, opening._LABEL, *one.size)  # letters are drawn by whichever FreeType there is
        assert one.crop(below).tobytes() == other.crop(below).tobytes()
    assert Image.open(opening.STILL).size == opening.still().size


def test_left_is_the_video_and_right_is_made_of_its_numbers():
    true, scrambled = opening.pair()
    assert true.equal(video.read(opening.CLIP, sampler.uniform))
    assert true.shape == scrambled.shape
    assert scrambled.transpose(0, 1).flatten().equal(true.flatten())
    assert not true.equal(scrambled)


def test_the_film_is_small_and_ends_before_it_disturbs():
    """Without it: the page moves for ever, or flashes more often than three times a second."""
    film = Image.open(opening.FILM)
    assert opening.FILM.stat().st_size < 300_000
    assert film.info["loop"] == opening.PLAYED
    lasts = 0  # milliseconds
    for frame in ImageSequence.Iterator(film):
        frame.load()
        lasts += frame.info["duration"]
    assert 2_000 < lasts * opening.PLAYED <= 5_000
    red = torch.stack([frames[:, 0].float().mean((1, 2)) for frames in opening.pair()], 1)[:, 1]
    peaks = ((red[1:-1] > red[:-2]) & (red[1:-1] > red[2:])).sum() + 2
    assert peaks / (len(red) / opening.FPS) <= 3
