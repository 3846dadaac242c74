"""`crops`: the square is on the face, inside the frame, and does not move within a clip."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from r3d_helpers import video
from r3d_helpers.apply.crops import FaceCrop, NoFaceError, SeveralFaces, Track

DATA = Path(__file__).parent / "data"
# What the film shows: left, top, right and bottom of the (larger) face.
FACES = {
    "h264.mp4": (28, 36, 73, 81),
    "vfr.mp4": (28, 36, 73, 81),
    "vp9_odd.webm": (28, 36, 73, 81),
    "late_face.mp4": (31, 36, 75, 81),
    "rotated.mov": (29, 41, 71, 80),
    "two_faces.mp4": (23, 30, 69, 76),
}


def track_of(*faces, seconds=None, size=(1000, 1000)):
    """A track with one look a second."""
    seconds = [float(i) for i in range(len(faces))] if seconds is None else seconds
    return Track(*size, seconds, seconds, list(faces))


def square(track, crop=None, *stretch):
    crop = FaceCrop(margin=0) if crop is None else crop
    return crop.square(track, "clip.mp4", *stretch)


def assert_on(box, face):
    """The square holds the face, and not much else."""
    (top, left, height, width), (x0, y0, x1, y1) = box, face
    assert height == width
    assert top <= y0
    assert left <= x0
    assert top + height >= y1
    assert left + width >= x1
    assert height < 1.8 * max(x1 - x0, y1 - y0)


# The face of a film


@pytest.mark.parametrize("name", FACES)
def test_the_square_lies_on_the_face(name):
    crop = FaceCrop()
    box = crop.square(crop.track(DATA / name), DATA / name)
    assert_on(box, FACES[name])


@pytest.mark.parametrize("name", ["h264.mp4", "late_face.mp4"])
def test_all_frames_of_a_clip_show_the_same_square(name):
    crop = FaceCrop()
    box = crop.square(crop.track(DATA / name), DATA / name)
    assert torch.equal(crop.read(DATA / name), video.read(DATA / name, box=box))


def test_frames_and_size_are_chosen_as_in_video():
    path = DATA / "h264.mp4"
    crop = FaceCrop()
    whole = video.read(path, size=(32, 32), box=crop.square(crop.track(path), path))
    assert torch.equal(crop.read(path, [7, 0, 7], (32, 32)), whole[[7, 0, 7]])
    assert torch.equal(crop.read(path, lambda n: [n - 1], (32, 32)), whole[[19]])


def test_of_two_faces_the_larger_is_taken_whichever_is_found_first(fake):
    small, large = (110.0, 20.0, 30.0, 30.0), (10.0, 20.0, 40.0, 40.0)
    for order in ((small, large), (large, small)):
        fake.faces = order
        track = FaceCrop(detector=fake.path).track(DATA / "h264.mp4")
        assert np.array(track.faces) == pytest.approx(np.array([large] * 4), abs=1e-3)


def test_a_track_tells_size_times_and_duration():
    track = FaceCrop(every=8).track(DATA / "vfr.mp4")
    assert (track.height, track.width) == (120, 160)
    assert len(track.times) == 20
    assert track.times[-1] == pytest.approx(2.3, abs=1e-3)  # of the last frame, not the last look
    assert track.seconds == pytest.approx([0, 8 / 30, 1.7], abs=1e-3)
    assert len(track.faces) == 3


@pytest.mark.parametrize(("every", "looks"), [(1, 20), (3, 7), (5, 4), (19, 2), (20, 1), (99, 1)])
def test_every_few_frames_are_looked_at(fake, every, looks):
    FaceCrop(every=every, detector=fake.path).track(DATA / "h264.mp4")
    assert len(fake.seen) == looks


def test_videos_can_be_looked_at_side_by_side():
    crop = FaceCrop()
    paths = [DATA / name for name in ("h264.mp4", "no_face.mp4", "rotated.mov")] * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(crop.track, paths)) == [crop.track(path) for path in paths[:3]] * 3


# No face


def test_no_face_is_an_error_with_file_and_counts():
    path = DATA / "no_face.mp4"
    with pytest.raises(NoFaceError, match=r"a face in 0 of 3 frames looked at") as caught:
        FaceCrop().read(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, video.VideoError)


def test_without_a_face_the_centre_can_be_taken():
    frames = FaceCrop(no_face="centre").read(DATA / "no_face.mp4")
    assert torch.equal(frames, video.read(DATA / "no_face.mp4")[..., 20:140])


@pytest.mark.parametrize(("seen", "looks"), [(1, 1), (1, 4), (2, 8), (3, 12), (25, 100)])
def test_a_face_in_a_quarter_of_the_looks_is_enough(seen, looks):
    faces = [(100.0, 200.0, 50.0, 50.0)] * seen + [None] * (looks - seen)
    assert square(track_of(*faces)) == (200, 100, 50, 50)


@pytest.mark.parametrize(("seen", "looks"), [(0, 1), (0, 8), (1, 5), (1, 8), (2, 9), (24, 100)])
def test_a_face_in_less_than_a_quarter_of_the_looks_is_none(seen, looks):
    faces = [(100.0, 200.0, 50.0, 50.0)] * seen + [None] * (looks - seen)
    track = track_of(*faces, size=(600, 1000))
    with pytest.raises(NoFaceError, match=rf"clip\.mp4: a face in {seen} of {looks} frames"):
        square(track)
    assert square(track, FaceCrop(no_face="centre")) == (0, 200, 600, 600)


@pytest.mark.parametrize("name", ["audio_only.mp4", "missing.mp4", "."])
@pytest.mark.parametrize("no_face", ["error", "centre"])
def test_a_file_that_cannot_be_read_is_no_missing_face(name, no_face):
    with pytest.raises(video.VideoError, match=r"cannot be opened|no such file|is a folder") as got:
        FaceCrop(no_face=no_face).read(DATA / name)
    assert not isinstance(got.value, NoFaceError)


@pytest.mark.filterwarnings("ignore:.*cut short")
def test_a_film_cut_short_is_cropped_as_far_as_it_goes():
    path = DATA / "truncated.mp4"
    crop = FaceCrop()
    box = crop.square(crop.track(path), path)
    assert_on(box, FACES["h264.mp4"])
    assert torch.equal(crop.read(path), video.read(path, box=box))


# The square

pixels = st.floats(-1e4, 1e4)
sides = st.floats(0, 1e4)
some = st.tuples(pixels, pixels, sides, sides)
some_or_none = some | st.none()
margins = st.floats(0, 9.99)


@st.composite
def tracks(draw, faces=some_or_none):
    size = draw(st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
    return track_of(*draw(st.lists(faces, min_size=1, max_size=12)), size=size)


@given(tracks(), margins)
def test_whatever_was_found_the_square_lies_within_the_frame(track, margin):
    top, left, height, width = square(track, FaceCrop(no_face="centre", margin=margin))
    assert 1 <= height == width
    assert 0 <= top <= track.height - height
    assert 0 <= left <= track.width - width


@given(tracks(some), margins, margins)
def test_a_larger_margin_makes_no_smaller_square(track, one, other):
    crops = [FaceCrop(no_face="centre", margin=margin) for margin in sorted((one, other))]
    small, large = (square(track, crop) for crop in crops)
    assert small[2] <= large[2]


@given(
    st.tuples(st.integers(100, 3000), st.integers(100, 3000)),
    st.tuples(st.floats(0, 3000), st.floats(0, 3000), st.floats(1, 300), st.floats(1, 300)),
    st.floats(0, 1),
)
def test_a_square_that_fits_is_centred_on_the_face(size, face, margin):
    track = track_of(face, size=size)
    top, left, height, _ = square(track, FaceCrop(margin=margin))
    x, y, w, h = face
    side = max(w, h) * (1 + 2 * margin)
    assume(1 <= side <= min(track.height, track.width))
    assert abs(height - side) <= 0.5
    for first, middle, whole in [(top, y + h / 2, track.height), (left, x + w / 2, track.width)]:
        if side / 2 + 1 <= middle <= whole - side / 2 - 1:
            assert abs(first + height / 2 - middle) <= 1


@pytest.mark.parametrize(
    ("face", "box"),
    [
        ((-20, 300, 100, 100), (250, 0, 200, 200)),
        ((950, 300, 100, 100), (250, 800, 200, 200)),
        ((300, -20, 100, 100), (0, 250, 200, 200)),
        ((300, 950, 100, 100), (800, 250, 200, 200)),
        ((960, 970, 100, 100), (800, 800, 200, 200)),
    ],
)
def test_at_an_edge_the_square_keeps_its_size_and_moves_inwards(face, box):
    assert square(track_of(face), FaceCrop(margin=0.5)) == box


def test_the_margin_is_a_share_of_the_face_on_each_side():
    track = track_of((400.0, 300.0, 100.0, 100.0))
    boxes = [square(track, FaceCrop(margin=margin)) for margin in (0, 0.25, 1)]
    assert boxes == [(300, 400, 100, 100), (275, 375, 150, 150), (200, 300, 300, 300)]


def test_the_longer_side_of_a_face_is_kept_whole():
    assert square(track_of((400.0, 300.0, 100.0, 60.0))) == (280, 400, 100, 100)
    assert square(track_of((400.0, 300.0, 60.0, 100.0))) == (300, 380, 100, 100)


@pytest.mark.parametrize("outlier", [(900.0, 0.0, 20.0, 20.0), (0.0, 900.0, 600.0, 600.0), None])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_single_outlier_does_not_move_the_square(outlier, place):
    faces = [(300.0, 400.0, 80.0, 80.0)] * 5
    faces[place] = outlier
    assert square(track_of(*faces)) == (400, 300, 80, 80)


# Two people

LEFT, RIGHT = (100.0, 400.0, 80.0, 80.0), (500.0, 400.0, 90.0, 90.0)


@pytest.fixture
def dialogue(tmp_path):
    """A large face on the left; then, as another camera shows it, one on the right."""
    scene = video.read(DATA / "two_faces.mp4").numpy()
    frames = [scene, scene, scene[:4], scene[..., ::-1], scene[..., ::-1], scene[:4, ..., ::-1]]
    video.write(tmp_path / "dialogue.mp4", np.concatenate(frames), 15)
    return tmp_path / "dialogue.mp4"


def test_of_two_people_one_is_shown_whole_and_the_other_is_told(dialogue):
    crop = FaceCrop()
    track = crop.track(dialogue)
    x0 = [face[0] for face in track.faces]
    assert max(x0[:4]) < 100 < min(x0[4:])
    _, left, _, width = crop.square(track, dialogue)
    whole = [left <= x and x + w <= left + width for x, _, w, _ in track.faces]
    assert whole in ([True] * 4 + [False] * 4, [False] * 4 + [True] * 4)
    with pytest.warns(SeveralFaces, match=r"dialogue\.mp4: a face in 4 of 8 frames .* place, in 4"):
        crop.read(dialogue)


@pytest.mark.parametrize(("left", "right"), [(5, 4), (4, 5), (6, 1), (1, 6), (3, 2)])
def test_the_square_lies_on_who_is_seen_most(left, right):
    faces = [LEFT] * left + [RIGHT] * right
    expected = (400, 100, 80, 80) if left > right else (400, 500, 90, 90)
    for order in (faces, faces[::-1], faces[::2] + faces[1::2]):
        assert square(track_of(*order)) == expected


def test_of_two_who_are_seen_equally_often_the_larger_is_taken():
    for faces in ([LEFT, RIGHT], [RIGHT, LEFT], [LEFT, RIGHT, None, RIGHT, LEFT]):
        assert square(track_of(*faces)) == (400, 500, 90, 90)


def test_somebody_who_walks_is_one_person():
    walk = [(100.0 + 90 * i, 400.0, 60.0, 60.0) for i in range(8)]
    found = FaceCrop().sighting(track_of(*walk))
    assert (found.looks, found.here, found.elsewhere) == (8, 8, 0)


def test_hits_here_and_there_are_no_face():
    scattered = [(100.0 * i, 110.0 * i, 20.0, 20.0) for i in range(1, 9)]
    with pytest.raises(NoFaceError, match="a face in 1 of 8 frames looked at and, at another"):
        square(track_of(*scattered))


@pytest.mark.parametrize(
    ("faces", "sure", "told"),
    [
        ([LEFT] * 8, True, False),
        ([LEFT] * 5 + [None] * 3, True, False),
        ([LEFT] * 4 + [None] * 4, False, False),
        ([LEFT] * 6 + [RIGHT] * 2, True, False),
        ([LEFT] * 6 + [RIGHT] * 3, True, False),
        ([LEFT] * 5 + [RIGHT] * 3, False, True),
        ([LEFT] * 4 + [RIGHT] * 4, False, True),
        ([None] * 8, False, False),
    ],
)
def test_a_crop_says_how_sure_it_is(faces, sure, told, recwarn):
    crop, track = FaceCrop(), track_of(*faces)
    found = crop.sighting(track)
    assert found.sure == sure
    assert found.enough == any(faces)
    crop.warn(track, "a.mp4")
    assert [w.category for w in recwarn] == [SeveralFaces] * told


def test_of_a_longer_film_the_stretches_with_several_faces_are_counted(recwarn):
    track = track_of(*[LEFT] * 6, LEFT, RIGHT, LEFT, RIGHT)
    crop, spans = FaceCrop(), [(0, 3), (3, 6), (6, 9)]
    crop.warn(track, "a.mp4", spans)
    (told,) = recwarn
    assert "at another place, in 2 in 1 of 3 windows; the crop follows the first" in str(
        told.message
    )


# A stretch of a longer film

WALK = track_of(*((100.0 * i, 0.0, 50.0, 50.0) for i in range(1, 6)))  # a look a second, 0 to 4


@pytest.mark.parametrize(
    ("begin", "end", "left"),
    [
        (0, 4, 300),
        (0, 2, 200),  # the looks at both ends count
        (1, 2, 250),
        (3.5, 9, 500),
        (2, 2, 300),
        (1.1, 1.4, 200),  # between two looks: the nearer one
        (1.6, 1.9, 300),
        (1.1, 1.8, 200),  # nearer to its middle
        (1.2, 1.9, 300),
        (8, 9, 500),  # behind the last look
        (8, float("inf"), 500),
    ],
)
def test_a_stretch_is_cut_by_its_own_looks(begin, end, left):
    assert square(WALK, None, begin, end) == (0, left, 50, 50)


def test_a_stretch_without_an_end_goes_on_to_the_last_look():
    assert square(WALK, None, 3.0) == (0, 450, 50, 50)
    assert square(WALK) == (0, 300, 50, 50)


def test_looks_outside_the_stretch_do_not_count_as_missing():
    track = track_of(*[None] * 9, (100.0, 200.0, 50.0, 50.0))
    assert square(track, None, 8.5, 9.5) == (200, 100, 50, 50)
    for stretch in [(), (0, 8), (3.2, 3.4)]:
        with pytest.raises(NoFaceError):
            square(track, None, *stretch)


# Settings


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"no_face": "skip"}, "no_face must be 'error' or 'centre', got 'skip'"),
        ({"no_face": None}, "no_face must be 'error' or 'centre', got None"),
        ({"margin": -0.1}, r"margin must lie in \[0, 10\), got -0\.1"),
        ({"margin": 10}, r"margin must lie in \[0, 10\), got 10"),
        ({"margin": float("nan")}, "margin must lie in .* got nan"),
        ({"every": 0}, "every must be an integer of 1 or more, got 0"),
        ({"every": -5}, "every must be an integer of 1 or more, got -5"),
    ],
)
def test_a_setting_out_of_range_is_named(bad, reason):
    with pytest.raises(ValueError, match=reason):
        FaceCrop(**bad)


@pytest.mark.parametrize("name", ["", "missing.onnx"])
def test_a_missing_detector_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no face detector at") as caught:
        FaceCrop(detector=str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("name", ["yunet.onnx", "yunet.txt", "yunet"])
@pytest.mark.parametrize("content", [b"", b"To be, or not to be", bytes(range(256)) * 8])
def test_a_file_that_is_no_model_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a face detector") as caught:
        FaceCrop(detector=str(path))
    assert str(path) in str(caught.value)


def test_settings_survive_as_a_dictionary(fake):
    for crop in [FaceCrop(), FaceCrop("centre", 0.1, 3, fake.path)]:
        assert FaceCrop(**json.loads(json.dumps(asdict(crop)))) == crop


# The detector from a file


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Stands in for ``cv2.FaceDetectorYN``; finds `faces`, given in pixels of a 120x160 frame."""

    class Fake:
        path = str(tmp_path / "yunet.onnx")
        faces = ((30.0, 15.0, 60.0, 45.0),)
        scale = 320 / 120

        @classmethod
        def create(cls, model, *_, **__):
            cls.made.append(model)
            return cls()

        def setInputSize(self, size):
            self.size = size

        def detect(self, image):
            assert self.size == image.shape[1::-1], "the network expects another size"
            self.seen.append(image)
            if not self.faces:
                return 1, None
            found = np.full((len(self.faces), 15), 7, np.float32)
            found[:, :4] = np.array(self.faces) * self.scale
            return 1, found

    Fake.made, Fake.seen = [], []  # paths of models; images searched
    Path(Fake.path).write_bytes(b"made up")
    monkeypatch.setattr(cv2, "FaceDetectorYN", Fake)
    return Fake


