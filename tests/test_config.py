"""Every setting has an effect: these tests find a field that is ignored, or new and untested."""

import dataclasses
import inspect
import math

import pytest
import torch
from test_trainer import VAL, Clips, staged_backbone
from thin import thin_r3d_18
from torch import nn
from torch.utils.data import get_worker_info

from r3d_helpers import R3DEmotion, TrainConfig, Trainer, checkpoint
from r3d_helpers import model as model_module


class Telling(Clips):
    """Clips that look different where another process loads them."""

    def __getitem__(self, index):
        video, label = super().__getitem__(index)
        return video + (get_worker_info() is not None), label


@pytest.fixture(autouse=True)
def staged(monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", staged_backbone)
    monkeypatch.setattr("os.fsync", lambda _: None)


BASE = {"epochs": 2, "batch_size": 4, "progress": False}
TRAIN = {  # of each setting another value than in BASE or by default
    "epochs": 3,
    "batch_size": 2,
    "micro_batch": 2,
    "lr": 6e-3,
    "weight_decay": 0.9,
    "warmup": 0.6,
    "label_smoothing": 0.4,
    "class_weights": True,
    "mix": "mixup",
    "freeze": "layer1",
    "layer_decay": 0.5,
    "clip_grad": 1e-3,
    "precision": "bfloat16",
    "channels_last": True,
    "ema": 0.9,
    "seed": 1,
    "num_workers": 1,
    "progress": True,
}


def trace(folder, capsys, **changes):
    """All that a run leaves, as numbers and words."""
    torch.manual_seed(0)
    config = TrainConfig(**{**BASE, **changes})
    run = Trainer(R3DEmotion(2, clip_len=4, se=None), config, folder)
    history = run.fit(Telling(8, targets=[0, 1, 0, 1, 0, 1, 0, 0]), VAL)
    tensors, metadata = checkpoint.read(run.last)
    assert metadata.train == config
    weights = sum(tensor.double().abs().sum().item() for tensor in tensors.values())
    layout = run.model.backbone.layer1[0].weight.stride()
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in history]
    return records, weights, layout, bool(capsys.readouterr().err)


@pytest.fixture(scope="module")
def plain():
    return {}


def test_every_setting_of_training_is_in_the_table():
    """Without it: a new setting is ignored, and no test says so."""
    assert [field.name for field in dataclasses.fields(TrainConfig)] == list(TRAIN)


def test_the_same_settings_leave_the_same(tmp_path, capsys):
    assert trace(tmp_path / "one", capsys) == trace(tmp_path / "other", capsys)


@pytest.mark.parametrize("name", TRAIN)
def test_every_setting_of_training_changes_the_run(tmp_path, capsys, plain, name):
    if not plain:
        plain["trace"] = trace(tmp_path / "plain", capsys)
    assert trace(tmp_path / "changed", capsys, **{name: TRAIN[name]}) != plain["trace"]


# --- and does what it says, where the table could not tell ------------------------------------


