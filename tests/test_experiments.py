"""Long runs can be stopped anywhere: finished runs are kept, and no run is made twice."""

import dataclasses
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import forked
import pytest
import torch
from thin import thin_r3d_18

from r3d_helpers import datasets, doctor, sampler
from r3d_helpers import model as model_module
from r3d_helpers.classroom import actors
from r3d_helpers.studies import experiments, sweep
from r3d_helpers.studies import recipe as recipes
from r3d_helpers.studies.experiments import CLIP_SIZES, SE_SETTINGS
from r3d_helpers.studies.recipe import AUGMENTATIONS, Recipe

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
    rows = sweep.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID
    assert rows == sweep.read(path)
    assert rows[2] == {"se": "none", "seed": "1", "test_uar": "0.8333"}
    assert path.read_text().startswith("# x\n# Python 3")
    assert sorted(p.name for p in path.parent.iterdir()) == ["se.csv"]


def test_a_stopped_sweep_goes_on_and_repeats_nothing(tmp_path):
    path, calls = tmp_path / "se.csv", []
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(path, GRID, make_runner(calls, stop_at=2), command="x", work=tmp_path)
    assert len(sweep.read(path)) == 2
    assert len(list(tmp_path.glob("se-*/none-1/begun"))) == 1  # to be gone on with
    sweep.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID
    sweep.sweep(path, GRID, make_runner(calls), command="x", work=tmp_path)
    assert calls == GRID


def test_two_commands_do_not_share_a_run_in_progress(tmp_path):
    for command in ("x --epochs 7", "x --epochs 8"):
        with pytest.raises(KeyboardInterrupt):
            runner = make_runner([], stop_at=0)
            sweep.sweep(tmp_path / "se.csv", GRID, runner, command=command, work=tmp_path)
    assert len(list(tmp_path.glob("se-*/none-0/begun"))) == 2


@pytest.mark.parametrize(
    ("name", "file", "options", "settings"),
    [
        ("se", "se", {}, SE_SETTINGS),
        ("clip_size", "clip-size", {}, CLIP_SIZES),
        ("augmentation", "augmentation", {}, [{"augment": name} for name in AUGMENTATIONS]),
        (
            "augmentation",
            "augmentation-long",
            {"epochs": 30, "settings": ("mirror", "light")},
            [{"augment": name} for name in ("mirror", "light")],
        ),
    ],
)
def test_the_stored_results_are_those_of_the_command_as_it_stands(
    tmp_path, monkeypatch, name, file, options, settings
):
    """Without it: the command in the first line of a result file no longer makes it."""
    stored = doctor.SAMPLES / "results" / f"{file}.csv"
    copied = Path(shutil.copy(stored, tmp_path))
    monkeypatch.setattr(recipes, "Trainer", None)  # nothing is left to train
    rows = getattr(experiments, name)(doctor.SAMPLES, copied, work=tmp_path, **options)
    grid = [{**setting, "seed": seed} for seed in range(3) for setting in settings]
    assert [{name: row[name] for name in grid[0]} for row in rows] == [
        {name: str(value) for name, value in setting.items()} for setting in grid
    ]
    assert copied.read_text() == stored.read_text()


def test_two_result_files_do_not_share_a_run_in_progress(tmp_path):
    for folder in ("a", "b"):
        with pytest.raises(KeyboardInterrupt):
            runner = make_runner([], stop_at=0)
            path = tmp_path / folder / "se.csv"
            sweep.sweep(path, GRID, runner, command="x", work=tmp_path)
    assert len(list(tmp_path.glob("se-*/none-0/begun"))) == 2


def test_another_command_does_not_continue_a_file(tmp_path):
    path = tmp_path / "se.csv"
    sweep.sweep(path, GRID, make_runner([]), command="x --epochs 7", work=tmp_path)
    before = path.read_text()
    with pytest.raises(ValueError, match="was made by another command"):
        sweep.sweep(path, GRID, make_runner([]), command="x --epochs 8", work=tmp_path)
    assert path.read_text() == before


