"""`listing` and `names`: each video found once, nothing left out unnamed, any name shown."""

import os
import shutil
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_datasets import touch

from r3d_helpers import datasets, listing, video
from r3d_helpers.apply import overview
from r3d_helpers.names import alike, counted, distinct, printable

DATA = Path(__file__).parent / "data"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
ODD = {path.suffix for path in (DATA / "odd").iterdir() if path.is_file()}  # Python adds a folder


def found(root):
    return [path.relative_to(root).as_posix() for path in listing.videos(root)[0]]


def left_out(root):
    """Reasons and paths."""
    return {e.path.relative_to(root).as_posix(): e.reason for e in listing.videos(root)[1]}


# Links


@pytest.fixture
def links(tmp_path):
    """A folder, and one elsewhere, both with a video."""
    if sys.platform == "win32":
        pytest.skip("Windows lets administrators alone make links")
    touch(tmp_path, "root/happy/anna_1.mp4", "elsewhere/ben_1.mp4")
    return tmp_path / "root"


def test_a_link_to_a_folder_is_followed(links):
    (links / "sad").symlink_to(links.parent / "elsewhere")
    assert found(links) == ["happy/anna_1.mp4", "sad/ben_1.mp4"]
    assert not left_out(links)


def test_the_root_may_be_a_link(links):
    (links.parent / "way").symlink_to(links)
    assert found(links.parent / "way") == ["happy/anna_1.mp4"]


@pytest.mark.parametrize("goal", [".", "..", "../..", "root", "/"])
def test_a_link_to_a_folder_around_it_does_not_lead_in_circles(links, goal):
    up = links / "happy" / "up"
    up.symlink_to(links if goal == "root" else goal)
    assert found(links) == ["happy/anna_1.mp4"]
    assert left_out(links) == {"happy/up": "a link to a folder around it"}


def test_links_from_one_folder_to_another_and_back_end(links):
    (links / "sad").symlink_to(links.parent / "elsewhere")
    (links.parent / "elsewhere" / "back").symlink_to(links / "happy")
    (links / "happy" / "there").symlink_to(links.parent / "elsewhere")
    assert found(links) == ["happy/anna_1.mp4", "sad/ben_1.mp4"]
    assert set(left_out(links)) == {"happy/there", "sad/back"}


def test_a_folder_with_two_names_is_read_once_under_its_own(links):
    (links / "a link").symlink_to(links / "happy")
    assert found(links) == ["happy/anna_1.mp4"]
    assert left_out(links) == {"a link": "a link to a folder that is read anyway"}


def test_a_link_into_a_hidden_folder_shows_what_lies_there(links):
    touch(links, ".store/cleo_1.mp4")
    (links / "calm").symlink_to(".store")
    assert found(links) == ["calm/cleo_1.mp4", "happy/anna_1.mp4"]
    assert not left_out(links)


def test_a_link_to_a_file_that_is_gone_is_an_error_that_names_both(links):
    """As of git-annex and datalad, before the content is fetched."""
    (links / "happy" / "dora_1.mp4").symlink_to(".git/annex/objects/x.mp4")
    clip = next(c for c in datasets.folder(links) if c.subject == "dora")
    with pytest.raises(
        video.VideoError, match=r"dora_1\.mp4: no such file; it is a link to .*x\.mp4"
    ):
        video.read(clip.path)


# Hidden, deleted, and other files


@pytest.mark.parametrize(
    "place",
    [
        *(".Trash-0/files", ".Trashes/501", "$RECYCLE.BIN/S-1-5", "@eaDir", "#recycle", ".git"),
        *("happy/.hidden", "lost+found", "__MACOSX/happy", "System Volume Information"),
    ],
)
def test_hidden_and_deleted_videos_are_left_out_and_named(tmp_path, place):
    touch(tmp_path, "happy/anna_1.mp4", f"{place}/ben_1.mp4", f"{place}/deeper/ben_2.mp4")
    touch(tmp_path, f"{place}/notes.txt")
    assert found(tmp_path) == ["happy/anna_1.mp4"]
    names = {f"{place}/ben_1.mp4", f"{place}/deeper/ben_2.mp4"}
    assert left_out(tmp_path) == dict.fromkeys(names, "hidden or deleted")