def test_a_detector_from_a_file_finds_the_face_in_the_frames_own_pixels(fake):
    crop = FaceCrop(margin=0, detector=fake.path)
    track = crop.track(DATA / "h264.mp4")
    assert np.array(track.faces) == pytest.approx(np.array([[30, 15, 60, 45]] * 4), abs=1e-3)
    assert square(track, crop) == (8, 30, 60, 60)
    assert set(fake.made) == {fake.path}
    assert len(fake.made) == 2  # one to try it, one for the video: networks are not shared


def test_a_detector_from_a_file_sees_bgr(fake):
    FaceCrop(every=20, detector=fake.path).track(DATA / "h264.mp4")
    (seen,) = fake.seen
    red, _, blue = video.read(DATA / "h264.mp4", [0]).float().mean((0, 2, 3))
    assert abs(red - blue) > 3
    assert seen[..., 0].mean() == pytest.approx(blue, abs=0.5)
    assert seen[..., 2].mean() == pytest.approx(red, abs=0.5)


@pytest.mark.parametrize(
    ("size", "searched"),
    [((48, 64), (192, 256)), ((480, 640), (320, 427)), ((640, 480), (427, 320))],
)
def test_frames_are_searched_at_one_size_but_never_blown_up_out_of_all_proportion(
    fake, tmp_path, size, searched
):
    video.write(tmp_path / "grey.mp4", np.full((1, 3, *size), 128, np.uint8), 15)
    fake.scale = searched[0] / size[0]
    track = FaceCrop(detector=fake.path).track(tmp_path / "grey.mp4")
    assert [image.shape for image in fake.seen] == [(*searched, 3)]
    assert track.faces[0] == pytest.approx((30, 15, 60, 45), rel=0.01)


