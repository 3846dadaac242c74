"""`datasets`: the right files, the right labels, and no person on both sides of a split."""

import pickle
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from r3d_helpers import augment, datasets, sampler, video
from r3d_helpers.apply import overview
from r3d_helpers.apply.cache import ClipCache
from r3d_helpers.apply.crops import FaceCrop, NoFaceError
from r3d_helpers.apply.runs import Shape

SAMPLES = Path(__file__).parents[1] / "data_samples"
DATA = Path(__file__).parent / "data"
Clip = datasets.Clip


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(clips):
    return [clip.path.name for clip in clips]


def cast(subjects, takes=2):
    return [Clip(Path(f"{s}_{t}.mp4"), "happy", s) for s in subjects for t in range(takes)]


def seen(clips):
    return {clip.subject for clip in clips}


# RAVDESS


def test_ravdess_reads_label_and_actor_from_the_name(tmp_path):
    touch(tmp_path, *(f"Actor_07/02-01-0{e}-01-01-01-07.mp4" for e in range(1, 9)))
    clips = datasets.ravdess(tmp_path)
    assert [clip.label for clip in clips] == [
        *("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    ]
    assert seen(clips) == {"07"}


def test_ravdess_takes_videos_only(tmp_path):
    touch(tmp_path, "02-01-03-01-01-01-07.mp4", "03-01-03-01-01-02-07.mp4")
    touch(tmp_path, "02-01-03-01-02-01-07.wav", "notes.txt", "clip.mp4")
    assert names(datasets.ravdess(tmp_path)) == ["02-01-03-01-01-01-07.mp4"]


@pytest.mark.parametrize(("channel", "code"), [("speech", "01"), ("song", "02")])
def test_ravdess_keeps_one_channel(tmp_path, channel, code):
    touch(tmp_path, "02-01-03-01-01-01-07.mp4", "02-02-03-01-01-01-07.mp4")
    assert names(datasets.ravdess(tmp_path, channel=channel)) == [f"02-{code}-03-01-01-01-07.mp4"]


def test_ravdess_speaks_by_default(tmp_path):
    touch(tmp_path, "02-01-03-01-01-01-07.mp4", "02-02-03-01-01-01-07.mp4")
    assert datasets.ravdess(tmp_path) == datasets.ravdess(tmp_path, channel="speech")


def test_ravdess_does_not_know_a_third_channel(tmp_path):
    with pytest.raises(ValueError, match="got 'opera'"):
        datasets.ravdess(tmp_path, channel="opera")


def test_ravdess_keeps_one_file_of_a_performance(tmp_path):
    touch(tmp_path, "av/01-01-03-01-01-01-07.mp4", "silent/02-01-03-01-01-01-07.mp4")
    touch(tmp_path, "silent/02-01-03-01-01-02-07.mp4")
    performances = [name[2:] for name in names(datasets.ravdess(tmp_path))]
    assert performances == ["-01-03-01-01-01-07.mp4", "-01-03-01-01-02-07.mp4"]


def test_ravdess_is_ordered_by_actor_wherever_the_files_lie(tmp_path):
    touch(tmp_path, "a/b/02-01-03-01-01-01-10.MP4", "z/02-01-03-01-01-01-02.mp4")
    touch(tmp_path, "02-01-04-01-01-01-02.mp4")
    assert names(datasets.ravdess(tmp_path)) == [
        "02-01-03-01-01-01-02.mp4",
        "02-01-04-01-01-01-02.mp4",
        "02-01-03-01-01-01-10.MP4",
    ]


def test_what_macos_leaves_in_zips_is_no_video(tmp_path):
    touch(tmp_path, "02-01-03-01-01-01-07.mp4", "__MACOSX/._02-01-03-01-01-02-07.mp4")
    touch(tmp_path, "._02-01-03-01-01-01-07.mp4")
    assert names(datasets.ravdess(tmp_path)) == ["02-01-03-01-01-01-07.mp4"]


def test_a_folder_named_like_a_video_is_none(tmp_path):
    (tmp_path / "02-01-03-01-01-01-08.mp4").mkdir()
    touch(tmp_path, "02-01-03-01-01-01-07.mp4")
    assert seen(datasets.ravdess(tmp_path)) == {"07"}


# CREMA-D


def test_crema_d_reads_label_and_actor_from_the_name(tmp_path):
    codes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    touch(tmp_path, *(f"VideoFlash/1001_IEO_{code}_HI.flv" for code in codes))
    clips = datasets.crema_d(tmp_path)
    assert [clip.label for clip in clips] == [
        *("angry", "disgust", "fearful", "happy", "neutral", "sad")
    ]
    assert seen(clips) == {"1001"}


@pytest.mark.parametrize("level", ["LO", "MD", "HI", "XX", "X"])
def test_crema_d_takes_every_level(tmp_path, level):
    touch(tmp_path, f"1091_TIE_NEU_{level}.flv", "1091_TIE_NEU_ZZ.flv", "1091_TIE_JOY_HI.flv")
    assert names(datasets.crema_d(tmp_path)) == [f"1091_TIE_NEU_{level}.flv"]


def test_crema_d_keeps_one_file_of_a_performance(tmp_path):
    touch(tmp_path, "flash/1001_IEO_ANG_HI.flv", "mp4/1001_IEO_ANG_HI.mp4")
    assert names(datasets.crema_d(tmp_path)) == ["1001_IEO_ANG_HI.flv"]


# Your own


def test_folder_reads_label_and_subject(tmp_path):
    touch(tmp_path, "sad/ben_1.mov", "happy/anna_01_b.mp4", "happy/.hidden_1.mp4")
    assert datasets.folder(tmp_path) == [
        Clip(tmp_path / "happy/anna_01_b.mp4", "happy", "anna"),
        Clip(tmp_path / "sad/ben_1.mov", "sad", "ben"),
    ]


@pytest.mark.parametrize("bad", ["anna_1.mp4", "happy/anna.mp4", "happy/_1.mp4", "happy/a/b_1.mp4"])
def test_folder_names_a_file_out_of_place(tmp_path, bad):
    touch(tmp_path, "happy/anna_1.mp4", bad)
    with pytest.raises(ValueError, match=r"expected .*<label>/<subject>_<anything>") as caught:
        datasets.folder(tmp_path)
    assert str(tmp_path / bad) in str(caught.value)


@pytest.mark.parametrize("reader", [datasets.ravdess, datasets.crema_d, datasets.folder])
def test_a_missing_folder_is_named(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        reader(tmp_path / "nowhere")


@pytest.mark.parametrize("reader", [datasets.ravdess, datasets.crema_d, datasets.folder])
def test_an_empty_folder_is_answered_with_an_example(tmp_path, reader):
    with pytest.raises(ValueError, match=r"no video below it is named like .+\.(mp4|flv)"):
        reader(tmp_path)


# Splits

subjects = st.lists(st.integers(1, 99).map("{:02}".format), min_size=3, max_size=40, unique=True)
fractions = st.floats(0.01, 0.99)


def assert_parted(clips, parts):
    """Each clip is in one part, in order, and no person is in two parts."""
    assert all(parts)
    assert not any(seen(a) & seen(b) for a, b in combinations(parts, 2))
    assert all(part == [clip for clip in clips if clip in part] for part in parts)
    assert sum(map(len, parts)) == len(clips)


@given(subjects, fractions, st.integers(0, 1000))
def test_a_split_parts_the_subjects(people, fraction, seed):
    clips = cast(people)
    assert_parted(clips, datasets.split_by_subject(clips, fraction, seed))


@given(subjects, fractions, fractions, st.integers(0, 1000))
def test_a_split_in_three_parts_the_subjects(people, test_fraction, val_fraction, seed):
    clips = cast(people)
    # Two subjects must remain after the test subjects are taken out.
    assume(len(people) - max(1, round(test_fraction * len(people))) >= 2)
    assert_parted(clips, datasets.train_val_test(clips, test_fraction, val_fraction, seed))


@given(subjects, st.data())
def test_folds_validate_each_subject_once(people, data):
    clips = cast(people)
    folds = datasets.subject_folds(clips, data.draw(st.integers(2, len(people))))
    for fold in folds:
        assert_parted(clips, fold)
    assert_parted(clips, [val for _, val in folds])


def test_a_split_takes_the_share_of_subjects():
    train, val = datasets.split_by_subject(cast("abcdefghijklmnopqrst"), 0.25)
    assert (len(seen(train)), len(seen(val))) == (15, 5)


def test_a_split_repeats_with_its_seed_whatever_the_order():
    clips = cast("abcdefghijkl")
    split = datasets.split_by_subject(clips, seed=3)
    again = datasets.split_by_subject(clips[::-1], seed=3)
    assert [seen(part) for part in split] == [seen(part) for part in again]


def test_another_seed_is_another_split():
    clips = cast("abcdefghijkl")
    drawn = {frozenset(seen(datasets.split_by_subject(clips, seed=s)[1])) for s in range(10)}
    assert len(drawn) > 5


def test_ravdess_has_six_folds_of_four_consecutive_actors():
    folds = datasets.subject_folds(cast([f"{i:02}" for i in range(1, 25)]), 6)
    assert [sorted(seen(val)) for _, val in folds] == [
        [f"{i:02}" for i in range(first, first + 4)] for first in range(1, 25, 4)
    ]


def test_crema_d_has_the_usual_five_folds():
    folds = datasets.subject_folds(cast([str(i) for i in range(1001, 1092)]), 5)
    assert [(min(seen(val)), max(seen(val))) for _, val in folds] == [
        ("1001", "1018"),
        ("1019", "1036"),
        ("1037", "1054"),
        ("1055", "1072"),
        ("1073", "1091"),
    ]


@pytest.mark.parametrize("bad", [0, 1, -0.5, 25])
def test_a_fraction_out_of_range_is_named(bad):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {bad}"):
        datasets.split_by_subject(cast("abc"), bad)


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_a_number_of_folds_out_of_range_is_named(bad):
    with pytest.raises(ValueError, match=f"number of subjects, 3, got {bad}"):
        datasets.subject_folds(cast("abc"), bad)


@pytest.mark.parametrize("people", ["", "a"])
@pytest.mark.parametrize("split", [datasets.split_by_subject, partial(datasets.subject_folds, k=2)])
def test_one_subject_cannot_be_split(split, people):
    with pytest.raises(ValueError, match="needs 2 subjects or more"):
        split(cast(people))


def test_two_subjects_cannot_be_split_in_three():
    with pytest.raises(ValueError, match="need 3 subjects or more"):
        datasets.train_val_test(cast("ab"))


# The data set


@pytest.fixture(scope="module")
def clips():
    return datasets.ravdess(SAMPLES)[:14]


def test_an_item_has_the_shape_asked_for(clips):
    frames, label = datasets.ClipDataset(clips, clip_len=5, size=24)[3]
    assert (frames.shape, frames.dtype) == ((5, 3, 24, 24), torch.float32)
    assert isinstance(label, int)


def test_an_item_is_the_sampled_frames_normalised_once(clips):
    frames, _ = datasets.ClipDataset(clips, clip_len=4, size=32)[0]
    whole = video.read(clips[0].path, size=(32, 32))
    kept = whole[sampler.uniform(len(whole), 4)] / 255
    for c, (mean, std) in enumerate([(0.43216, 0.22803), (0.394666, 0.22145), (0.37645, 0.216989)]):
        assert torch.allclose(frames[:, c], (kept[:, c] - mean) / std, atol=1e-5)


def test_labels_index_the_sorted_names(clips):
    dataset = datasets.ClipDataset(clips, clip_len=2, size=16)
    assert dataset.classes == sorted({clip.label for clip in clips})
    assert [dataset.classes[target] for target in dataset.targets] == [c.label for c in clips]
    assert [label for _, label in dataset] == dataset.targets


def test_classes_can_be_another_sets(clips):
    classes = ["surprised", "unheard of", *sorted({c.label for c in clips} - {"surprised"})]
    dataset = datasets.ClipDataset(clips[-1:], classes=classes)
    assert dataset.classes == classes
    assert dataset.targets == [0]


def test_a_label_that_is_no_class_is_named(clips):
    with pytest.raises(ValueError, match=r"\['angry'.* are not among the classes \['happy'\]"):
        datasets.ClipDataset(clips, classes=["happy"])


@pytest.mark.parametrize("bad", [{"clip_len": 0}, {"size": 0}, {"size": -4}])
def test_a_number_below_one_is_an_error(clips, bad):
    with pytest.raises(ValueError, match=f"got .*{next(iter(bad.values()))}"):
        datasets.ClipDataset(clips, **bad)


def test_no_clips_are_an_error():
    with pytest.raises(ValueError, match="no clips"):
        datasets.ClipDataset([])


def test_the_transform_gets_bytes_before_they_are_normalised(clips):
    got = []

    def black(frames):
        got.append((frames.shape, frames.dtype))
        return torch.zeros_like(frames)

    frames, _ = datasets.ClipDataset(clips, clip_len=3, size=16, transform=black)[0]
    assert got == [((3, 3, 16, 16), torch.uint8)]
    assert torch.equal(frames, datasets.normalize(torch.zeros(3, 3, 16, 16, dtype=torch.uint8)))


def test_a_jittered_item_repeats_with_torchs_seed(clips):
    dataset = datasets.ClipDataset(clips, clip_len=4, size=16, sampler=sampler.jitter)

    def draw(seed):
        torch.manual_seed(seed)
        return dataset[0][0]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_workers_serve_the_same_items(clips):
    dataset = datasets.ClipDataset(clips, clip_len=2, size=16, transform=augment.preset("none"))
    (alone,), (helped,) = (list(DataLoader(dataset, 14, num_workers=n)) for n in (0, 2))
    assert torch.equal(alone[0], helped[0])
    assert helped[1].tolist() == dataset.targets


def test_an_unreadable_clip_is_named_on_access(tmp_path):
    clip = Clip(tmp_path / "gone.mp4", "happy", "a")
    with pytest.raises(video.VideoError, match=r"gone\.mp4: no such file"):
        datasets.ClipDataset([clip])[0]


# Your own, in folders around


@pytest.mark.parametrize("around", ["unzipped", "unzipped/my videos", "2024_06"])
def test_folder_looks_into_a_folder_around_the_labels(tmp_path, around):
    touch(tmp_path / around, "happy/anna_1.mp4", "sad/ben_1.mp4", "sad/anna_2.mov")
    assert datasets.folder(tmp_path) == datasets.folder(tmp_path / around)
    clips = datasets.folder(tmp_path)
    assert [(clip.label, clip.subject) for clip in clips] == [
        ("happy", "anna"),
        ("sad", "anna"),
        ("sad", "ben"),
    ]


def test_what_macos_leaves_beside_a_folder_around_does_no_harm(tmp_path):
    touch(tmp_path, "unzipped/happy/anna_1.mp4", "unzipped/sad/ben_1.mp4", "unzipped/notes.txt")
    touch(tmp_path, "__MACOSX/unzipped/happy/._anna_1.mp4", "info.txt")
    assert names(datasets.folder(tmp_path)) == ["anna_1.mp4", "ben_1.mp4"]


def test_one_label_alone_needs_no_folder_around(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4", "happy/ben_1.mp4")
    assert {clip.label for clip in datasets.folder(tmp_path)} == {"happy"}


@pytest.mark.parametrize(
    "files",
    [
        ["unzipped/happy/anna_1.mp4", "unzipped/anna_2.mp4"],
        ["unzipped/happy/anna_1.mp4", "anna_2.mp4"],
        ["unzipped/happy/anna_1.mp4", "happy/anna_2.mp4"],
        ["unzipped/happy/anna_1.mp4", "unzipped/more/happy/anna_2.mp4"],
        ["train/happy/anna_1.mp4", "val/happy/ben_1.mp4"],
        ["unzipped/happy/anna.mp4"],
    ],
)
def test_folder_refuses_mixed_depths_and_several_sets(tmp_path, files):
    touch(tmp_path, *files)
    with pytest.raises(ValueError, match=r"expected .*<label>/<subject>_<anything>\.mp4") as caught:
        datasets.folder(tmp_path)
    assert any(str(tmp_path / name) in str(caught.value) for name in files)


@pytest.mark.parametrize("part", ["train", "val"])
def test_each_of_several_sets_can_be_listed_by_itself(tmp_path, part):
    touch(tmp_path, "train/happy/anna_1.mp4", "train/sad/cleo_1.mp4")
    touch(tmp_path, "val/happy/ben_1.mp4", "val/sad/ben_2.mp4")
    expected = {"train": {"anna", "cleo"}, "val": {"ben"}}
    assert seen(datasets.folder(tmp_path / part)) == expected[part]


# The data set, cropped and cached


def films(*names, folder=DATA):
    return [Clip(folder / name, "happy", "anna") for name in names]


@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_a_cache_changes_no_item(tmp_path, crop):
    clips = films("h264.mp4", "rotated.mov", "h264.mp4")
    places = (None, tmp_path / "cache")
    plain, cached = (Shape(5, 24, crop, place).dataset(clips) for place in places)
    for _ in range(2):
        for (frames, label), (expected, target) in zip(cached, plain, strict=True):
            assert torch.equal(frames, expected)
            assert label == target
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_memory_changes_no_item_and_decodes_once(monkeypatch, crop):
    clips = films("h264.mp4", "rotated.mov", "h264.mp4")
    reader = crop or video
    items = list(datasets.ClipDataset(clips, clip_len=5, size=24, reader=reader))
    kept = datasets.ClipDataset(clips, clip_len=5, size=24, reader=datasets.InMemory(reader))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(kept, items, strict=True))
    assert kept.crop == (None if crop is None else crop.settings)
    monkeypatch.setattr(video, "opened", None)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(kept, items, strict=True))


@pytest.mark.parametrize("size", [None, (24, 32)])
@pytest.mark.parametrize("indices", [None, [2, 0, 0], lambda n: [n - 1]])
def test_what_is_kept_in_memory_is_what_is_read(indices, size):
    calls = []

    class Reader:
        def read(self, *args, **options):
            calls.append(args)
            return video.read(*args, **options)

    memory, path = datasets.InMemory(Reader()), DATA / "h264.mp4"
    right = video.read(path, indices, size)
    for _ in range(2):
        found = memory.read(path, indices, size)
        assert found.shape == right.shape
        assert (found.int() - right).abs().max() <= 1
        found.zero_()
    memory.read(path, indices, (8, 8))
    assert len(calls) == 2


def test_a_video_in_memory_has_no_other_frames_than_it_has(tmp_path):
    memory, path = datasets.InMemory(), DATA / "h264.mp4"
    with pytest.raises(IndexError, match="no frame 99"):
        memory.read(path, [99])
    with pytest.raises(video.VideoError):
        memory.read(tmp_path / "gone.mp4")
    assert len(memory.frames) == 1
    assert torch.equal(pickle.loads(pickle.dumps(memory)).read(path), video.read(path))


@pytest.mark.parametrize("cached", [False, True])
def test_a_crop_shows_the_face(tmp_path, cached):
    crop = FaceCrop()
    (clip,) = films("h264.mp4")
    dataset = Shape(5, 24, crop, tmp_path if cached else None).dataset([clip])
    assert FaceCrop(**dataset.crop) == crop
    expected = crop.read(clip.path, sampler.uniform(20, 5), (24, 24))
    assert torch.equal(dataset.fetch(clip.path), expected)
    assert torch.equal(dataset[0][0], datasets.normalize(expected))
    assert not torch.equal(expected, video.read(clip.path, sampler.uniform(20, 5), (24, 24)))


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_sampler_and_the_transform_run_anew_though_the_clip_is_kept(tmp_path, in_memory):
    asked, changed = [], []

    def sample(num_frames, clip_len):
        asked.append(num_frames)
        return [len(asked)] * clip_len

    def transform(frames):
        changed.append(frames.clone())
        return frames.zero_()

    clips = films("h264.mp4")
    reader = datasets.InMemory() if in_memory else ClipCache(tmp_path)
    dataset = datasets.ClipDataset(clips, 2, 24, sample, transform, reader=reader)
    whole = video.read(clips[0].path, size=(24, 24))
    for turn in (1, 2, 3):
        dataset[0]
        assert torch.equal(changed[-1], whole[[turn, turn]])
    assert asked == [20] * 3


@pytest.mark.parametrize("cached", [False, True])
def test_a_set_can_be_read_through_beforehand(tmp_path, cached):
    clips = films("no_face.mp4", "h264.mp4", "gone.mp4", "rotated.mov")
    dataset = Shape(3, 24, FaceCrop(), tmp_path if cached else None).dataset(clips)
    good, bad = overview.readable(dataset.clips, dataset.fetch)
    assert [clip for clip, _ in good] == [clips[1], clips[3]]
    assert all(torch.equal(frames, dataset.fetch(clip.path)) for clip, frames in good)
    assert [(clip, type(error)) for clip, error in bad] == [
        (clips[0], NoFaceError),
        (clips[2], video.VideoError),
    ]
    assert len(list(tmp_path.glob("*.npy"))) == 2 * cached


def test_a_label_that_is_no_class_comes_with_the_way_out():
    clips = [*films("h264.mp4"), Clip(DATA / "vfr.mp4", "bored", "anna")]
    with pytest.raises(ValueError, match=r"labels \['bored'\]") as caught:
        datasets.ClipDataset(clips, classes=["happy", "sad"])
    assert "leave these clips out, or fine-tune the model on the new labels" in str(caught.value)
    kept = [clip for clip in clips if clip.label != "bored"]
    assert datasets.ClipDataset(kept, classes=["sad", "happy"]).targets == [1]


@pytest.mark.parametrize("root", [".", "{}"])
def test_a_stray_file_is_refused_from_wherever_the_root_is_named(tmp_path, monkeypatch, root):
    touch(tmp_path, "happy/anna_1.mp4", "anna_2.mp4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"anna_2\.mp4: expected"):
        datasets.folder(root.format(tmp_path))