def test_an_unknown_augmentation_is_refused_before_anything_runs(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(ValueError, match=r"one of none, mirror, .* got 'heavy'"):
        experiments.augmentation(
            doctor.SAMPLES, path, settings=["none", "heavy"], work=tmp_path / "work"
        )
    assert not list(tmp_path.iterdir())


def test_an_unknown_sampling_is_named():
    with pytest.raises(ValueError, match="sampling must be one of uniform, dense, got 'random'"):
        Recipe(sampling="random")


def test_nothing_to_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="seeds, trials and settings must be 1 or more"):
        sweep.sweep(tmp_path / "x.csv", [], None, command="x", work=tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- several processes at one sweep -----------------------------------------------------------


def work_slowly(folder, seconds):
    """One of several processes; every begin and end of a run is a line in a log."""

    def one(setting, run_folder):
        run_folder.mkdir(exist_ok=True)
        log("begin", setting)
        time.sleep(seconds)
        log("end", setting)
        return {"test_uar": setting["seed"] / 7, "pid": str(os.getpid())}

    def log(what, setting):
        with (folder / "log").open("a") as file:
            file.write(f"{what} {setting['seed']}\n")

    grid = [{"seed": seed} for seed in range(8)]
    sweep.sweep(folder / "x.csv", grid, one, command="x", work=folder / "work")


def begin_process(folder, seconds):
    process = forked.processes.Process(target=work_slowly, args=(folder, seconds))
    process.start()
    return process


def lines(folder):
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("nothing happened for a minute")


def test_two_processes_share_the_runs_and_none_runs_twice(tmp_path):
    processes = [begin_process(tmp_path, 0.5) for _ in range(2)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert sorted(lines(tmp_path)) == sorted(f"{w} {s}" for w in ("begin", "end") for s in range(8))
    rows = sweep.read(tmp_path / "x.csv")
    assert [row["seed"] for row in rows] == [str(seed) for seed in range(8)]
    assert {row["pid"] for row in rows} == {str(process.pid) for process in processes}
    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert all(path.suffix == ".lock" and path.stat().st_size == 0 for path in left)


def test_a_run_of_a_killed_process_is_taken_over(tmp_path):
    dies = begin_process(tmp_path, 300)
    wait_for(lambda: lines(tmp_path) == ["begin 0"])
    lives = begin_process(tmp_path, 0)
    wait_for(lambda: lines(tmp_path).count("end 7") == 1)
    assert "end 0" not in lines(tmp_path)  # the living one waits
    os.kill(dies.pid, signal.SIGKILL)
    lives.join(60)
    assert lives.exitcode == 0
    assert [line for line in lines(tmp_path) if line.endswith(" 0")] == ["begin 0"] * 2 + ["end 0"]
    assert len(sweep.read(tmp_path / "x.csv")) == 8


# --- what a run is made of --------------------------------------------------------------------


@pytest.mark.parametrize("setting", CLIP_SIZES)
def test_the_middle_view_is_what_a_single_clip_shows(setting):
    views = recipes._views(setting["sampling"])
    assert len(views) == recipes.VIEWS
    n = setting["clip_len"]
    for num_frames in (1, 7, 11, 16, 30, 45):
        middle = views[1](num_frames, n)
        if setting["sampling"] == "uniform":
            assert middle == sampler.uniform(num_frames, n)
            together = sorted(index for view in views for index in view(num_frames, n))
            assert together == sampler.uniform(num_frames, 3 * n)
        else:
            assert [middle] == sampler.multi(num_frames, n, stride=2, num_clips=1)
            assert [v(num_frames, n) for v in views] == sampler.multi(num_frames, n, stride=2)


def test_random_dense_clips_have_the_stride_and_reach_both_ends():
    clips = {tuple(recipes._random_dense(20, 4)) for _ in range(500)}
    assert clips == {(s, s + 2, s + 4, s + 6) for s in range(14)}
    assert recipes._random_dense(3, 4) == [0, 2, 2, 2]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_only_flicker_draws_every_frame_for_itself(name):
    still = torch.randint(256, (1, 3, 24, 24), dtype=torch.uint8).expand(4, -1, -1, -1)
    torch.manual_seed(0)
    out = recipes._transform(name)(still)
    assert (out.shape, out.dtype) == (still.shape, still.dtype)
    assert out.equal(out[:1].expand_as(out)) == (name != "flicker")


def test_reverse_and_speed_do_what_their_names_say():
    rising = torch.arange(0, 250, 60, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 24, 24)
    falls = 0
    for seed in range(40):
        torch.manual_seed(seed)
        brightness = recipes._transform("reverse")(rising).float().mean((1, 2, 3))
        falls += bool(brightness[0] > brightness[-1])
    assert 10 < falls < 30
    spans = {recipes._random_sampler(Recipe(augment="speed"))(40, 40)[-1] for _ in range(50)}
    assert min(spans) < 38


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixing_is_left_to_the_trainer(tmp_path, monkeypatch, mix):
    clips = [clip for clip in datasets.ravdess(doctor.SAMPLES) if clip.subject <= "04"]
    configs = []

    def stop(self, *_, **__):
        configs.append(self.config)
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes.Trainer, "fit", stop)
    with pytest.raises(KeyboardInterrupt):
        recipes.train(Recipe(augment=mix, clip_len=1, size=16), clips, tmp_path / "run")
    assert configs[0].mix == mix


def test_a_row_of_scores_holds_what_its_columns_say():
    """Without it: `val_uar` is the test people's, or one view's score that of all."""

    class Run:
        history = tuple({"val_uar": u, "train_loss": loss} for u, loss in ((0.9, 2.0), (0.8, 1.5)))

        def predict(self, logits):
            return torch.tensor(logits), torch.tensor([0, 1, 1])

    # The view in the middle is wrong about the second clip; together they are right.
    sure, leaning = [0.0, 9.0], [2.0, 0.0]
    views = [[leaning, sure, sure], [leaning, [1.0, 0.0], sure], [[0.0, 30.0], sure, sure]]
    assert recipes.score_views(Run(), views) == {
        "val_uar": 0.9,
        "test_uar": 0.75,
        "test_war": pytest.approx(2 / 3),
        "views_uar": 1.0,
        "train_loss": 1.5,
    }


RECIPES = {  # of each field another value
    "seed": 1,
    "start": 5,
    "test_fraction": 0.4,
    "val_fraction": 0.5,
    "clip_len": 2,
    "size": 24,
    "sampling": "dense",
    "augment": "light",
    "se": "residual",
    "se_init": "default",
    "dropout": 0.25,
    "epochs": 3,
    "lr": 0.01,
    "weight_decay": 0.2,
    "warmup": 0.3,
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_word_of_a_recipe_changes_the_training(tmp_path, monkeypatch, name):
    """Without it: a study compares a setting with itself."""
    assert [field.name for field in dataclasses.fields(Recipe)] == list(RECIPES)
    monkeypatch.setattr(model_module, "r3d_18", thin_r3d_18)
    people = [f"{number:02}" for number in range(10)]
    clips = [datasets.Clip(Path(f"{p}.mp4"), "ab"[int(p) % 2], p) for p in people]

    def trace(**changes):
        seen = []

        def fit(self, *sets, **_):
            weights = sum(p.double().abs().sum().item() for p in self.model.parameters())
            seen.extend([self.model.config, self.config, weights, *map(told, sets)])

        def told(part):
            sampler = part.sampler
            torch.manual_seed(0)
            drawn = sampler(30, part.clip_len)
            return part.size, drawn, str(part.transform), [clip.subject for clip in part.clips]

        monkeypatch.setattr(recipes.Trainer, "fit", fit)
        _, tests = recipes.train(Recipe(**changes), clips, tmp_path / "run")
        return [*seen, *map(told, tests)]

    assert trace(**{name: RECIPES[name]}) != trace()


def test_two_that_finish_at_once_keep_both_rows(tmp_path, monkeypatch):
    """Without it: one of two runs that end together is lost, or made again."""
    path, both = tmp_path / "se.csv", threading.Barrier(2, timeout=30)
    rows, made = sweep._rows, []

    def slowly(*args):
        found = rows(*args)
        time.sleep(0.05)
        return found

    def one(setting, _folder):
        made.append(setting["seed"])
        if len(made) <= 2:
            both.wait()
        return {"test_uar": 0.5}

    monkeypatch.setattr(sweep, "_rows", slowly)
    grid = [{"seed": 0}, {"seed": 1}]
    threads = [
        threading.Thread(
            target=sweep.sweep, args=(path, grid, one), kwargs={"command": "x", "work": tmp_path}
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 1]
    assert [row["seed"] for row in sweep.read(path)] == ["0", "1"]


def test_the_gates_are_compared_on_people_never_seen(tmp_path, monkeypatch):
    actors.generate(tmp_path / "samples", actors=4, takes=1)
    seen = {}
    fit, predict = recipes.Trainer.fit, recipes.Trainer.predict

    def spy_fit(self, train_set, val_set, **options):
        seen["fit"] = {c.subject for c in train_set.clips + val_set.clips}
        seen["model"] = self.model.config
        return fit(self, train_set, val_set, **options)

    def spy_predict(self, test_set):
        seen["test"] = {c.subject for c in test_set.clips}
        return predict(self, test_set)

    monkeypatch.setattr(recipes.Trainer, "fit", spy_fit)
    monkeypatch.setattr(recipes.Trainer, "predict", spy_predict)
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
    assert seen["model"]["lean"]
    assert 0 <= float(row["test_uar"]) <= 1
    scores = ["val_uar", "test_uar", "test_war", "views_uar", "train_loss"]
    assert list(row) == ["se", "se_init", "seed", *scores]
