"""A run gives the same result if it is stopped and resumed, and its errors say what is wrong.

All tests but one train a network of a few hundred parameters in the backbone's place: the loop
does not care, and a checkpoint takes a millisecond instead of a second.
"""

import collections
import contextlib
import copy
import csv
import dataclasses
import itertools
import json
import math
import random
import shutil
import signal
import time
import types
from pathlib import Path

import forked
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import Dataset

from r3d_helpers import R3DEmotion, TrainConfig, Trainer, checkpoint, metrics, optim, preflight
from r3d_helpers import model as model_module


class Clips(Dataset):
    """Balanced noise of two classes, one brighter, augmented at random on every access."""

    def __init__(self, count=6, noise=0.1, **attributes):
        self.count, self.noise = count, noise
        self.__dict__.update(attributes)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        video = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(index))
        return video + index % 2 + self.noise * torch.rand(1), index % 2


class Spoilt(Clips):
    """Clips that go wrong from a certain access on."""

    def __init__(self, good, **attributes):
        super().__init__(**attributes)
        self.good = good

    def __getitem__(self, index):
        self.good -= 1
        video, label = super().__getitem__(index)
        return (video, label) if self.good >= 0 else self.spoil(video, label)

    def spoil(self, video, label):
        raise RuntimeError("the disk is gone")


class NotANumber(Spoilt):
    def spoil(self, video, label):
        return video * math.nan, label


def clips_of(subjects, **attributes):
    clips = [types.SimpleNamespace(subject=subject) for subject in subjects]
    return Clips(clips=clips, **attributes)


DATA = Path(__file__).parent / "data"
VAL = Clips(5, noise=0)
FILES = ["best.safetensors", "history.csv", "last.safetensors"]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def small_backbone(width=8):
    return nn.Sequential(
        collections.OrderedDict(
            conv=nn.Conv3d(3, width, 3, stride=2, padding=1),
            norm=nn.BatchNorm3d(width),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool3d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(width, 400),
        )
    )


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """Spare the disk: no test cuts the power."""
    monkeypatch.setattr("os.fsync", lambda _file: None)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", small_backbone)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "run"
    shutil.rmtree(tmp_path)


@pytest.fixture
def begin(small, folder):
    """Make a trainer; the same options give the same one."""

    def begin(out_dir=folder, **options):
        torch.manual_seed(7)
        options = {"epochs": 3, "batch_size": 2, "lr": 0.01, "progress": False, **options}
        return Trainer(R3DEmotion(2, clip_len=4, se=None), TrainConfig(**options), out_dir)

    return begin


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def stop_after_saves(monkeypatch, saves):
    """Stop the process, as if killed, after so many checkpoints (the first: step 0)."""
    save, left = Trainer._save, itertools.count(saves - 1, -1)

    def dying(self):
        save(self)
        if next(left) == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save", dying)


# --- a whole run ----------------------------------------------------------------------------


def test_history_is_one_record_per_epoch_and_the_csv(begin):
    run = begin()
    history = run.fit(Clips(), VAL)
    with (run.out_dir / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert rows == [{k: str(v) for k, v in record.items()} for record in history]
    assert list(history[0]) == [
        *("epoch", "lr", "train_loss", "val_loss", "val_uar", "val_war", "val_f1", "seconds")
    ]


def test_a_run_leaves_three_files(begin):
    run = begin()
    run.fit(Clips(), VAL)
    assert files(run.out_dir) == FILES


def test_it_learns(begin):
    run = begin(epochs=12)
    history = run.fit(Clips(), VAL)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert run.evaluate(VAL).uar == 1


@pytest.mark.parametrize(
    ("uars", "losses", "best"),
    [
        ([0.2, 0.9, 0.5], [1, 9, 0], 2),
        ([0.5, 0.5, 0.5], [3, 1, 2], 2),
        ([0.5, 0.5, 0.4], [1, 1, 0], 1),
        ([0.1, 0.2, 0.3], [1, 2, 3], 3),
    ],
)
@pytest.mark.parametrize("ema", [0, 0.9])
def test_the_model_ends_with_the_weights_of_the_best_epoch(
    begin, monkeypatch, uars, losses, best, ema
):
    run, seen = begin(ema=ema), []

    def judge(model, _dataset):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        at = len(seen) - 1
        return metrics.Scores(uars[at], 0, 0, None, losses[at])

    monkeypatch.setattr(run, "_evaluate", judge)
    run.fit(Clips(), VAL)
    assert len({v["classifier.weight"].sum().item() for v in seen}) == 3
    for ended in (run.model, checkpoint.load(run.best)[0]):
        assert all(torch.equal(v, seen[best - 1][k]) for k, v in ended.state_dict().items())


def test_a_used_folder_is_left_alone(begin):
    begin().fit(Clips(), VAL)
    run = begin(seed=1)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.out_dir.iterdir()}
    with pytest.raises(FileExistsError, match=r"Trainer\.resume"):
        run.fit(Clips(), VAL)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.out_dir.iterdir()}
    assert after == before


@pytest.mark.parametrize("option", [{}, {"ema": 0.9}, {"class_weights": True}])
def test_the_seed_decides_the_run(begin, folder, option):
    ended = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run = begin(folder / name, seed=seed, **option)
        run.fit(Clips(), VAL)
        ended.append(run.model)
    assert same(ended[0], ended[1])
    assert not same(ended[0], ended[2])


