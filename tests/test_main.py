"""The commands: what they print, what they write, and their errors."""

import csv
import io
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import thin
import torch

from r3d_helpers import checkpoint, datasets, model
from r3d_helpers.__main__ import main
from r3d_helpers.apply import explain, runs
from r3d_helpers.classroom import actors
from r3d_helpers.studies import experiments, tuning

TINY = ("--clip-len", "2", "--size", "16", "--epochs", "1", "--batch-size", "8")


@pytest.fixture(scope="module", autouse=True)
def small():
    """Commands do with a network what they do with any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "r3d_18", thin.thin_r3d_18)
        yield


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Four drawn actors, seven clips each."""
    folder = tmp_path_factory.mktemp("faces")
    actors.generate(folder, actors=4, takes=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    """A finished run; removed afterwards, as a checkpoint takes 400 MB."""
    folder = tmp_path_factory.mktemp("run") / "one"
    assert main(["train", str(faces), "--out", str(folder), *TINY]) == 0
    yield folder
    shutil.rmtree(folder)


def refused(capsys, *argv):
    """Run a command that must fail; its one line on stderr."""
    assert main([*map(str, argv)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_train_leaves_a_run(run):
    assert {path.name for path in run.iterdir()} == {
        *("best.safetensors", "last.safetensors", "history.csv"),
        *("predictions.csv", "README.md"),
    }
    with (run / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


def test_evaluate_scores_subjects_the_model_has_not_seen(run, faces, capsys):
    """Without it: a score on people that the model was trained on."""
    assert main(["evaluate", str(faces), "--checkpoint", str(run / "best.safetensors")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("7 clips of 1 subject: UAR 0.")
    _, head, *rows, last = out.splitlines()[1:]
    assert head.split() == ["said:", *checkpoint.load(run)[1].classes]
    assert sum(int(n) for row in rows for n in row.split()[1:]) == 7
    assert last == "one subject, so no interval; --folds tests every subject"


def test_evaluate_all_scores_everyone(run, faces, capsys):
    best = run / "best.safetensors"
    assert main(["evaluate", str(faces), "--all", "--checkpoint", str(best)]) == 0
    assert capsys.readouterr().out.startswith("28 clips of 4 subjects: ")


def test_bars_say_what_they_count(faces, tmp_path, capsys):
    given = ("--out", tmp_path / "run", "--cache", tmp_path / "cache")
    assert main([*map(str, ("train", faces, *given, *TINY, "--epochs", "2"))]) == 0
    shutil.rmtree(tmp_path / "run")
    err = capsys.readouterr().err
    assert "reading: 100%" in err
    assert "training, epoch 2 of 2: 100%" in err


def test_a_finished_run_can_be_resumed(run, faces, capsys):
    history = (run / "history.csv").read_text()
    assert main(["train", str(faces), "--out", str(run), "--resume", *TINY]) == 0
    assert (run / "history.csv").read_text() == history
    assert "7 clips of 1 subject: UAR" in capsys.readouterr().out


def test_a_used_folder_is_refused(run, faces, capsys):
    line = refused(capsys, "train", faces, "--out", run, *TINY)
    assert f"{run} already holds a run" in line


@pytest.mark.parametrize(("folds", "folder"), [((), "run"), (("--folds", "3"), "run/fold-2")])
def test_a_used_folder_is_refused_before_any_clip_is_read(own, tmp_path, capsys, folds, folder):
    used = tmp_path / folder
    used.mkdir(parents=True)
    (used / "best.safetensors").touch()
    given = ("--out", tmp_path / "run", "--cache", tmp_path / "cache", *folds)
    line = refused(capsys, "train", own, "--reader", "folder", *given)
    assert f"{used} already holds a run" in line
    assert not (tmp_path / "cache").exists()


def test_resuming_with_another_size_is_refused(run, faces, capsys):
    line = refused(capsys, "train", faces, "--out", run, "--resume", *TINY, "--size", "24")
    assert "size 16, not 24" in line


def test_resuming_nothing_is_refused(faces, tmp_path, capsys):
    assert "no run to resume" in refused(
        capsys, "train", faces, "--out", tmp_path / "none", "--resume", *TINY
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "0"),
        ("--batch-size", "-2"),
        ("--lr", "-0.5"),
        ("--lr", "nan"),
        ("--ema", "1.5"),
        ("--clip-len", "0"),
        ("--size", "0"),
        ("--num-workers", "-1"),
        ("--weights", "gone.pth"),
        ("--dropout", "3.0"),
    ],
)
def test_a_bad_number_is_named_and_leaves_no_run(faces, tmp_path, capsys, option, value):
    out = tmp_path / "run"
    assert value in refused(capsys, "train", faces, "--out", out, *TINY, option, value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("se", {}),
        ("se", {"seeds": 1, "clip_len": 2}),
        ("clip-size", {"epochs": 9, "lr": 0.01}),
        ("augmentation", {"size": 16}),
        ("augmentation", {"settings": ["none", "light"]}),
        ("tuning", {"trials": 4}),
    ],
)
def test_an_experiment_gets_what_is_given_and_keeps_its_own_defaults(
    monkeypatch, tmp_path, capsys, name, given
):
    calls = []

    def make(root, path, **options):
        calls.append((root, path, options))
        return [{}, {}]

    module = tuning if name == "tuning" else experiments
    monkeypatch.setattr(module, name.replace("-", "_"), make)
    threads = torch.get_num_threads()
    options = []
    for option, value in given.items():
        values = value if isinstance(value, list) else [value]
        options += [f"--{option.replace('_', '-')}", *map(str, values)]
    out = tmp_path / f"{name}.csv"
    argv = ["experiment", name, "--root", "r", "--out", str(out), "--work", str(tmp_path), *options]
    assert main(argv) == 0
    assert torch.get_num_threads() == 1
    torch.set_num_threads(threads)
    ((root, path, options),) = calls
    assert (root, path) == (Path("r"), out)
    assert options == {"work": tmp_path, **given}
    assert capsys.readouterr().out == f"2 runs in {path}\n"


def test_results_of_other_clips_need_a_file_of_their_own(faces, capsys):
    assert "--out" in refused(capsys, "experiment", "se", "--root", faces)


@pytest.mark.parametrize(("name", "option"), [("se", "--seeds"), ("tuning", "--trials")])
def test_an_experiment_without_runs_is_refused(faces, tmp_path, capsys, name, option):
    argv = ["experiment", name, "--root", faces, "--out", tmp_path / "x.csv", option, 0]
    assert "must be 1 or more" in refused(capsys, *argv, "--work", tmp_path / "work")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("reader", ["ravdess", "crema_d", "folder"])
def test_a_folder_without_videos_is_named(tmp_path, capsys, reader):
    argv = ["train", tmp_path, "--out", tmp_path / "run", "--reader", reader]
    assert f"{tmp_path}: no video below it" in refused(capsys, *argv)


def test_a_missing_folder_is_named(tmp_path, capsys):
    gone = tmp_path / "gone"
    assert f"{gone}: no such folder" in refused(capsys, "train", gone, "--out", tmp_path / "run")


def test_a_damaged_video_is_named(tmp_path, faces, capsys):
    root = tmp_path / "faces"
    shutil.copytree(faces, root)
    for path in root.rglob("*.mp4"):
        path.write_bytes(path.read_bytes()[:100])
    assert main(["train", str(root), "--out", str(tmp_path / "run"), *TINY]) == 2
    shutil.rmtree(tmp_path / "run")
    line = capsys.readouterr().err.splitlines()[-1]  # below the progress bar
    assert line.startswith(f"error: {root}")
    assert ".mp4: cannot be opened; the file is damaged or not a video; " in line


@pytest.mark.parametrize("content", [None, b"no checkpoint"])
def test_a_bad_checkpoint_is_named(tmp_path, faces, capsys, content):
    path = tmp_path / "best.safetensors"
    if content:
        path.write_bytes(content)
    line = refused(capsys, "evaluate", faces, "--checkpoint", path)
    told = f"{path}: not a checkpoint of this package, or damaged" if content else str(path)
    assert told in line and "header" not in line


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["train", "x", "--out", "y", "--epochs", "many"], "'many'"),
        (["train", "x", "--out", "y", "--reader", "ferv"], "'ferv'"),
        (["train", "x"], "--out"),
        (["experiment", "tuning", "--lr", "1"], "--lr"),
        (["experiment", "luck"], "'luck'"),
        (["dance"], "'dance'"),
        (["faces"], "python -m r3d_helpers.classroom.actors"),
        ([], "COMMAND"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(capsys, argv, named):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and named in line
    assert re.search(r"; see python -m r3d_helpers[a-z ]* --help$", line)


@pytest.mark.parametrize(
    ("option", "meant"), [("--clip_len", ", did you mean --clip-len?"), ("--glitter", "")]
)
def test_an_option_that_is_mistyped_names_the_one_that_is_meant(capsys, option, meant):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "x", "--out", "y", option, "4"])
    line = capsys.readouterr().err
    told = f"unrecognized arguments: {option} 4{meant}; see python -m r3d_helpers train --help"
    assert line == f"error: {told}\n"


def test_the_module_runs_and_passes_its_exit_status_on():
    child = subprocess.run(
        [sys.executable, "-m", "r3d_helpers", "train", "nowhere", "--out", "x"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[1],
        env=os.environ,
    )
    assert (child.returncode, child.stderr) == (2, "error: nowhere: no such folder\n")


# --- other people's videos ----------------------------------------------------------------------

DATA = Path(__file__).parent / "data"
MINI = ("--clip-len", "1", "--size", "16", "--epochs", "1", "--batch-size", "8")


@pytest.fixture
def own(tmp_path):
    """Three people, two labels; one video is sound alone, one shows no face."""
    for person in ("anna", "ben", "carl"):
        for label in ("calm", "happy"):
            folder = tmp_path / "own" / label
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(DATA / "h264.mp4", folder / f"{person}_1.mp4")
    shutil.copy(DATA / "audio_only.mp4", tmp_path / "own" / "calm" / "anna_2.mp4")
    shutil.copy(DATA / "no_face.mp4", tmp_path / "own" / "calm" / "ben_2.mp4")
    yield tmp_path / "own"
    shutil.rmtree(tmp_path)  # checkpoints are large


def test_describe_lists_what_cannot_be_read(own, capsys):
    assert main(["describe", str(own), "--reader", "folder"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("7 clips of 3 subjects\n")
    assert "1 unreadable:" in out
    assert str(own / "calm" / "anna_2.mp4") in out


def test_the_command_that_describe_ends_in_trains(own, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "own", "--reader", "folder", "--crop", "face"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    given = "own --reader folder --crop face --no-face skip --skip-unreadable --out runs/mine"
    assert last == f"next: python -m r3d_helpers train {given}"
    assert main(["train", *given.split(), *MINI]) == 0
    assert main(["describe", "own/calm/..", "--reader", "folder"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("train own/calm/.. --reader folder --skip-unreadable --out runs/mine")
    (own / "calm" / "anna_2.mp4").unlink()
    assert main(["describe", "own", "--reader", "folder"]) == 0
    assert capsys.readouterr().out.endswith("train own --reader folder --out runs/mine\n")


def test_nothing_is_skipped_unasked(own, tmp_path, capsys):
    given = ("train", own, "--reader", "folder", "--out", tmp_path / "run", *MINI)
    assert main([*map(str, given)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "anna_2.mp4" in line and line.endswith("; --skip-unreadable leaves such clips out")
    options = ("--crop", "face", "--skip-unreadable")
    given = ("train", own, "--reader", "folder", "--out", tmp_path / "other", *MINI, *options)
    assert main([*map(str, given)]) == 2
    left, faceless, line = capsys.readouterr().err.splitlines()[-3:]
    assert left.startswith("left out: ") and "anna_2.mp4" in left
    assert faceless.startswith(f"{own / 'calm' / 'ben_2.mp4'}: a face in 0 of 3 frames")
    told = f"1 of 8 clips without a clear face: {runs.NO_FACE}"
    assert line == f"error: {own}: {told}"
    assert not (tmp_path / "other").exists()


def test_all_that_is_wrong_with_the_clips_is_told_at_once(own, tmp_path, capsys):
    """Without it: people fix one thing, wait until all clips are read, and meet the next."""
    shutil.copy(DATA / "no_face.mp4", own / "happy" / "carl_2.mp4")
    given = ("train", own, "--reader", "folder", "--out", tmp_path / "run", "--crop", "face")
    assert main([*map(str, given)]) == 2
    *_, damaged, one, other, line = capsys.readouterr().err.splitlines()
    assert damaged.startswith(str(own / "calm" / "anna_2.mp4"))
    assert one.startswith(str(own / "calm" / "ben_2.mp4"))
    assert other.startswith(str(own / "happy" / "carl_2.mp4"))
    assert line == (
        f"error: {own}: 1 of 9 clips unreadable: --skip-unreadable leaves them out; "
        f"2 of 9 clips without a clear face: {runs.NO_FACE}"
    )


def test_a_run_on_faces_from_cache_to_prediction(own, tmp_path, capsys):
    run, cache = tmp_path / "run", tmp_path / "cache"
    options = ("--crop", "face", "--no-face", "skip", "--skip-unreadable", "--cache", cache)
    given = ("train", own, "--reader", "folder", "--out", run, *MINI, *options)
    assert main([*map(str, given)]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("left out: ") == 2
    split = [line.partition(" of 1 subject (") for line in captured.out.splitlines()[:3]]
    assert {line[0] for line in split} == {"2 clips"}
    assert [line[2].partition(") to ")[2] for line in split] == ["train", "validate", "test"]
    assert {line[2].partition(")")[0] for line in split} == {"anna", "ben", "carl"}
    assert len(list(cache.glob("*.npy"))) == 1  # six copies of one file
    assert "cut to the face" in (run / "README.md").read_text()

    # The crop comes with the checkpoint; what has no face is an error, and the others are told.
    out, figures = tmp_path / "out.csv", tmp_path / "figures"
    videos = [DATA / "rotated.mov", DATA / "no_face.mp4", DATA / "vfr.mp4"]
    options = ("--window", "1", "--step", "0.5", "--out", out, "--figures", figures)
    assert main([*map(str, ("predict", *videos, "--checkpoint", run, *options))]) == 2
    captured = capsys.readouterr()
    assert "no_face.mp4: a face in 0 of 3 frames" in captured.err
    assert "too few to cut to it; --no-face centre" in captured.err
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows] == ["rotated.mov", *["vfr.mp4"] * 4]
    assert [float(row["begin"]) for row in rows[1:]] == pytest.approx([0, 0.5, 1, 1.3], abs=1e-3)
    assert all(float(row["calm"]) + float(row["happy"]) == pytest.approx(1) for row in rows)
    assert len(list(figures.glob("*.png"))) == 4

    # Other labels: weights of labels in both sets are kept, the others are trained.
    (own / "calm").rename(own / "sad")
    options = ("--from", run, "--no-face", "centre", "--skip-unreadable", "--freeze", "layer4")
    given = ("train", own, "--reader", "folder", "--out", tmp_path / "next", "--epochs", "1")
    assert main([*map(str, (*given, *options))]) == 0
    saved = checkpoint.load(tmp_path / "next")[1]
    assert saved.classes == ["happy", "sad"]
    assert (saved.size, saved.model["clip_len"], saved.crop["no_face"]) == (16, 1, "centre")
    capsys.readouterr()
    line = refused(capsys, "evaluate", own, "--reader", "folder", "--checkpoint", run, "--all")
    assert "labels ['sad'] are not among the classes ['calm', 'happy']" in line


def test_every_column_of_a_prediction_is_what_its_name_says(run, tmp_path, monkeypatch):
    """Without it: a label has another one's probability, or a window another one's time."""
    shares = torch.eye(7)[[2, 5]] * 0.4 + torch.arange(7) / 35
    line = explain.Timeline([0.0, 0.5], [1.0, 1.25], shares)
    monkeypatch.setattr(explain, "timeline", lambda *_, **__: line)
    given = ("predict", "some.mp4", "--checkpoint", run, "--out", tmp_path / "out.csv")
    assert main([*map(str, given)]) == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = checkpoint.load(run)[1].classes
    assert list(rows[0]) == ["path", "begin", "end", *classes]
    assert [row["path"] for row in rows] == ["some.mp4"] * 2
    assert [(row["begin"], row["end"]) for row in rows] == [("0.000", "1.000"), ("0.500", "1.250")]
    read = [[float(row[name]) for name in classes] for row in rows]
    torch.testing.assert_close(torch.tensor(read), shares)


def test_an_architecture_does_not_go_with_a_checkpoint(run, faces, tmp_path, capsys):
    line = refused(capsys, "train", faces, "--out", tmp_path, "--from", run, "--se", "none")
    assert "--se does not go with --from" in line


def test_folds_are_pooled_and_finished_ones_kept(faces, tmp_path, capsys):
    out = tmp_path / "folds"
    given = ("train", faces, "--out", out, "--folds", "2", *TINY)
    assert main([*map(str, given)]) == 0
    assert "all 2 folds together:\n28 clips of 4 subjects: UAR 0." in capsys.readouterr().out
    subjects = []
    for fold in ("fold-1", "fold-2"):
        with (out / fold / "predictions.csv").open(newline="") as file:
            subjects.append({row["subject"] for row in csv.DictReader(file)})
        assert not subjects[-1] & set(checkpoint.load(out / fold)[1].subjects)
    assert subjects == [{"01", "02"}, {"03", "04"}]
    # The second fold is lost; the first is not computed again.
    assert not list(out.glob("*/last.safetensors"))  # nothing goes on from a finished fold
    shutil.rmtree(out / "fold-2")
    assert main([*map(str, (*given, "--resume"))]) == 0
    assert "all 2 folds together:\n28 clips of 4 subjects: UAR 0." in capsys.readouterr().out
    shutil.rmtree(out)


def test_export_writes_what_evaluate_reads(run, faces, tmp_path, capsys):
    given = ("export", "hub", "--checkpoint", run / "best.safetensors", "--out", tmp_path / "hub")
    assert main([*map(str, given)]) == 0
    capsys.readouterr()
    scores = []
    for place in (run, tmp_path / "hub"):
        assert main(["evaluate", str(faces), "--checkpoint", str(place), "--views", "3"]) == 0
        scores.append(capsys.readouterr().out)
    assert scores[0] == scores[1]
    line = refused(capsys, *given)
    assert "is not empty" in line
    shutil.rmtree(tmp_path / "hub")


@pytest.mark.parametrize(("name", "ending"), [("onnx", ".onnx"), ("torch", ".pt2")])
def test_export_says_how_far_off_it_is(run, tmp_path, capsys, name, ending):
    out = tmp_path / f"model{ending}"
    given = ("export", name, "--checkpoint", run, "--out", out)
    assert main([*map(str, given)]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("exporting the model")
    assert f"wrote {out}: logits differ from the model's by " in captured.out
    out.unlink()
    assert f"must end in {ending}" in refused(capsys, *given[:-1], tmp_path / "model.bin")


def test_going_on_with_other_settings_is_refused(run, faces, capsys):
    line = refused(capsys, "train", faces, "--out", run, "--resume", *TINY, "--lr", "0.5")
    assert "begun with lr 0.0006, not 0.5" in line


def test_crop_options_without_a_crop_are_refused(run, faces, capsys):
    for option in (("--no-face", "centre"), ("--margin", "0.1"), ("--face-model", "x.onnx")):
        line = refused(capsys, "evaluate", faces, "--checkpoint", run, *option)
        assert line.endswith("go with --crop face")


def test_a_label_that_no_test_clip_shows_is_told_before_the_training(
    own, tmp_path, capsys, monkeypatch
):
    """Without it: a score of 1.0 on half of the labels looks like a triumph."""

    def fit(*_):
        raise ValueError("not trained")

    monkeypatch.setattr(runs.Trainer, "fit", fit)
    for clip in ("anna_2.mp4", "ben_2.mp4"):
        (own / "calm" / clip).unlink()
    tested = datasets.train_val_test(datasets.folder(own))[2][0].subject
    given = ("train", own, "--reader", "folder", "--out", tmp_path / "run", *MINI)
    for told in ([], ["warning: no clip of happy in the test set: the score leaves it out"]):
        assert main([*map(str, given)]) == 2
        assert capsys.readouterr().err.splitlines() == [*told, "error: not trained"]
        (own / "happy" / f"{tested}_1.mp4").unlink(missing_ok=True)


def test_a_part_of_many_people_is_told_by_some_names():
    clips = [datasets.Clip(Path("x.mp4"), "calm", f"p{number:02}") for number in range(14)]
    names = ", ".join(f"p{number:02}" for number in range(12))
    assert runs.people(clips) == f"14 clips of 14 subjects ({names}, 2 more)"


def test_three_people_are_the_least_to_train_on(faces, tmp_path, capsys):
    for actor in ("Actor_03", "Actor_04"):
        shutil.copytree(faces / actor, tmp_path / "two" / actor)
    line = refused(capsys, "train", tmp_path / "two", "--out", tmp_path / "run", *TINY)
    assert "need 3 subjects or more, got ['03', '04']" in line


@pytest.mark.parametrize("saved", [False, True])
def test_a_run_that_is_told_to_stop_says_whether_anything_is_saved(
    faces, tmp_path, capsys, monkeypatch, saved
):
    def stopped(_, out, *__):
        if saved:
            out.mkdir()
            (out / "last.safetensors").touch()
            (out / "history.csv").write_text("epoch\n1\n2\n")
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("r3d_helpers.apply.runs._fit", stopped)
    options = (*TINY, "--epochs", "6")
    line = refused(capsys, "train", faces, "--out", tmp_path / "run", *options)
    signal.signal(signal.SIGTERM, handler)
    assert line == "error: told to stop" + (
        ", 2 of 6 epochs are finished; the epochs that are finished are saved: give the same "
        "command again with --resume"
        if saved
        else "; nothing is saved yet"
    )


# --- any name, any console ----------------------------------------------------------------------


@pytest.fixture
def films(faces, tmp_path):
    """A function that copies a short film to a place below a folder."""
    film = next(faces.rglob("*.mp4"))

    def copy(name):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, path)
        return path

    return copy


def predicted(run, tmp_path, *videos):
    """Exit status, names of the figures, and paths in the CSV file, of a prediction."""
    given = ("predict", *videos, "--checkpoint", run)
    given = (*given, "--out", tmp_path / "out.csv", "--figures", tmp_path / "figures")
    try:
        status = main([*map(str, given)])
    except KeyboardInterrupt:
        status = None
    with (tmp_path / "out.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as f:
        rows = [row["path"] for row in csv.DictReader(f)]
    return status, sorted(p.name for p in (tmp_path / "figures").iterdir()), rows


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_videos_of_any_name_are_all_drawn(run, films, tmp_path, capsys):
    names = ["happy/anna_01.mp4", "sad/anna_01.mp4", "a$1_$2.mp4", "100%41.mp4", "a#b?c.mp4"]
    names += [f"{'x' * 251}.mp4", "two\nlines.mp4", "j\udcf6rg.mp4", "-dash.mp4", "{0}.mp4"]
    videos = [films(name) for name in names]
    status, figures, rows = predicted(run, tmp_path, *videos)
    assert status == 0
    assert len(figures) == 2 * len(names)
    out = capsys.readouterr().out
    assert f"drawn: {tmp_path / 'figures' / 'a$1_$2-timeline.png'}, " in out
    assert f"{videos[2]}, 1.4 s; by chance 0.143\n" in out
    assert {"happy-anna_01.mp4-cam.png", "sad-anna_01.mp4-cam.png"} <= set(figures)
    assert list(dict.fromkeys(rows)) == [*map(str, videos)]
    lines = out.splitlines()
    assert sum(line.startswith(str(tmp_path)) for line in lines) == len(names)


def test_a_video_that_fails_stops_no_other_and_loses_nothing(
    run, films, tmp_path, capsys, monkeypatch
):
    real = explain.grad_cam

    def grad_cam(*args):
        monkeypatch.setattr(explain, "grad_cam", real)
        raise RuntimeError("no picture today")

    monkeypatch.setattr(explain, "grad_cam", grad_cam)
    good, other = films("good.mp4"), films("other.mp4")
    (tmp_path / "films" / "bad.mp4").write_bytes(b"bad")
    status, figures, rows = predicted(run, tmp_path, good, tmp_path / "films/bad.mp4", other)
    assert status == 2
    assert figures == ["good-timeline.png", "other-cam.png", "other-timeline.png"]
    assert {*rows} == {str(good), str(other)}
    err = capsys.readouterr().err
    assert f"{good}: cannot be drawn (no picture today)" in err
    assert "bad.mp4: cannot be opened" in err


def test_a_prediction_that_is_interrupted_keeps_what_it_has(
    run, films, tmp_path, capsys, monkeypatch
):
    real = explain.timeline

    def timeline(model, path, **options):
        if path.name == "second.mp4":
            raise KeyboardInterrupt
        return real(model, path, **options)

    monkeypatch.setattr(explain, "timeline", timeline)
    status, _, rows = predicted(run, tmp_path, films("first.mp4"), films("second.mp4"))
    assert status == 2
    assert {Path(row).name for row in rows} == {"first.mp4"}
    assert capsys.readouterr().err.endswith("error: told to stop\n")


@pytest.mark.parametrize("option", ["--out", "--figures"])
def test_a_place_that_cannot_be_written_is_named_before_the_work(
    run, films, tmp_path, capsys, monkeypatch, option
):
    monkeypatch.setattr(explain, "timeline", None)
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "x"
    line = refused(capsys, "predict", films("a.mp4"), "--checkpoint", run, option, place)
    assert f"{place}: cannot be written (Not a directory)" in line or "(File exists)" in line
    line = refused(capsys, "predict", "a.mp4", "--checkpoint", run, "--out", tmp_path)
    assert f"{tmp_path}: cannot be written (it is a folder)" in line


def test_a_file_that_is_damaged_is_one_line_from_a_loading_process(faces, tmp_path, capsys):
    shutil.copytree(faces, tmp_path / "faces")
    for path in (tmp_path / "faces").rglob("*.mp4"):
        path.write_bytes(path.read_bytes()[:100])
    given = ("train", tmp_path / "faces", "--out", tmp_path / "run", *TINY, "--num-workers", "1")
    assert main([*map(str, given)]) == 2
    shutil.rmtree(tmp_path / "run")
    *bar, line = capsys.readouterr().err.splitlines()
    assert all("step" in each or not each for each in bar)
    assert line.startswith(f"error: {tmp_path / 'faces'}")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unable to open shared memory object </torch_1_2> in read-write mode", "shared memory"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. ", "shared memory"),
        ("received 0 items of ancdata", "open files"),
        ("Too many open files", "open files"),
        ("DataLoader worker (pid(s) 7) exited unexpectedly", "memory is full"),
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", "memory is full"),
    ],
)
def test_what_a_machine_lacks_is_one_line(faces, tmp_path, capsys, monkeypatch, said, told):
    def fit(*_):
        raise RuntimeError(said)

    monkeypatch.setattr("r3d_helpers.apply.runs._fit", fit)
    line = refused(capsys, "train", faces, "--out", tmp_path / "run", *TINY)
    assert told in line
    assert "--num-workers" in line


def test_an_error_of_ours_keeps_its_traceback(faces, tmp_path, monkeypatch):
    def fit(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("r3d_helpers.apply.runs._fit", fit)
    with pytest.raises(RuntimeError, match="mat1"):
        main(["train", str(faces), "--out", str(tmp_path / "run"), *TINY])


def renamed(faces, root):
    """Four people, seven labels that no old console can write."""
    for i, path in enumerate(sorted(faces.rglob("*.mp4"))):
        label = root / f"{path.stem[6:8]} fröhlich 日本"
        label.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, label / f"person{i // 7}_{i}.mp4")
    return root


def test_a_console_that_cannot_write_a_label_loses_no_file(faces, tmp_path, monkeypatch):
    root = renamed(faces, tmp_path / "own")
    console = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", console)
    main(["train", str(root), "--reader", "folder", "--out", str(tmp_path / "run"), *TINY])
    assert b"UAR" not in console.buffer.getvalue()  # it could not be written
    assert (tmp_path / "run" / "predictions.csv").exists()
    assert "fröhlich" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "run")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with pipes")
def test_a_console_shows_the_code_of_a_letter_that_it_lacks_and_may_close(faces, tmp_path):
    root = renamed(faces, tmp_path / "own")
    command = '"$0" -m r3d_helpers describe "$1" --reader folder | head -5'
    child = subprocess.run(
        ["sh", "-c", command, sys.executable, root],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    *_, labels = child.stdout.splitlines()
    assert r"03 fr\xf6hlich \u65e5\u672c" in labels
    assert "Error" not in child.stderr


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_command_without_a_console_does_its_work(faces, monkeypatch):
    """As under a scheduler that closes it."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(sys, "argv", ["r3d_helpers", "describe", str(faces)])
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("r3d_helpers", run_name="__main__")
    assert caught.value.code == 0


def test_songs_are_asked_for_by_an_option(faces, tmp_path, capsys):
    for path in faces.rglob("*.mp4"):
        song = tmp_path / "songs" / path.parent.name / path.name.replace("02-01-", "02-02-", 1)
        song.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, song)
    out = tmp_path / "run"
    line = refused(capsys, "train", tmp_path / "songs", "--out", out, *TINY)
    assert "there is song, not speech: see --channel song: 28 (" in line
    assert main(["describe", str(tmp_path / "songs"), "--channel", "song"]) == 0
    assert capsys.readouterr().out.startswith("28 clips of 4 subjects")
    line = refused(capsys, "describe", faces, "--reader", "folder", "--channel", "song")
    assert "--channel song goes with --reader ravdess" in line


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets administrators alone link")
def test_what_is_left_out_of_a_training_is_told(faces, tmp_path, capsys):
    root = tmp_path / "own"
    shutil.copytree(faces, root)
    (root / ".Trash-0").mkdir()
    shutil.copy(next(faces.rglob("*.mp4")), root / ".Trash-0")
    (root / "notes.txt").touch()
    (root / "Actor_05").symlink_to(root / "Actor_04")
    assert main(["train", str(root), "--out", str(tmp_path / "run"), *TINY]) == 0
    shutil.rmtree(tmp_path / "run")
    err = capsys.readouterr().err
    assert "left out, hidden or deleted: 1 (" in err
    assert "left out, no ending of a video: 1 (notes.txt)" in err
    assert "left out, a link to a folder that is read anyway: 1 (Actor_05)" in err