def test_a_hidden_file_is_left_out_and_named(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4", "happy/._anna_1.mp4", ".DS_Store")
    assert left_out(tmp_path) == {"happy/._anna_1.mp4": "hidden or deleted"}


def test_a_root_in_a_hidden_folder_is_not_hidden(tmp_path):
    touch(tmp_path, ".cache/happy/anna_1.mp4")
    assert found(tmp_path / ".cache") == ["happy/anna_1.mp4"]


@posix
def test_what_a_browser_windows_or_a_cloud_leaves_is_named(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4", "happy/anna_1.mp4:Zone.Identifier")
    touch(tmp_path, "happy/ben_1.mp4.crdownload", "happy/.cleo_1.mp4.icloud")
    assert found(tmp_path) == ["happy/anna_1.mp4"]
    assert left_out(tmp_path) == {
        "happy/anna_1.mp4:Zone.Identifier": "no ending of a video",
        "happy/ben_1.mp4.crdownload": "no ending of a video",
        "happy/.cleo_1.mp4.icloud": "in iCloud and not on this disk; download it",
    }


@posix
def test_a_folder_may_have_the_signs_of_a_pattern_in_its_name(tmp_path):
    touch(tmp_path, "[a-z]*?/happy/anna_1.mp4")
    assert found(tmp_path / "[a-z]*?") == ["happy/anna_1.mp4"]


def test_what_is_no_video_by_its_ending_is_counted_by_ending(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4", "a.csv", "b.CSV", "c.md", "happy/anna_2.mp4.part", "README")
    clips = datasets.folder(tmp_path)
    (line,) = clips.told()
    assert line == "no ending of a video: 5 (2 .csv, 1 without any, 1 .md, 1 .part)"


def test_a_few_are_named_and_of_many_the_first(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4", "b.csv", "a.csv")
    assert datasets.folder(tmp_path).told() == ["no ending of a video: 2 (a.csv, b.csv)"]
    touch(tmp_path, *(f".old/{i}.mp4" for i in range(5)))
    names = ", ".join(os.path.join(".old", f"{i}.mp4") for i in range(3))
    assert datasets.folder(tmp_path).told()[0] == f"hidden or deleted: 5 ({names}, 2 more)"


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "happy/anna_1.mp4", "sad/ben_1.mp4")
    real = os.listdir

    def refuse(path):
        if Path(path).name == "sad":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert found(tmp_path) == ["happy/anna_1.mp4"]
    assert left_out(tmp_path) == {"sad": "cannot be opened (Permission denied)"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4")
    os.mkfifo(tmp_path / "happy" / "ben_1.mp4")
    assert found(tmp_path) == ["happy/anna_1.mp4"]
    assert left_out(tmp_path) == {"happy/ben_1.mp4": "not a regular file"}


# Endings


@pytest.mark.parametrize("ending", ["MTS", "3gp", "wmv", "mpeg", "ts", "m2ts", "ogv", "VOB", "mod"])
def test_a_video_of_any_ending_is_found_and_read(tmp_path, ending):
    (tmp_path / "happy").mkdir()
    shutil.copy(DATA / "rotated.mov", tmp_path / "happy" / f"ben_1.{ending}")
    (clip,) = datasets.folder(tmp_path)
    assert video.probe(clip.path).num_frames == 12


def test_every_odd_file_has_an_ending_that_is_found():
    """But for sound with a cover, and what is beside them."""
    assert ODD - set(listing.VIDEO_ENDINGS) == {".m4a", ".json", ".npz", ".py", ".md"}


# What a data set leaves out


def test_ravdess_names_songs_sound_copies_and_strangers(tmp_path):
    touch(tmp_path, "02-01-03-01-01-01-07.mp4", "01-01-03-01-01-01-07.mp4")
    touch(tmp_path, "02-02-03-01-01-01-07.mp4", "03-01-03-01-01-01-07.mp4", "holiday.mp4")
    assert datasets.ravdess(tmp_path).told() == [
        "another file of a performance that is there: 1 (02-01-03-01-01-01-07.mp4)",
        "song, not speech: see --channel song: 1 (02-02-03-01-01-01-07.mp4)",
        "sound alone: 1 (03-01-03-01-01-01-07.mp4)",
        "not named like 02-01-03-01-01-01-07.mp4: 1 (holiday.mp4)",
    ]


def test_a_copy_with_songs_only_says_what_it_found(tmp_path):
    touch(tmp_path, *(f"Actor_07/02-02-03-01-01-0{i}-07.mp4" for i in (1, 2)))
    with pytest.raises(ValueError, match="song, not speech: see --channel song: 2 ") as caught:
        datasets.ravdess(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert len(datasets.ravdess(tmp_path, channel="song")) == 2


def test_another_data_set_is_named(tmp_path):
    touch(tmp_path, "happy/anna_1.mp4")
    told = r"see --reader: of <label>/<subject>_... it is --reader folder\); there is .*anna_1"
    for reader in (datasets.ravdess, datasets.crema_d):
        with pytest.raises(ValueError, match=told):
            reader(tmp_path)
    (tmp_path / "happy" / "anna_1.mp4").rename(tmp_path / "happy" / "anna.mp4")
    with pytest.raises(ValueError, match=r"\(see --reader\); there is not named like .*anna"):
        datasets.ravdess(tmp_path)


def test_a_description_names_what_is_left_out(tmp_path):
    touch(tmp_path, ".trash/anna_2.mp4", "notes.txt")
    (tmp_path / "happy").mkdir()
    shutil.copy(DATA / "rotated.mov", tmp_path / "happy" / "anna_1.mov")
    lines = str(overview.describe(datasets.folder(tmp_path))).splitlines()
    assert lines[0] == "1 clip of 1 subject"
    assert lines[lines.index("left out:") + 1 :] == [
        f"  hidden or deleted: 1 ({os.path.join('.trash', 'anna_2.mp4')})",
        "  no ending of a video: 1 (notes.txt)",
    ]


# People


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_one_person_in_two_spellings_is_one(tmp_path, form):
    name = unicodedata.normalize(form, "björn")
    clip = datasets.Clip(Path("x.mp4"), unicodedata.normalize(form, "fröhlich"), name)
    assert (clip.subject, clip.label) == ("björn", "fröhlich")
    assert Counter(map(len, (clip.subject, clip.label))) == Counter((5, 8))


def test_a_person_spelled_twice_is_never_on_both_sides(tmp_path):
    for form in ("NFC", "NFD"):
        names = (unicodedata.normalize(form, name) for name in ("jörg", "björn", "renée", "zoë"))
        touch(tmp_path, *(f"{form}/{name}_1.mp4" for name in names))
    clips = datasets.folder(tmp_path)
    assert len({clip.subject for clip in clips}) == 4
    for seed in range(10):
        train, val, test = datasets.train_val_test(clips, seed=seed)
        assert sum(len({c.subject for c in part}) for part in (train, val, test)) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "anna"),
        ("anna ", "anna"),
        ("\uff11", "1"),
        ("1", "01"),
        ("p7", "p007"),
        ("a  b", "a b"),
    ],
)
def test_names_that_may_be_the_same_are_told(one, other):
    assert alike([one, other, "ben", one]) == [sorted([one, other])]
    films = {one: DATA / "rotated.mov", other: DATA / "gone.mov"}
    clips = [datasets.Clip(path, "happy", name) for name, path in films.items()]
    lines = str(overview.describe(clips)).splitlines()
    first = lines.index("perhaps the same, and counted as different:")
    assert lines[first + 1] == "  " + ", ".join(f"{name} ({films[name]})" for name in sorted(films))
    assert lines[first + 2] == f"  {overview.RENAME}"


def test_names_that_differ_are_not_told():
    assert alike(["anna", "ann", "01", "10", "100", "p1", "p11", "ä", "a"]) == []


# Any name


@given(st.text(st.characters(exclude_categories=[])))
def test_any_name_is_shown_in_one_line_that_can_be_written(name):
    shown = printable(name)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


def test_ordinary_names_are_shown_as_they_are():
    for name in ("a b.mp4", "björn", "日本　語", "مرحبا", "👩‍👩‍👧.mp4", "a$b%c#d?e"):
        assert printable(name) == name
    assert printable("a\nb\x1b[31m\u202e\udcf6") == r"a\nb\x1b[31m\u202e\udcf6"


def test_one_is_counted_without_an_s():
    assert [counted(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]


# A name for what is made of a file


def test_a_file_alone_gives_its_stem_and_files_of_one_name_more():
    assert distinct([Path("/a/anna_01.mp4"), Path("/b/ben_1.mov")]) == ["anna_01", "ben_1"]
    assert distinct([Path("/a/happy/anna_01.mp4"), Path("/a/sad/anna_01.mp4")]) == [
        "happy-anna_01.mp4",
        "sad-anna_01.mp4",
    ]
    assert distinct([Path("/a/x.mp4"), Path("/a/x.mov"), Path("/a/y.mp4")]) == [
        *("x.mp4", "x.mov", "y"),
    ]


def test_a_name_with_its_folder_is_no_other_files_name():
    names = distinct([Path("/c/a-x.mp4.mov"), Path("/a/x.mp4"), Path("/b/x.mp4")])
    assert names[0] == "a-x.mp4"
    assert names[1].startswith("x-")
    assert names[2] == "b-x.mp4"


parts = st.sampled_from(["a", "A", "b", "a-b", "ä", "a\u0308", "x" * 240, "日本" * 40, "j\udcf6"])


@given(st.lists(st.lists(parts, min_size=1, max_size=3), max_size=8))
def test_each_file_has_another_name_on_any_disk_and_the_same_file_the_same(files):
    paths = [Path("/", *file[:-1], f"{file[-1]}.mp4") for file in files]
    names = distinct(paths)
    for path, name in zip(paths, names, strict=True):
        assert len(os.fsencode(f"{name}-timeline.png")) <= 255
        for other, others in zip(paths, names, strict=True):
            same = [unicodedata.normalize("NFC", each).casefold() for each in (name, others)]
            assert (same[0] == same[1]) == (path == other)
    assert distinct([*paths, *paths]) == names * 2