def test_a_model_that_was_loaded_to_evaluate_is_trained_as_any_other(begin, folder):
    """Without it: fine-tuning starts without dropout, with fixed statistics."""
    runs = [begin(folder / str(mode)) for mode in (True, False)]
    for run, mode in zip(runs, (True, False), strict=True):
        run.model.train(mode)
        run.fit(Clips(), VAL)
    assert same(runs[0].model, runs[1].model)


def test_every_epoch_draws_anew(begin, monkeypatch):
    run, orders = begin(lr=1e-9), []
    train_epoch = Trainer._train_epoch

    def listen(self, epoch, bar):
        orders.append([])
        return train_epoch(self, epoch, bar)

    class Listening(Clips):
        def __getitem__(self, index):
            orders[-1].append((index, torch.rand(1).item()))
            return super().__getitem__(index)

    monkeypatch.setattr(Trainer, "_train_epoch", listen)
    run.fit(Listening(), VAL)
    assert len({tuple(order) for order in orders}) == 3
    assert len({tuple(index for index, _ in order) for order in orders}) > 1


@pytest.mark.parametrize(("count", "steps"), [(2, 1), (3, 1), (5, 2), (6, 3)])
def test_a_rest_of_one_is_left_out(begin, count, steps):
    run = begin()
    run.fit(Clips(count), VAL)
    assert checkpoint.load(run.best)[1].steps_per_epoch == steps


def test_a_set_below_the_batch_size_is_not_left_out(begin):
    run = begin(batch_size=16)
    assert len(run.fit(Clips(3), VAL)) == 3


@pytest.mark.parametrize(("count", "options"), [(1, {}), (6, {"batch_size": 1})])
def test_one_tiny_clip_is_no_batch(folder, count, options):
    run = Trainer(R3DEmotion(2, clip_len=4), TrainConfig(epochs=1, **options), folder)
    with pytest.raises(
        ValueError, match=r"one clip \[T, C, H, W\] = \[4, 3, 8, 8\]: give batch_size"
    ):
        run.fit(Clips(count), VAL)
    assert files(folder) == []


@pytest.mark.parametrize(("count", "options"), [(1, {}), (6, {"batch_size": 1})])
def test_one_larger_clip_is(begin, count, options):
    assert len(begin(**options).fit(Clips(count), VAL)) == 3


def test_the_learning_rate_rises_to_lr_and_falls_to_nothing(begin):
    run = begin(lr=0.5, warmup=0.1)
    rates = [run._rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * step for step in range(1, 11)])
    assert max(rates) == 0.5
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.25)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize("warmup", [0, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_step_has_a_learning_rate(begin, warmup, steps):
    run = begin(lr=0.5, warmup=warmup)
    assert all(0 < run._rate(step, steps) <= 0.5 for step in range(steps))


def test_the_history_states_the_rate_used(begin):
    run = begin()
    history = run.fit(Clips(), VAL)
    assert [record["lr"] for record in history] == [run._rate(step, 9) for step in (2, 5, 8)]
    assert run.optimizer.param_groups[1]["lr"] == history[-1]["lr"]


def test_biases_and_norms_do_not_decay(begin):
    run = begin()
    run._prepare(Clips(), VAL)
    decaying, others = run.optimizer.param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0)
    assert all(p.ndim > 1 for p in decaying["params"])
    assert sum(len(group["params"]) for group in (decaying, others)) == 6


@pytest.mark.parametrize("limit", [0.001, 0])
def test_the_gradient_is_clipped_if_asked(begin, limit):
    run = begin(clip_grad=limit, epochs=1)
    run.fit(Clips(), VAL)
    norm = nn.utils.get_total_norm([p.grad for p in run.model.parameters()])
    assert (norm <= 0.00101) == bool(limit)


@pytest.mark.parametrize("labels", [{}, {"targets": [0, 0, 0, 1, 1, 0]}])
def test_class_weights_are_mean_count_over_count(labels):
    expected = {True: [3 / 4, 3 / 2], False: [1, 1]}[bool(labels)]
    assert optim.class_weights(Clips(**labels), 2).tolist() == pytest.approx(expected)


def test_class_weights_count_an_absent_class_as_once():
    weights = optim.class_weights(Clips(targets=[0, 0, 0, 0]), 2)
    assert weights.tolist() == [0.5, 2]


def test_class_weights_reach_the_loss(begin, folder):
    rare = Clips(targets=[0, 0, 0, 0, 0, 1])
    losses = [
        begin(folder / str(on), class_weights=on).fit(rare, VAL)[0]["train_loss"]
        for on in (False, True)
    ]
    assert losses[0] != losses[1]


def mixed(begin, mix, seed):
    """Four clips of four classes, [B, T, C, H, W], and what mixing makes of them."""
    run = begin(mix=mix)
    run.model.config["num_classes"] = 4
    video = torch.rand(4, 5, 3, 6, 7, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    return video, *run._mix(video.clone(), torch.arange(4))


@pytest.mark.parametrize("seed", range(8))
def test_mixup_blends_all_frames_by_the_share_of_the_target(begin, seed):
    video, blended, target = mixed(begin, "mixup", seed)
    own = target[0, 0]
    assert 0 < own < 1
    assert torch.allclose(target, own * torch.eye(4) + (1 - own) * torch.eye(4).roll(1, 0))
    assert torch.allclose(blended, own * video + (1 - own) * video.roll(1, 0), atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_cuts_one_box_through_all_frames_as_large_as_its_share(begin, seed):
    video, patched, target = mixed(begin, "cutmix", seed)
    cut = patched != video
    assert patched[cut].equal(video.roll(1, 0)[cut])
    assert cut.equal(cut[:1, :1, :1].expand_as(cut))
    rows, columns = (cut[0, 0, 0].any(axis).sum() for axis in (1, 0))
    assert cut[0, 0, 0].sum() == rows * columns  # a box
    assert target[0, 3] == pytest.approx(cut.float().mean().item(), abs=1e-5)
    assert torch.allclose(target.sum(1), torch.ones(4))


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
def test_mixing_is_for_training_alone(begin, monkeypatch, mix):
    mixed = []

    def spy(self, video, target):
        mixed.append(self.wrapped.training)
        return mix_clips(self, video, target)

    mix_clips = Trainer._mix
    monkeypatch.setattr(Trainer, "_mix", spy)
    run = begin(mix=mix, class_weights=True, epochs=1)
    targets = []
    loss = nn.CrossEntropyLoss.forward
    monkeypatch.setattr(nn.CrossEntropyLoss, "forward", lambda *a: targets.append(a[2]) or loss(*a))
    run.fit(Clips(), VAL)
    assert mixed == [True] * 3
    assert all(target.is_floating_point() == (mix != "none") for target in targets)


# --- stop and go on -------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "class_weights": True}])
@pytest.mark.parametrize("saves", [1, 2, 3, 4])
def test_a_run_stopped_between_epochs_ends_the_same(begin, folder, monkeypatch, saves, options):
    whole = begin(folder / "whole", **options)
    expected = whole.fit(Clips(), VAL)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_saves(patch, saves)
        begin(folder / "cut", **options).fit(Clips(), VAL)
    torch.rand(3)  # the generators are elsewhere by now
    resumed = Trainer.resume(folder / "cut")
    assert len(resumed.history) == saves - 1
    history = resumed.fit(Clips(), VAL)
    assert same(resumed.model, whole.model)
    assert all(
        torch.equal(tensor, checkpoint.read(resumed.last)[0][name])
        for name, tensor in checkpoint.read(whole.last)[0].items()
    )
    for record in (*expected, *history):
        del record["seconds"]
    assert history == expected


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}])
def test_a_run_stopped_amid_an_epoch_ends_the_same(begin, folder, options):
    whole = begin(folder / "whole", **options)
    whole.fit(Clips(), VAL)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        begin(folder / "cut", **options).fit(Spoilt(good=9), VAL)
    resumed = Trainer.resume(folder / "cut")
    assert len(resumed.history) == 1
    resumed.fit(Clips(), VAL)
    assert same(resumed.model, whole.model)


