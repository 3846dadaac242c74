"""The commands: what they print, what they leave, and how they refuse."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from r3d_helpers import experiments, tuning, video
from r3d_helpers.__main__ import main

TINY = ("--clip-len", "2", "--size", "16", "--epochs", "1", "--batch-size", "8")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Four drawn actors, seven clips each."""
    folder = tmp_path_factory.mktemp("faces")
    assert main(["faces", "--actors", "4", "--takes", "1", "--out", str(folder)]) == 0
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


def test_faces_draws_seven_emotions(tmp_path, capsys):
    assert main(["faces", "--actors", "1", "--takes", "1", "--out", str(tmp_path)]) == 0
    paths = list(tmp_path.rglob("*.mp4"))
    assert len(paths) == 7
    assert all(video.probe(path).num_frames > 1 for path in paths)
    assert capsys.readouterr().out == f"7 videos in {tmp_path}\n"


def test_train_leaves_a_run(run):
    assert {path.name for path in run.iterdir()} == {
        *("best.safetensors", "last.safetensors", "history.csv")
    }
    with (run / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


def test_evaluate_scores_subjects_the_model_has_not_seen(run, faces, capsys):
    assert main(["evaluate", str(faces), "--checkpoint", str(run / "best.safetensors")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("7 clips of 1 subjects: UAR 0.")
    assert sum(int(n) for row in out.splitlines()[1:] for n in row.split()[1:]) == 7


def test_evaluate_all_scores_everyone(run, faces, capsys):
    best = run / "best.safetensors"
    assert main(["evaluate", str(faces), "--all", "--checkpoint", str(best)]) == 0
    assert capsys.readouterr().out.startswith("28 clips of 4 subjects: ")


def test_a_finished_run_can_be_resumed(run, faces, capsys):
    history = (run / "history.csv").read_text()
    assert main(["train", str(faces), "--out", str(run), "--resume", *TINY]) == 0
    assert (run / "history.csv").read_text() == history
    assert "7 clips of 1 subjects: UAR" in capsys.readouterr().out


def test_a_used_folder_is_refused(run, faces, capsys):
    line = refused(capsys, "train", faces, "--out", run, *TINY)
    assert f"{run} already holds a run" in line


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

    room = tuning if name == "tuning" else experiments
    monkeypatch.setattr(room, name.replace("-", "_"), make)
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


@pytest.mark.parametrize("option", ["--actors", "--takes"])
@pytest.mark.parametrize("value", ["0", "100"])
def test_faces_names_a_number_out_of_range(tmp_path, capsys, option, value):
    assert value in refused(capsys, "faces", "--out", tmp_path / "new", option, value)
    assert not (tmp_path / "new").exists()


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
    assert line.endswith(".mp4: cannot be opened; the file is damaged or not a video")


@pytest.mark.parametrize("content", [None, b"no checkpoint"])
def test_a_bad_checkpoint_is_named(tmp_path, faces, capsys, content):
    path = tmp_path / "best.safetensors"
    if content:
        path.write_bytes(content)
    assert str(path) in refused(capsys, "evaluate", faces, "--checkpoint", path)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["train", "x", "--out", "y", "--epochs", "many"], "'many'"),
        (["train", "x", "--out", "y", "--reader", "ferv"], "'ferv'"),
        (["train", "x"], "--out"),
        (["experiment", "tuning", "--lr", "1"], "--lr"),
        (["experiment", "luck"], "'luck'"),
        (["dance"], "'dance'"),
        ([], "COMMAND"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(capsys, argv, named):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert named in capsys.readouterr().err.splitlines()[-1]


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