def test_a_detector_from_a_file_that_finds_nothing_finds_no_face(fake):
    fake.faces = ()
    crop = FaceCrop(detector=fake.path)
    assert crop.track(DATA / "h264.mp4").faces == [None] * 4
    with pytest.raises(NoFaceError, match="in 0 of 4"):
        crop.read(DATA / "h264.mp4")


# The key


def test_the_key_changes_with_every_setting(fake):
    others = [{"no_face": "centre"}, {"margin": 0.2}, {"every": 4}, {"detector": fake.path}]
    assert len({FaceCrop(**other).key for other in [{}, *others]}) == 5
    assert FaceCrop().key == FaceCrop().key


def test_the_key_knows_the_detector_by_its_content_not_its_name(fake, tmp_path):
    before = FaceCrop(detector=fake.path).key
    for name, content in [("copy.onnx", b"made up"), ("other.onnx", b"made up too")]:
        (tmp_path / name).write_bytes(content)
    assert FaceCrop(detector=str(tmp_path / "copy.onnx")).key == before
    assert FaceCrop(detector=str(tmp_path / "other.onnx")).key != before
    crop = FaceCrop(detector=fake.path)
    Path(fake.path).write_bytes(b"retrained")
    assert crop.key != before


def test_a_network_that_is_no_face_detector_is_named(tmp_path):
    ends = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 320, 320]) for n in "xy")
    x, y = ends
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", [x], [y])
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(ValueError, match=r"relu\.onnx: not a face detector"):
        FaceCrop(detector=str(path)).read(DATA / "h264.mp4")


@pytest.mark.parametrize("every", [float("nan"), 2.5])
def test_looks_are_whole_frames_apart(every):
    with pytest.raises(ValueError, match="every must be an integer"):
        FaceCrop(every=every)


def test_other_margins_look_no_second_time_but_a_changed_video_is_looked_at(tmp_path, monkeypatch):
    path, looks, pictures = tmp_path / "a.mp4", [], video.pictures

    def spy(file):
        looks.append(file)
        return pictures(file)

    monkeypatch.setattr(video, "pictures", spy)
    shutil.copy(DATA / "h264.mp4", path)
    assert FaceCrop(margin=0.1).track(path) is FaceCrop(margin=0.5).track(path)
    assert len(looks) == 1
    FaceCrop(every=7).track(path)
    assert len(looks) == 2
    shutil.copy(DATA / "vfr.mp4", path)
    changed = FaceCrop(margin=0.1).track(path)
    assert len(looks) == 3
    assert changed == FaceCrop().track(DATA / "vfr.mp4")