@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "mix": "mixup"}])
def test_a_run_ended_after_an_epoch_goes_on_to_the_same_end(begin, folder, options):
    whole = begin(folder / "whole", **options)
    expected = whole.fit(Clips(), VAL)
    seen = []

    def stop(record):
        seen.append(record["epoch"])
        with (folder / "cut" / "history.csv").open() as file:
            assert len(list(csv.DictReader(file))) == record["epoch"]  # it is saved already
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(folder / "cut", **options).fit(Clips(), VAL, after_epoch=stop)
    resumed = Trainer.resume(folder / "cut")
    history = resumed.fit(Clips(), VAL, after_epoch=stop)
    assert seen == [1, 2, 3]
    assert same(resumed.model, whole.model)
    assert [r["val_loss"] for r in history] == [r["val_loss"] for r in expected]


def test_a_resumed_run_that_was_stopped_again_asks_to_resume_again(begin, folder):
    with pytest.raises(RuntimeError, match="the disk is gone"):
        begin().fit(Spoilt(good=9), VAL)
    resumed = Trainer.resume(folder)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        resumed.fit(Spoilt(good=4), VAL)
    with pytest.raises(FileExistsError, match=r"Trainer\.resume"):
        resumed.fit(Clips(), VAL)


def test_resuming_a_finished_run_gives_its_history_and_best_weights(begin, folder):
    run = begin()
    history = run.fit(Clips(), VAL)
    written = run.best.stat().st_mtime_ns
    resumed = Trainer.resume(folder)
    assert resumed.config == run.config
    assert resumed.fit(Clips(), VAL) == history
    assert same(resumed.model, run.model)
    assert run.best.stat().st_mtime_ns == written


@pytest.mark.slow
def test_the_real_model_resumes_bit_for_bit(folder, monkeypatch):
    config = TrainConfig(epochs=2, batch_size=2, progress=False)
    sets = Clips(2), Clips(2, noise=0)

    def begin(name):
        torch.manual_seed(0)
        return Trainer(R3DEmotion(2, clip_len=4), config, folder / name)

    whole = begin("whole")
    whole.fit(*sets)
    shutil.rmtree(whole.out_dir)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_saves(patch, 2)
        begin("cut").fit(*sets)
    resumed = Trainer.resume(folder / "cut")
    resumed.fit(*sets)
    assert same(resumed.model, whole.model)
    assert same(checkpoint.load(resumed.best)[0], whole.model)


@pytest.mark.parametrize("exists", [False, True])
def test_resuming_where_no_run_is_names_the_folder(folder, exists):
    if exists:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match="no run to resume") as caught:
        Trainer.resume(folder)
    assert str(folder) in str(caught.value)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def scribble(path):
    path.write_bytes(b"\0" * 8 + path.read_bytes()[8:])


def another_file(path):
    save_file({"x": torch.zeros(1)}, path)