def one_step(folder, **options):
    """A first step at a rate of next to nothing, on all clips: the run and the model before it."""
    options = {"epochs": 1, "batch_size": 6, "lr": 1e-12, "progress": False, **options}
    torch.manual_seed(0)
    model = R3DEmotion(2, clip_len=4, se=None, dropout=0.0)
    run = Trainer(model, TrainConfig(**options), folder)
    return run, model


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_cross_entropy_so_smoothed_and_weighted(tmp_path, smoothing, weighted):
    run, model = one_step(tmp_path, label_smoothing=smoothing, class_weights=weighted)
    clips = Clips(noise=0, targets=[0, 0, 0, 0, 0, 1])
    video, target = torch.utils.data.default_collate([clips[i] for i in range(6)])
    weight = torch.tensor([6 / 2 / 5, 6 / 2 / 1]) if weighted else None
    expected = nn.functional.cross_entropy(
        model.train()(video), target, weight, label_smoothing=smoothing
    )
    (record,) = run.fit(clips, VAL)
    assert record["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_the_average_is_of_weights_and_of_statistics(tmp_path, monkeypatch):
    """Without it: the saved model has averaged weights with one step's statistics."""
    run, model = one_step(tmp_path, ema=0.7, batch_size=2, lr=0.01)
    seen = [{k: v.clone() for k, v in model.state_dict().items()}]
    step = torch.optim.AdamW.step

    def noting(self, *args, **kwargs):
        step(self, *args, **kwargs)
        seen.append({k: v.clone() for k, v in model.state_dict().items()})

    monkeypatch.setattr(torch.optim.AdamW, "step", noting)
    run.fit(Clips(), VAL)
    kept = checkpoint.read(run.best)[0]
    assert len(seen) == 4
    for name in ("backbone.stem.0.weight", "backbone.stem.1.running_mean"):
        average = seen[1][name]  # as torch begins: with the first, not with the start
        for later in seen[2:]:
            average = 0.7 * average + 0.3 * later[name]
        torch.testing.assert_close(kept[name], average)
        assert not torch.equal(kept[name], seen[-1][name])


def test_processes_share_the_statistics_of_the_average_too(tmp_path, monkeypatch):
    """Without it: the saved model has the statistics of one process."""
    run, model = one_step(tmp_path, ema=0.7)
    reduced, reduce = [], run.accelerator.reduce

    def noting(tensor, how):
        reduced.append((tensor.data_ptr(), how))
        return reduce(tensor, how)

    monkeypatch.setattr(run.accelerator, "reduce", noting)
    run.fit(Clips(), VAL)
    for module in (model, run.ema):
        for name, statistic in module.named_buffers():
            if "running" in name:
                assert (statistic.data_ptr(), "mean") in reduced, name


def test_a_record_holds_what_its_names_say(tmp_path, monkeypatch):
    """Without it: `val_uar` is another set's, or `train_loss` the last step's."""
    torch.manual_seed(0)
    config = TrainConfig(**{**BASE, "epochs": 3, "lr": 0.01})
    run = Trainer(R3DEmotion(2, clip_len=4, se=None), config, tmp_path)
    losses, scores, backward = [], [], Trainer._backward

    def noting(self, batches):
        losses.append(backward(self, batches))
        return losses[-1]

    monkeypatch.setattr(Trainer, "_backward", noting)
    val = Clips(5, noise=0, targets=[0, 1, 0, 1, 0])

    def note_scores(_record):
        scores.append(run.evaluate(val))

    history = run.fit(Clips(8), val, after_epoch=note_scores)
    steps = [losses[i : i + 2] for i in (0, 2, 4)]
    for number, (record, found, step) in enumerate(zip(history, scores, steps, strict=True), 1):
        assert record["epoch"] == number
        assert record["lr"] == run._rate(2 * number - 1, 6)
        assert record["train_loss"] == pytest.approx((sum(step) / 2).item())
        assert (record["val_loss"], record["val_uar"]) == (found.loss, found.uar)
        assert (record["val_war"], record["val_f1"]) == (found.war, found.f1)
        assert 0 < record["seconds"] < 60
    assert len({record["val_loss"] for record in history}) == 3
    assert not math.isclose(scores[0].uar, scores[0].war)


# --- the model --------------------------------------------------------------------------------

MODEL = {
    "num_classes": 3,
    "clip_len": 8,
    "se": "residual",
    "se_init": "identity",
    "reduction": 4,
    "dropout": 0.1,
    "lean": True,
    "weights": "some.pt",
}


def test_every_option_of_the_model_is_in_the_table():
    """Without it: a new option is ignored, and no test says so."""
    assert list(inspect.signature(R3DEmotion).parameters) == list(MODEL)
    assert list(R3DEmotion(2, se=None).config) == [name for name in MODEL if name != "weights"]


@pytest.mark.parametrize("name", MODEL)
def test_every_option_of_the_model_changes_it(tmp_path, monkeypatch, name):
    monkeypatch.setattr(model_module, "r3d_18", thin_r3d_18)
    torch.manual_seed(3)
    torch.save(thin_r3d_18().state_dict(), tmp_path / "some.pt")
    video = torch.randn(2, 8, 3, 16, 16)

    def told(**options):
        torch.manual_seed(0)
        model = R3DEmotion(**{"num_classes": 2, "clip_len": 4, **options})
        torch.manual_seed(1)
        shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
        return shapes, model(video).tolist()

    value = tmp_path / "some.pt" if name == "weights" else MODEL[name]
    assert told() == told()
    assert told(**{name: value}) != told()
    if name != "weights":
        assert R3DEmotion(**{"num_classes": 2, name: value}).config[name] == value
