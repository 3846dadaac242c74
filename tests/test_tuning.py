"""A search can be stopped anywhere, and does not use the test people."""

import errno
import os
import shutil
import signal
import sys
import types
from pathlib import Path

import forked
import optuna
import pytest
import torch
from optuna.trial import TrialState
from test_experiments import wait_for

from r3d_helpers import datasets, doctor
from r3d_helpers.classroom import actors, worker
from r3d_helpers.studies import sweep, tuning

SMALL = {"seeds": 2, "trials": 9, "epochs": 4}


def curve_of(recipe):
    """A simulated training: the closer the learning rate is to 0.001, the better."""
    best = 1 - abs(recipe.lr - 0.001) * 500
    return [round(best * epoch / 4, 6) for epoch in range(1, recipe.epochs + 1)]


class Training:
    """Stands in for `recipe.train`; remembers what it ran, and dies at an epoch if asked."""

    def __init__(self, monkeypatch, die_at=None):
        self.epochs, self.recipes, self.scored = 0, [], []
        self.die_at = die_at
        monkeypatch.setattr(tuning, "train", self.train)
        monkeypatch.setattr(tuning, "score_views", self.score)

    def train(self, recipe, clips, folder, *, after_epoch=None):
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "done"
        before = int(done.read_text()) if done.exists() else 0
        if not before:
            self.recipes.append(recipe)
        for epoch, uar in enumerate(curve_of(recipe), start=1):
            if epoch > before:  # the earlier ones are only reported again
                if self.epochs == self.die_at:
                    raise KeyboardInterrupt
                self.epochs += 1
                done.write_text(str(epoch))
            if after_epoch:
                after_epoch({"epoch": epoch, "val_uar": uar})
        return types.SimpleNamespace(recipe=recipe), ["the test people"]

    def score(self, trainer, tests):
        self.scored.append(trainer.recipe)
        return {"val_uar": 0.5, "test_uar": 0.25 + trainer.recipe.lr}


@pytest.fixture(autouse=True)
def no_samples(monkeypatch, request):
    if "samples" not in request.fixturenames:
        monkeypatch.setattr(datasets, "ravdess", lambda root: [])


def both(folder):
    return [(folder / f"{name}.csv").read_text() for name in ("t", "t-trials")]


def storage(folder):
    (path,) = folder.rglob("study.db")
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nothing stopped: its folder, its rows and what it trained."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "ravdess", lambda root: [])
        training = Training(patch)
        rows = tuning.tuning("", folder / "t.csv", work=folder, **SMALL)
    return types.SimpleNamespace(folder=folder, rows=rows, training=training)


def test_the_default_settings_come_first_and_the_best_win(whole):
    rows, training = whole.rows, whole.training
    tried = sweep.read(whole.folder / "t-trials.csv")
    assert [(row["seed"], row["trial"]) for row in tried] == [
        (str(seed), str(number)) for number in range(9) for seed in range(2)
    ]
    assert [(row["settings"], row["seed"]) for row in rows] == [
        (settings, str(seed)) for seed in range(2) for settings in ("default", "tuned")
    ]
    for row in rows:
        own = [r for r in tried if r["seed"] == row["seed"]]
        assert tuning.settings_of(own[0]) == tuning.DEFAULT
        chosen = own[0] if row["settings"] == "default" else max(own, key=lambda r: float(r["uar"]))
        assert tuning.settings_of(row) == tuning.settings_of(chosen)
        assert row["trial_uar"] == chosen["uar"]
    assert len({row["lr"] for row in tried}) > 16  # no draw twice
    # The winners are trained again, from another start, on the split of their study.
    assert [(recipe.seed, recipe.start) for recipe in training.scored] == [
        (seed, 1000 + seed) for seed in (0, 0, 1, 1)
    ]


def test_a_trial_counts_by_its_best_epoch(tmp_path, monkeypatch):
    """Without it: `uar` is that of the last epoch, and the saved model that of another."""
    monkeypatch.setitem(globals(), "curve_of", lambda _: [0.2, 0.75, 0.5, 0.4])
    Training(monkeypatch)
    rows = tuning.tuning("", tmp_path / "t.csv", work=tmp_path, seeds=1, trials=2, epochs=4)
    tried = sweep.read(tmp_path / "t-trials.csv")
    assert [(row["uar"], row["curve"]) for row in tried] == [("0.75", "0.2 0.75 0.5 0.4")] * 2
    assert [row["trial_uar"] for row in rows] == ["0.75"] * 2