@pytest.mark.parametrize("damage", [cut_short, empty, scribble, another_file])
def test_a_damaged_checkpoint_is_named(begin, damage):
    run = begin(epochs=1)
    run.fit(Clips(), VAL)
    for path, read in (
        (run.last, lambda _: Trainer.resume(run.out_dir)),
        (run.best, checkpoint.load),
    ):
        damage(path)
        with pytest.raises(ValueError, match="not a checkpoint of this package") as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("train", "val"),
    [
        (Clips(8), VAL),
        (Clips(7), VAL),  # as many steps as with 6
        (Clips(), Clips(4)),
        (Clips(size=16), VAL),
        (Clips(classes=["a", "b"]), VAL),
        (clips_of("x"), VAL),
        (Clips(), clips_of("x")),
    ],
)
def test_going_on_with_other_sets_is_refused(begin, folder, train, val):
    begin(epochs=1).fit(Clips(), VAL)
    with pytest.raises(ValueError, match="go on with the same sets"):
        Trainer.resume(folder).fit(train, val)


OF_THE_SETS = {f.name for f in dataclasses.fields(checkpoint.Metadata)} - {
    "model",
    "train",
    "history",
}


@pytest.mark.parametrize("name", sorted(OF_THE_SETS))
def test_whatever_was_said_of_the_sets_must_hold_again(begin, folder, name):
    """Without it: a resumed run uses other people or another learning rate without an error."""
    run = begin(epochs=1)
    run.fit(Clips(), VAL)
    tensors, metadata = checkpoint.read(run.last)
    other = {"clips": (6, 7), "steps_per_epoch": 7, "size": 9}.get(name, ["x", "y"])
    checkpoint.write(run.last, tensors, dataclasses.replace(metadata, **{name: other}))
    with pytest.raises(ValueError, match=f"the run was begun with {name} .*same sets"):
        Trainer.resume(folder).fit(Clips(), VAL)


def test_going_on_with_named_classes_and_subjects_works(begin, folder):
    train = clips_of("ab", classes=["calm", "sad"], size=8)
    val = clips_of("cd", classes=["calm", "sad"], size=8)
    begin(epochs=1).fit(train, val)
    assert len(Trainer.resume(folder).fit(train, val)) == 1


def train_until_killed(out_dir):
    """Train a network whose checkpoints take a while to write; in a process of its own."""
    model_module.r3d_18 = lambda: small_backbone(8192)
    torch.manual_seed(0)
    config = TrainConfig(epochs=40, batch_size=2, lr=0.01, progress=False)
    if (out_dir / "last.safetensors").exists():
        run = Trainer.resume(out_dir)
    else:
        run = Trainer(R3DEmotion(2, clip_len=4, se=None), config, out_dir)
    run.fit(Clips(4), VAL)


def changes(process, folder):
    """What the run's folder holds, as often as that changes, while the process lives."""
    seen = None
    while process.is_alive():
        now = {}
        with contextlib.suppress(FileNotFoundError):  # moved just now
            for path in folder.rglob("*"):
                now[path.name] = (path.stat().st_size, path.stat().st_mtime_ns)
        if now != seen:
            seen = now
            yield now


def test_a_run_killed_ten_times_ends_the_same(folder):
    """Without it: `--resume` gives another model than an uninterrupted run."""

    def start(out_dir):
        process = forked.processes.Process(target=train_until_killed, args=(out_dir,))
        process.start()
        return process

    whole = start(folder / "whole")
    whole.join()
    assert whole.exitcode == 0

    dice = random.Random(0)
    cut = folder / "cut"
    for _ in range(10):
        process = start(cut)
        for _ in itertools.islice(changes(process, cut), dice.randint(1, 8)):
            pass
        time.sleep(dice.choice([0, 0, 0.01, 0.1]))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        for path in cut.glob("*.safetensors"):
            checkpoint.read(path)
    assert (cut / "last.safetensors").exists()
    process = start(cut)
    process.join()
    assert process.exitcode == 0
    assert files(cut) == FILES
    for name in ("last.safetensors", "best.safetensors"):
        expected, found = (checkpoint.read(place / name)[0] for place in (folder / "whole", cut))
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_leftovers_of_a_killed_write_do_no_harm(begin, folder):
    def leave():
        (folder / "1a2b3c.part").mkdir(parents=True)
        for name in ("1a2b3c.part/last.safetensors", "1a2b3c.part/.tmp1a2b3c", "history.part"):
            (folder / name).write_bytes(b"half")

    leave()
    with pytest.raises(RuntimeError, match="the disk is gone"):
        begin().fit(Spoilt(good=9), VAL)
    leave()
    Trainer.resume(folder).fit(Clips(), VAL)
    assert files(folder) == FILES


# --- what goes wrong ------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_epochs_before(begin, folder):
    run = begin(lr=0.25)
    with pytest.raises(FloatingPointError) as caught:
        run.fit(NotANumber(good=8), VAL)
    said = str(caught.value)
    assert "the loss became nan in epoch 2, step 5, at learning rate 0.17" in said
    assert str(run.last) in said
    resumed = Trainer.resume(folder)
    kept, metadata = checkpoint.load(run.best)
    assert len(resumed.history) == len(metadata.history) == 1
    assert all(v.isfinite().all() for v in resumed.model.state_dict().values())
    assert all(v.isfinite().all() for v in kept.state_dict().values())


def test_a_gradient_that_is_not_finite_stops_the_run_too(begin):
    run = begin()
    run.model.classifier.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(FloatingPointError, match=r"the gradient became .* in epoch 1, step 1,"):
        run.fit(Clips(), VAL)


