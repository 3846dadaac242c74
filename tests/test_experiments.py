"""Long runs can be stopped anywhere: what is finished is kept, and nothing runs twice."""

import shutil

import pytest

from r3d_helpers import doctor, experiments, faces
from r3d_helpers.experiments import SE_SETTINGS

GRID = [{"se": se, "seed": seed} for seed in (0, 1) for se in ("none", "output")]


def make_runner(calls, stop_at=None):
    def one(setting, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "begun").touch()
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        calls.append(dict(setting))
        return {"test_uar": 0.5 + setting["seed"] / 3}

    return one


def test_a_sweep_writes_one_row_per_run(tmp_path):
    path, calls = tmp_path / "results" / "se.csv", []
    rows = experiments.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID
    assert rows == experiments.read(path)
    assert rows[2] == {"se": "none", "seed": "1", "test_uar": "0.8333"}
    assert path.read_text().startswith("# x\n# Python 3")
    assert sorted(p.name for p in path.parent.iterdir()) == ["se.csv"]


def test_a_stopped_sweep_goes_on_and_repeats_nothing(tmp_path):
    path, calls = tmp_path / "se.csv", []
    with pytest.raises(KeyboardInterrupt):
        experiments.sweep(path, GRID, make_runner(calls, stop_at=2), command="x", work=tmp_path)
    assert len(experiments.read(path)) == 2
    assert len(list(tmp_path.glob("se-*/none-1/begun"))) == 1  # to be gone on with
    experiments.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID
    experiments.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID


def test_two_commands_do_not_share_a_run_in_progress(tmp_path):
    for command in ("x --epochs 7", "x --epochs 8"):
        with pytest.raises(KeyboardInterrupt):
            runner = make_runner([], stop_at=0)
            experiments.sweep(tmp_path / "se.csv", GRID, runner, command=command, work=tmp_path)
    assert len(list(tmp_path.glob("se-*/none-0/begun"))) == 2


def test_the_stored_results_are_those_of_the_command_as_it_stands(tmp_path, monkeypatch):
    stored = doctor.SAMPLES / "results" / "se.csv"
    shutil.copy(stored, tmp_path)
    monkeypatch.setattr(experiments, "Trainer", None)  # nothing is left to train
    rows = experiments.se(doctor.SAMPLES, tmp_path / "se.csv", work=tmp_path)
    settings = [{**setting, "seed": str(seed)} for seed in range(3) for setting in SE_SETTINGS]
    assert [{name: row[name] for name in settings[0]} for row in rows] == settings
    assert (tmp_path / "se.csv").read_text() == stored.read_text()


def test_another_command_does_not_continue_a_file(tmp_path):
    path = tmp_path / "se.csv"
    experiments.sweep(path, GRID, make_runner([]), command="x --epochs 7", work=tmp_path)
    before = path.read_text()
    with pytest.raises(ValueError, match="was made by another command"):
        experiments.sweep(path, GRID, make_runner([]), command="x --epochs 8", work=tmp_path)
    assert path.read_text() == before


def test_the_gates_are_compared_on_people_never_seen(tmp_path, monkeypatch):
    faces.generate(tmp_path / "samples", actors=4, takes=1)
    seen = {}
    fit, evaluate = experiments.Trainer.fit, experiments.Trainer.evaluate

    def spy_fit(self, train_set, val_set):
        seen["fit"] = {c.subject for c in train_set.clips + val_set.clips}
        seen["model"] = self.model.config
        return fit(self, train_set, val_set)

    def spy_evaluate(self, test_set):
        seen["test"] = {c.subject for c in test_set.clips}
        return evaluate(self, test_set)

    monkeypatch.setattr(experiments.Trainer, "fit", spy_fit)
    monkeypatch.setattr(experiments.Trainer, "evaluate", spy_evaluate)
    path = tmp_path / "se.csv"
    options = {
        "settings": experiments.SE_SETTINGS[-1:],
        "work": tmp_path,
        "seeds": 1,
        "epochs": 1,
        "clip_len": 1,
        "size": 16,
    }
    (row,) = experiments.se(tmp_path / "samples", path, **options)
    assert seen["fit"].isdisjoint(seen["test"])
    assert len(seen["fit"] | seen["test"]) == 4
    assert (seen["model"]["se"], seen["model"]["se_init"]) == ("residual", "identity")
    assert 0 <= float(row["test_uar"]) <= 1
    assert list(row) == ["se", "se_init", "seed", "val_uar", "test_uar", "test_war"]