def test_a_hopeless_trial_is_pruned_and_cannot_win(whole):
    tried = sweep.read(whole.folder / "t-trials.csv")
    pruned = [row for row in tried if row["state"] == "pruned"]
    assert pruned
    assert all(2 <= len(row["curve"].split()) < 4 for row in pruned)
    assert all(len(row["curve"].split()) == 4 for row in tried if row not in pruned)
    epochs = sum(len(row["curve"].split()) for row in tried)
    assert whole.training.epochs == epochs + 4 * 4


@pytest.mark.filterwarnings("error:The reported value is ignored")
@pytest.mark.parametrize("die_at", [0, 1, 6, 30, 41, 60])
def test_a_stopped_search_goes_on_and_ends_the_same(whole, tmp_path, monkeypatch, die_at):
    cut = Training(monkeypatch, die_at)
    options = {"work": tmp_path / "cut", **SMALL}
    with pytest.raises(KeyboardInterrupt):
        tuning.tuning("", tmp_path / "cut" / "t.csv", **options)
    cut.die_at = None
    tuning.tuning("", tmp_path / "cut" / "t.csv", **options)
    assert both(tmp_path / "cut") == both(whole.folder)
    assert cut.epochs == whole.training.epochs  # nothing ran twice
    study = optuna.load_study(storage=storage(tmp_path / "cut"), study_name="split 1")
    assert len(study.trials) == 9
    assert all(trial.state in tuning.FINISHED for trial in study.trials)