def test_too_little_disk_stops_before_anything_is_written(begin, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=99e6))
    with pytest.raises(OSError, match=r"need 0\.1 GB, and only 0\.1 GB are free"):
        begin().fit(Clips(), VAL)
    assert list(folder.glob("*")) == []


def test_the_disk_space_asked_for_covers_the_run(begin, folder, monkeypatch):
    run = begin(ema=0.9)
    size = 4 * sum(p.numel() for p in run.model.parameters())
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100e6 + 9 * size - 1)
    )
    with pytest.raises(OSError, match="make room"):
        run.fit(Clips(), VAL)
    run.config = dataclasses.replace(run.config, ema=0)
    assert len(run.fit(Clips(), VAL)) == 3


def test_classes_that_do_not_fit_the_model_are_refused(begin):
    with pytest.raises(ValueError, match="the model has 2 classes, the training set 3"):
        begin().fit(Clips(classes=["a", "b", "c"]), VAL)


def test_sets_that_number_their_classes_differently_are_refused(begin):
    with pytest.raises(ValueError, match="number their classes differently"):
        begin().fit(Clips(classes=["a", "b"]), Clips(classes=["b", "a"]))


def test_a_subject_on_both_sides_is_warned_of(begin):
    with pytest.warns(UserWarning, match=r"subjects \['02'\] are in training and validation"):
        begin().fit(clips_of(["01", "02"]), clips_of(["02", "03"]))


@pytest.mark.parametrize(
    ("lacks", "told"),
    [("training", "the model cannot learn it"), ("validation", "the best epoch is chosen without")],
)
def test_a_class_that_one_of_the_sets_does_not_show_is_warned_of(begin, lacks, told):
    """Without it: a recall of 0.000 without a warning."""
    targets = {part: [0, 1] * 3 for part in ("training", "validation")} | {lacks: [1] * 6}
    sets = [Clips(classes=["happy", "sad"], targets=each) for each in targets.values()]
    with pytest.warns(UserWarning, match=f"no clip of happy in the {lacks} set: {told}"):
        begin().fit(*sets)


@pytest.mark.filterwarnings("error")
def test_subjects_apart_are_not(begin):
    begin().fit(clips_of(["01", "02"]), clips_of(["03"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 0), ("batch_size", 0), ("weight_decay", -0.1), ("clip_grad", -1)),
        *(("num_workers", -1), ("lr", 0), ("lr", -1), ("lr", math.inf), ("lr", math.nan)),
        *(("warmup", -0.1), ("warmup", 1), ("label_smoothing", 1), ("ema", 1), ("ema", -0.5)),
        *(("weight_decay", math.nan), ("ema", math.nan)),
    ],
)
def test_a_config_out_of_range_names_field_and_value(name, value):
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}$"):
        TrainConfig(**{name: value})


def test_an_unknown_mix_is_named():
    with pytest.raises(ValueError, match="mix must be one of none, mixup, cutmix, got 'blend'"):
        TrainConfig(mix="blend")


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1


# --- scores and loading ---------------------------------------------------------------------


def test_scores_leave_out_a_class_that_no_clip_has():
    targets = torch.tensor([0, 0, 1, 1])
    logits = 5 * nn.functional.one_hot(torch.tensor([0, 2, 1, 1]), 3).float()
    scores = metrics.score(logits, targets)
    assert scores.uar == 0.75  # (1/2 + 2/2) / 2; over all three classes it would be 0.50
    assert scores.war == 0.75
    assert scores.f1 == pytest.approx((2 / 3 + 1) / 2)
    assert scores.confusion.tolist() == [[1, 0, 1], [0, 2, 0], [0, 0, 0]]
    right = math.log(1 + 2 * math.exp(-5))
    assert scores.loss == pytest.approx((3 * right + right + 5) / 4)


def test_uar_weighs_classes_and_war_weighs_clips():
    targets = torch.tensor([0] * 8 + [1] * 2)
    logits = nn.functional.one_hot(torch.zeros(10, dtype=torch.long), 2).float()
    scores = metrics.score(logits, targets)
    assert (scores.uar, scores.war) == (0.5, pytest.approx(0.8))
    assert scores.f1 == pytest.approx(8 / 9 / 2)
    assert scores.confusion.tolist() == [[8, 0], [2, 0]]


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_changes_nothing(begin, training):
    run = begin()
    run.model.train(training)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    first = run.evaluate(VAL)
    assert all(module.training is training for module in run.model.modules())
    assert all(torch.equal(v, before[k]) for k, v in run.model.state_dict().items())
    assert run.evaluate(VAL).loss == first.loss  # so dropout was off


def test_predict_keeps_the_order_and_loses_no_clip(begin):
    run = begin()
    logits, labels = run.predict(VAL)
    run.model.eval()
    one_by_one = torch.cat([run.model(video[None]) for video, _ in VAL])
    torch.testing.assert_close(logits, one_by_one)
    assert labels.tolist() == [0, 1, 0, 1, 0]


def test_load_gives_the_model_and_what_belongs_to_it(begin):
    run = begin()
    sets = (clips_of(s, classes=["calm", "sad"], size=8, noise=0) for s in ("ab", "c"))
    history = run.fit(*sets)
    model, metadata = checkpoint.load(run.best)
    assert not model.training
    assert torch.equal(run.predict(VAL)[0], Trainer(model, run.config, "unused").predict(VAL)[0])
    assert metadata == checkpoint.Metadata(
        model=run.model.config,
        train=run.config,
        classes=["calm", "sad"],
        size=8,
        crop=None,
        subjects=["a", "b", "c"],
        clips=(6, 6),
        steps_per_epoch=3,
        history=history[: len(metadata.history)],
    )
    assert metadata.history


def test_load_refuses_what_is_not_a_trained_model(begin):
    run = begin(epochs=1)
    run.fit(Clips(), VAL)
    with pytest.raises(ValueError, match=r"load best\.safetensors of a run"):
        checkpoint.load(run.last)
    with pytest.raises(FileNotFoundError, match="nothing: no such checkpoint"):
        checkpoint.load(run.out_dir / "nothing")


class WrongInBfloat16(torch.autograd.Function):
    """A weight's gradient as on some processors: right in float32, wrong in lower precision."""

    @staticmethod
    def forward(ctx, weight, spoil):
        ctx.factor = spoil if torch.is_autocast_enabled("cpu") else 1.0
        return weight.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class Conv(nn.Conv3d):
    spoil = -1.0

    def _conv_forward(self, video, weight, bias):
        return super()._conv_forward(video, WrongInBfloat16.apply(weight, self.spoil), bias)


def spoilt_backbone(spoil):
    def make():
        backbone = small_backbone()
        backbone.conv.__class__ = Conv
        backbone.conv.spoil = spoil
        return backbone

    return make


def test_bfloat16_trains_where_its_gradients_are_right(begin):
    run = begin(precision="bfloat16")
    dtypes = set()
    run.model.backbone.conv.register_forward_hook(lambda *_: dtypes.add(_[2].dtype))
    history = run.fit(Clips(), VAL)
    assert dtypes == {torch.bfloat16, torch.float32}  # trained in one, validated in the other
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert all(p.dtype == torch.float32 for p in run.model.parameters())


@pytest.mark.parametrize("spoil", [-1.0, 0.0, 1.7, math.inf, math.nan])
def test_bfloat16_is_refused_where_a_gradient_is_wrong(begin, folder, monkeypatch, spoil):
    monkeypatch.setattr(model_module, "r3d_18", spoilt_backbone(spoil))
    run = begin(precision="bfloat16")
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    with pytest.raises(FloatingPointError, match=r"backbone\.conv\.weight is wrong by .* float32"):
        run.fit(Clips(), VAL)
    assert all(tensor.equal(before[name]) for name, tensor in run.model.state_dict().items())
    assert files(folder) == []
    begin(folder / "again").fit(Clips(), VAL)  # in float32 nothing is wrong


def test_checking_the_gradients_leaves_no_trace_in_training(begin, folder, monkeypatch):
    one = begin(folder / "one", precision="bfloat16")
    one.fit(Clips(), VAL)
    monkeypatch.setattr(preflight, "check_gradients", lambda *_: None)
    other = begin(folder / "other", precision="bfloat16")
    other.fit(Clips(), VAL)
    assert same(one.model, other.model)


def test_an_unknown_precision_is_named():
    with pytest.raises(
        ValueError, match="precision must be one of float32, bfloat16, got 'float16'"
    ):
        TrainConfig(precision="float16")


# --- micro-batches, frozen stages, rates by stage -----------------------------------------------


STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


def staged_backbone(width=4):
    """A very small network with the names of the stages."""
    stage = {
        name: nn.Sequential(nn.Conv3d(width if i else 3, width, 1), nn.BatchNorm3d(width))
        for i, name in enumerate(STAGES)
    }
    pool = {"pool": nn.AdaptiveAvgPool3d(1), "flat": nn.Flatten()}
    return nn.Sequential(collections.OrderedDict(**stage, **pool, fc=nn.Linear(width, 400)))