def test_a_trial_that_ended_before_its_row_was_written_is_not_run_again(tmp_path, monkeypatch):
    Training(monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sweep, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        tuning.tuning("", tmp_path / "t.csv", work=tmp_path, **SMALL)
    again = Training(monkeypatch)
    tuning.tuning("", tmp_path / "t.csv", work=tmp_path, **SMALL)
    assert len(sweep.read(tmp_path / "t-trials.csv")) == 18
    assert len(again.recipes) == 17 + 4


def search_slowly(folder):
    """One of two processes at the same search."""
    datasets.ravdess = lambda root: []

    def train(recipe, clips, run_folder, *, after_epoch=None):
        with (folder / "log").open("a") as file:
            file.write(f"{os.getpid()}\n")
        for epoch, uar in enumerate(curve_of(recipe), start=1):
            after_epoch({"epoch": epoch, "val_uar": uar})

    tuning.train = train
    tuning.score_views = lambda trainer, tests: {"test_uar": 0.5}
    tuning.sweep = lambda path, grid, one, **more: (
        sweep.sweep(path, grid, one, **more) if "trial" in grid[0] else []
    )
    tuning.tuning("", folder / "t.csv", work=folder, seeds=1, trials=20, epochs=2)


def test_two_processes_share_a_study(tmp_path):
    start = forked.processes.Process
    processes = [start(target=search_slowly, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len((tmp_path / "log").read_text().split()) == 20
    (study,) = optuna.get_all_study_summaries(storage(tmp_path))
    assert study.n_trials == 20
    rows = sweep.read(tmp_path / "t-trials.csv")
    # No trial draws what another has drawn. (A rate alone, of four digits, may come twice.)
    assert len({tuple(row[name] for name in tuning.SPACE) for row in rows}) == 20


def test_a_study_comes_back_from_its_file(whole):
    rows = [r for r in sweep.read(whole.folder / "t-trials.csv") if r["seed"] == "1"]
    stored = optuna.load_study(storage=storage(whole.folder), study_name="split 1")
    again = tuning.study_of(rows)
    assert again.best_trial.number == stored.best_trial.number
    for one, other in zip(again.trials, stored.trials, strict=True):
        assert one.state == other.state
        for name, value in other.params.items():
            exact = isinstance(value, str)
            assert one.params[name] == (value if exact else pytest.approx(value, rel=1e-3))
        assert one.intermediate_values == pytest.approx(other.intermediate_values, rel=1e-3)
        if one.state == TrialState.COMPLETE:
            assert one.value == pytest.approx(other.value, rel=1e-3)


def test_the_stored_results_are_those_of_the_command_as_it_stands(tmp_path, monkeypatch):
    stored = doctor.SAMPLES / "results"
    for name in ("tuning.csv", "tuning-trials.csv"):
        shutil.copy(stored / name, tmp_path)
    monkeypatch.setattr(tuning, "train", None)  # nothing is left to train
    rows = tuning.tuning("", tmp_path / "tuning.csv", work=tmp_path)
    assert len(rows) == 6
    for name in ("tuning.csv", "tuning-trials.csv"):
        assert (tmp_path / name).read_text() == (stored / name).read_text()
    tried = sweep.read(stored / "tuning-trials.csv")
    for row in rows:
        own = [r for r in tried if r["seed"] == row["seed"] and r["state"] == "complete"]
        best = max(own, key=lambda r: float(r["uar"]))
        chosen = best if row["settings"] == "tuned" else own[0]
        assert tuning.settings_of(row) == tuning.settings_of(chosen)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    actors.generate(folder, actors=4, takes=1, progress=False)
    return folder


def test_no_trial_looks_at_the_test_people(samples, tmp_path, monkeypatch):
    """Without it: a search chooses its settings on the test people."""
    _, _, test = datasets.train_val_test(datasets.ravdess(samples), seed=0)
    subjects, read = set(), datasets.video.read

    def spy(path, **options):
        subjects.add(Path(path).parent.name[-2:])
        return read(path, **options)

    monkeypatch.setattr(datasets.video, "read", spy)
    monkeypatch.setattr(  # the winners come later
        tuning,
        "sweep",
        lambda path, grid, one, **more: (
            sweep.sweep(path, grid, one, **more) if "trial" in grid[0] else []
        ),
    )
    options = {"seeds": 1, "trials": 2, "epochs": 1, "clip_len": 1, "size": 16}
    tuning.tuning(samples, tmp_path / "t.csv", work=tmp_path, **options)
    assert len(subjects) == 3
    assert subjects.isdisjoint({clip.subject for clip in test})


def tune_until_killed(root, folder):
    options = {"seeds": 1, "trials": 3, "epochs": 3, "clip_len": 1, "size": 16}
    tuning.tuning(root, folder / "t.csv", work=folder, **options)


def test_a_killed_search_goes_on_with_the_trial_that_was_cut(samples, tmp_path):
    """The real model, really killed, amid the second trial."""
    process = forked.processes.Process(target=tune_until_killed, args=(samples, tmp_path))
    process.start()
    wait_for(lambda: len(list(tmp_path.glob("t-trials-*/0-1/history.csv"))) == 1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (first,) = sweep.read(tmp_path / "t-trials.csv")
    tune_until_killed(samples, tmp_path)
    tried = sweep.read(tmp_path / "t-trials.csv")
    assert tried[0] == first
    assert [len(row["curve"].split()) for row in tried] == [3, 3, 3]
    (study,) = optuna.get_all_study_summaries(storage(tmp_path))
    assert study.n_trials == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
@pytest.mark.parametrize("name", ["a?b", "100%41", "a#b", "{x}", "two words", "jörg"])
def test_a_study_lies_where_it_should_whatever_the_name_of_the_folder(tmp_path, name):
    """A URL would end at a question mark, and 41 after a percent sign is an A."""
    (tmp_path / name).mkdir()
    path = tmp_path / name / "study.db"
    for trials in (1, 2):
        study = tuning.open_study(path, "one")
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
        assert len(study.trials) == trials
    assert [each.name for each in tmp_path.rglob("*.db")] == ["study.db"]
    assert path.stat().st_size > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks differently")
def test_a_drive_that_cannot_lock_files_is_named(tmp_path, monkeypatch):
    """As some network drives, whose lock service does not run."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(
        OSError, match=r"cannot be locked on this drive .* another --work"
    ) as caught:
        tuning.tuning("samples", tmp_path / "t.csv", work=tmp_path / "work")
    assert str(tmp_path / "work") in str(caught.value)


def test_the_workers_of_lesson_10_share_a_study_and_one_may_die(tmp_path, monkeypatch):
    """Without it: the file that the lesson shows is not what its processes run."""
    data, url = tmp_path / "data.pt", f"sqlite:///{tmp_path}/study.db"
    inputs, labels = torch.randn(28, 12), torch.arange(28) % 7
    torch.save([inputs, labels, inputs, labels], data)
    study = tuning.open_study(url, worker.NAME)
    study.set_user_attr("another", "is here")
    monkeypatch.setattr(worker.os, "_exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    with pytest.raises(SystemExit):
        worker.work(url, data, 4, dies_in=2)
    worker.work(url, data, 4)
    done = study.get_trials(states=tuning.FINISHED)
    assert len(done) == 4
    assert len(study.trials) == 5