@pytest.fixture
def staged(begin, monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", staged_backbone)
    return begin


def test_a_step_is_the_mean_of_its_micro_batches(begin):
    """Gradients and batch norm's statistics, against each micro-batch by itself."""
    run = begin(batch_size=6, micro_batch=2)
    run.model.dropout.p = 0.0
    run._prepare(Clips(), VAL)
    start = copy.deepcopy(run.model)
    batches = [batch for batch in run.loader]
    loss = run._backward(iter(batches))
    alone = []
    for video, target in batches:
        model = copy.deepcopy(start).train()
        alone.append((model, run.criterion(model(video), target)))
        alone[-1][1].backward()
    assert len(alone) == 3
    torch.testing.assert_close(loss, torch.stack([one.detach() for _, one in alone]).mean())
    for name, parameter in run.model.named_parameters():
        gradients = [dict(model.named_parameters())[name].grad for model, _ in alone]
        torch.testing.assert_close(parameter.grad, torch.stack(gradients).mean(0))
    for name, statistic in run.model.named_buffers():
        if statistic.is_floating_point():
            ends = torch.stack([dict(model.named_buffers())[name] for model, _ in alone])
            torch.testing.assert_close(statistic, ends.mean(0))
            assert not torch.equal(ends[0], ends[1])


def test_one_micro_batch_is_the_batch(begin, folder):
    runs = [begin(folder / str(micro), micro_batch=micro) for micro in (None, 2)]
    for run in runs:
        run.model.dropout.p = 0.0
        run.fit(Clips(noise=0), VAL)
    assert same(runs[0].model, runs[1].model)


def test_with_micro_batches_a_clip_draws_by_itself(begin, folder):
    """The same in any process and however often it is read before; but new in every epoch."""
    runs = [begin(folder / str(n), micro_batch=2, num_workers=n) for n in (0, 2)]
    for run in runs:
        run.fit(Clips(noise=5), VAL)
    assert same(runs[0].model, runs[1].model)
    drawn = runs[0].loader.dataset
    first, again = drawn[3][0], drawn[3][0]
    drawn.seed += 1
    assert torch.equal(first, again)
    assert not torch.equal(first, drawn[3][0])


class Noting(Clips):
    """Notes what is drawn for each clip."""

    def __getitem__(self, index):
        self.drawn.append(torch.rand(()).item())
        return super().__getitem__(index)


def test_every_clip_draws_apart_and_in_every_epoch_anew(begin):
    clips = Noting(drawn=[])
    begin(micro_batch=2).fit(clips, VAL)
    assert len(set(clips.drawn)) == len(clips.drawn) == 3 * len(clips)


def test_drawing_by_itself_leaves_the_global_generator_alone(begin):
    run = begin(micro_batch=2)
    run._prepare(Clips(), VAL)
    before = torch.get_rng_state()
    run.loader.dataset[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_rest_of_a_step_is_left_out(begin):
    run = begin(batch_size=4, micro_batch=2)
    run.fit(Clips(11), VAL)
    assert checkpoint.load(run.best)[1].steps_per_epoch == 2


@pytest.mark.parametrize("micro", [0, -1, 3, 32])
def test_a_micro_batch_must_divide_the_batch(micro):
    with pytest.raises(ValueError, match=f"micro_batch must divide batch_size, 16, got {micro}"):
        TrainConfig(batch_size=16, micro_batch=micro)


def test_processes_that_cannot_share_a_step_are_told_so(begin):
    run = begin(batch_size=6)
    run.accelerator = types.SimpleNamespace(num_processes=4)
    with pytest.raises(
        ValueError,
        match="batch_size 6 is no multiple of 4: 4 processes with 1 clips",
    ):
        run._check(Clips(), VAL)


def test_a_set_below_one_step_of_micro_batches_is_refused(begin):
    with pytest.raises(ValueError, match=r"6 clips, fewer than one step of batch_size 8"):
        begin(batch_size=8, micro_batch=2).fit(Clips(6), VAL)


@pytest.mark.parametrize("last", STAGES)
def test_what_is_frozen_stays_as_it_was(staged, last):
    run = staged(freeze=last)
    before = copy.deepcopy(run.model.state_dict())
    run.fit(Clips(), VAL)
    frozen = STAGES[: STAGES.index(last) + 1]
    after = checkpoint.below("model", checkpoint.read(run.last)[0])
    moved = {
        name.removeprefix("backbone.").partition(".")[0]
        for name, tensor in after.items()
        if not torch.equal(tensor, before[name])
    }
    assert moved == {*STAGES, "classifier"} - set(frozen)


def test_rates_fall_from_stage_to_stage(staged):
    run = staged(layer_decay=0.5)
    run.fit(Clips(), VAL)
    (rate,) = {run.history[-1]["lr"]}
    names = {id(p): name for name, p in run.model.named_parameters()}
    seen = {
        names[id(p)].removeprefix("backbone.").partition(".")[0]: group["lr"] / rate
        for group in run.optimizer.param_groups
        for p in group["params"]
    }
    assert seen == {
        **{"classifier": 1, "layer4": 1 / 2, "layer3": 1 / 4, "layer2": 1 / 8},
        **{"layer1": 1 / 16, "stem": 1 / 32},
    }


def test_without_decay_the_optimizer_keeps_its_order(staged):
    """So that runs saved before there were rates by stage go on."""
    run = staged()
    run._prepare(Clips(), VAL)
    order = [p for group in run.optimizer.param_groups for p in group["params"]]
    by_kind = sorted(run.model.parameters(), key=lambda p: p.ndim <= 1)
    assert [id(p) for p in order] == [id(p) for p in by_kind]


@pytest.mark.parametrize(
    "options",
    [
        {"freeze": "layer1"},
        {"layer_decay": 0.7, "ema": 0.9},
        {"micro_batch": 1, "batch_size": 4},
        {"channels_last": True},
    ],
)
def test_such_runs_resume_bit_for_bit_too(staged, folder, monkeypatch, options):
    whole = staged(folder / "whole", **options)
    whole.fit(Clips(noise=1), VAL)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_saves(patch, 3)
        staged(folder / "cut", **options).fit(Clips(noise=1), VAL)
    resumed = Trainer.resume(folder / "cut")
    resumed.fit(Clips(noise=1), VAL)
    assert same(resumed.model, whole.model)


def test_channels_last_changes_the_layout_and_nothing_else(begin, folder):
    # At a low rate, for AdamW makes a step of any rounding error.
    runs = [begin(folder / str(last), channels_last=last, lr=1e-5) for last in (False, True)]
    for run in runs:
        run.fit(Clips(noise=0), VAL)
    weight = runs[1].model.backbone.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert not weight.is_contiguous()
    for one, other in zip(*(run.model.state_dict().values() for run in runs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("decay", [0, 1.1, -1, math.nan])
def test_a_layer_decay_out_of_range_is_named(decay):
    with pytest.raises(ValueError, match=rf"layer_decay must lie in \(0, 1\], got {decay}"):
        TrainConfig(layer_decay=decay)


def test_an_unknown_stage_is_named():
    with pytest.raises(ValueError, match=r"freeze must be one of none, stem, .*, got 'layer5'"):
        TrainConfig(freeze="layer5")


# --- from one set of labels to another ----------------------------------------------------------


def test_a_rebuilt_head_keeps_the_labels_that_both_know(begin):
    run = begin(epochs=1)
    run.fit(*(clips_of(s, classes=["calm", "sad"], size=8) for s in ("ab", "c")))
    before, metadata = checkpoint.load(run.best)
    model, _ = checkpoint.load(run.best, ["angry", "sad", "calm"])
    video = torch.stack([video for video, _ in VAL])
    torch.testing.assert_close(model(video)[:, [2, 1]], before(video))
    assert model.config == {**before.config, "num_classes": 3}
    assert metadata.classes == ["calm", "sad"]


def test_a_rebuilt_model_trains_saves_and_loads(begin, folder):
    run = begin(epochs=1)
    run.fit(*(clips_of(s, classes=["calm", "sad"]) for s in ("ab", "c")))
    labels = ["angry", "calm", "sad"]
    model, _ = checkpoint.load(run.best, labels, dropout=0.25)
    next_one = Trainer(model, run.config, folder / "next")
    next_one.fit(*(clips_of(s, classes=labels) for s in ("de", "f")))
    found, metadata = checkpoint.load(folder / "next")
    assert (metadata.classes, metadata.subjects) == (labels, ["d", "e", "f"])
    assert found.dropout.p == 0.25


def test_only_what_no_weight_depends_on_can_be_changed(begin):
    run = begin(epochs=1)
    run.fit(Clips(), VAL)
    assert checkpoint.load(run.best, clip_len=8)[0].clip_len == 8
    with pytest.raises(ValueError, match=r"only clip_len, dropout and lean can be.*reduction"):
        checkpoint.load(run.best, reduction=4)


def test_the_crop_is_saved_and_going_on_without_it_refused(begin, folder):
    run = begin(epochs=1)
    run.fit(Clips(crop={"margin": 0.3}), VAL)
    assert checkpoint.load(run.best)[1].crop == {"margin": 0.3}
    with pytest.raises(ValueError, match=r"begun with crop \{'margin': 0.3\}, not None"):
        Trainer.resume(folder).fit(Clips(), VAL)


# --- what older versions saved ------------------------------------------------------------------


def test_a_run_of_version_1_loads_and_goes_on(small, folder):
    """Without it: an update makes everybody's checkpoints unreadable."""
    shutil.copytree(DATA / "version_1.0", folder)
    model, metadata = checkpoint.load(folder)
    labels = {"classes": ["calm", "sad"], "size": 8}
    train, val = clips_of("ab", **labels), clips_of("c", **labels, count=5, noise=0)
    uar = Trainer(model, metadata.train, "unused").evaluate(val).uar
    assert uar == metadata.history[-1]["val_uar"] == pytest.approx(2 / 3)
    assert metadata == checkpoint.Metadata(
        model={
            **{"num_classes": 2, "clip_len": 4, "se": None, "se_init": "default"},
            **{"reduction": 16, "dropout": 0.5},
        },
        train=TrainConfig(epochs=3, batch_size=2, lr=0.01, ema=0.9, progress=False),
        **labels,
        subjects=["a", "b", "c"],
        clips=(6, 5),
        steps_per_epoch=3,
        history=metadata.history,
    )
    history = Trainer.resume(folder).fit(train, val)
    assert history[:2] == metadata.history
    # As version 1.0.0 went on itself.
    assert history[2]["train_loss"] == pytest.approx(0.374317, rel=1e-3)
    assert history[2]["val_loss"] == pytest.approx(0.476342, rel=1e-3)
    assert files(folder) == FILES


def stored(path):
    """The metadata of a checkpoint, as stored on disk."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["r3d_helpers"])


def test_a_checkpoint_is_written_as_version_1_wrote_it(begin):
    """Without it: version 1.0 and other programs cannot read what this one saves."""
    run = begin(epochs=1)
    run.fit(*(clips_of(s, classes=["calm", "sad"], size=8) for s in ("ab", "c")))
    now, then = stored(run.last), stored(DATA / "version_1.0" / "last.safetensors")
    assert now.keys() == then.keys()
    assert now["train"].keys() >= then["train"].keys()
    assert now["model"].keys() >= then["model"].keys()
    assert now["history"][0].keys() == then["history"][0].keys()
    names = ("classes", "size", "subjects", "crop", "steps_per_epoch")
    assert [now[name] for name in names] == [then[name] for name in names]
    assert (now["clips"], then["clips"]) == ([6, 6], [6, 5])


def test_a_run_saved_before_there_were_crops_goes_on(begin, folder):
    run = begin()
    run.fit(Clips(), VAL)
    for path in (run.last, run.best):
        tensors, _ = checkpoint.read(path)
        told = stored(path)
        for name in ("micro_batch", "freeze", "layer_decay", "channels_last"):
            del told["train"][name]
        del told["crop"]
        save_file(tensors, path, {"r3d_helpers": json.dumps(told)})
    with pytest.raises(ValueError, match="begun with crop None, not"):
        Trainer.resume(folder).fit(Clips(crop={"margin": 0.3}), VAL)
    assert Trainer.resume(folder).fit(Clips(), VAL) == run.history
    assert checkpoint.load(folder)[1].crop is None


@pytest.mark.parametrize("part", ["train", None])
def test_a_checkpoint_with_an_unknown_setting_is_named(begin, part):
    """A checkpoint of a later version: reading a part of it would train something else."""
    run = begin(epochs=1)
    run.fit(Clips(), VAL)
    tensors, _ = checkpoint.read(run.last)
    told = stored(run.last)
    (told[part] if part else told)["novelty"] = 1
    save_file(tensors, run.last, {"r3d_helpers": json.dumps(told)})
    with pytest.raises(ValueError, match=r"last\.safetensors: not a checkpoint .*'novelty'"):
        Trainer.resume(run.out_dir)
