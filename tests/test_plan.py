"""Every option of a command has an effect: these tests find one that is ignored."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
from thin import thin_r3d_18

from r3d_helpers import R3DEmotion, TrainConfig, checkpoint
from r3d_helpers import model as model_module
from r3d_helpers.__main__ import main
from r3d_helpers.apply import runs
from r3d_helpers.apply.crops import FaceCrop
from r3d_helpers.apply.plan import CropOptions, ModelOptions, Plan, Shape, Source
from r3d_helpers.options import CONFIG_OPTIONS

DATA = Path(__file__).parent / "data"
PEOPLE = ("anna", "ben", "carl", "dora", "emil")


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", thin_r3d_18)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Five people, two labels; a file that is sound alone, one without a face."""
    root = tmp_path_factory.mktemp("videos")
    for label in ("calm", "happy"):
        (root / "own" / label).mkdir(parents=True)
        for person in PEOPLE:
            shutil.copy(DATA / "h264.mp4", root / "own" / label / f"{person}_1.mp4")
    for folder, name in (("silent", "audio_only.mp4"), ("faceless", "no_face.mp4")):
        (root / folder / "calm").mkdir(parents=True)
        shutil.copy(DATA / "h264.mp4", root / folder / "calm" / "anna_1.mp4")
        shutil.copy(DATA / name, root / folder / "calm" / "anna_2.mp4")
    (root / "named").mkdir()
    for name in ("1001_IEO_HAP_MD", "02-01-03-01-01-01-07", "02-02-03-01-01-01-08"):
        shutil.copy(DATA / "h264.mp4", root / "named" / f"{name}.mp4")
    return root


def told(make):
    """What something gives, or the error that it raises."""
    try:
        return make()
    except (ValueError, OSError, runs.video.VideoError) as error:
        return f"{type(error).__name__}: {error}"


def complete(kind, table):
    assert [field.name for field in dataclasses.fields(kind)] == list(table), kind


# --- where clips come from, what they look like -------------------------------------------------

SOURCES = {  # of each field: without it, with it
    "root": ({"root": "faceless"}, {"root": "silent"}),
    "names": ({"root": "named", "names": "ravdess"}, {"root": "named", "names": "crema_d"}),
    "skip_unreadable": ({"root": "silent", "skip_no_face": True}, {"skip_unreadable": True}),
    "skip_no_face": ({"root": "faceless", "skip_unreadable": True}, {"skip_no_face": True}),
    "channel": ({"root": "named", "names": "ravdess"}, {"channel": "song"}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_word_on_the_source_changes_the_clips(own, name):
    complete(Source, SOURCES)
    before, change = SOURCES[name]

    def clips(**options):
        source = Source(own / options.pop("root"), **{"names": "folder", **options})
        return told(lambda: runs.usable(source, Shape(crop=FaceCrop())))

    assert clips(**{**before, **change}) != clips(**before)


CROPS = {"kind": "face", "no_face": "centre", "margin": 0.7, "detector": "gone.onnx"}


@pytest.mark.parametrize("saved", [None, {"margin": 0.1, "no_face": "error"}])
@pytest.mark.parametrize("name", CROPS)
def test_every_word_on_the_crop_changes_it(name, saved):
    complete(CropOptions, CROPS)
    before = {} if name == "kind" else {"kind": "face"} if saved is None else {}
    plain = told(lambda: CropOptions(**before).resolve(saved))
    assert told(lambda: CropOptions(**before, **{name: CROPS[name]}).resolve(saved)) != plain


SHAPES = {"clip_len": 3, "size": 24, "crop": FaceCrop(margin=0.0), "cache": "cache"}


@pytest.mark.parametrize("name", SHAPES)
def test_every_word_on_the_shape_changes_the_clips(own, tmp_path, name):
    complete(Shape, SHAPES)
    value = tmp_path / "cache" if name == "cache" else SHAPES[name]

    def item(**options):
        shape = Shape(**{"clip_len": 2, "size": 16, **options})
        dataset = shape.dataset(Source(own / "own", "folder").clips())
        stored = len(list(tmp_path.rglob("*.npy")))
        return dataset[0][0].tolist(), dataset.crop, len(list(tmp_path.rglob("*.npy"))) - stored

    assert item(**{name: value}) != item()


# --- the model ----------------------------------------------------------------------------------

MODELS = {
    "se": "none",
    "se_init": "default",
    "dropout": 0.25,
    "lean": False,
    "weights": "gone.pth",
}


def built(tmp_path, start, **options):
    torch.manual_seed(0)
    model = ModelOptions(**options).build(["calm", "happy"], 2, start)
    return model.config, {k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_every_word_on_the_model_changes_it(tmp_path, name):
    complete(ModelOptions, MODELS)
    changed = told(lambda: built(tmp_path, None, **{name: MODELS[name]}))
    assert changed != built(tmp_path, None)


@pytest.mark.parametrize("name", ["dropout", "lean"])
def test_what_can_be_said_of_a_checkpoint_changes_it(tmp_path, name):
    start = tmp_path / "best.safetensors"
    model = R3DEmotion(2, clip_len=2, lean=True)
    checkpoint.write(start, model.state_dict(), checkpoint.Metadata(model.config, TrainConfig()))
    assert built(tmp_path, start)[0] == model.config
    assert built(tmp_path, start, **{name: MODELS[name]})[0][name] == MODELS[name]


# --- the whole ----------------------------------------------------------------------------------

PLANS = {
    "source": Source(Path("silent"), "folder"),
    "out": Path("other"),
    "model": ModelOptions(dropout=0.25),
    "config": TrainConfig(epochs=3),
    "clip_len": 3,
    "size": 24,
    "crop": CropOptions("face"),
    "cache": Path("cache"),
    "augment": "none",
    "seed": 1,
    "start": Path("start.safetensors"),
    "resume": True,
    "folds": 2,
    "views": 3,
}


@pytest.fixture
def done(monkeypatch):
    """What is asked of the trainer, which does not train."""
    asked = []

    class Stub:
        last = Path("last.safetensors")

        def __init__(self, model, config, out):
            weights = sum(p.double().abs().sum().item() for p in model.parameters())
            asked.append((model.config, weights, config, Path(out).name))

        @classmethod
        def resume(cls, out):
            asked.append(("resumed", Path(out).name))
            raise ValueError("enough")

        def fit(self, *sets):
            for part in sets:
                shape = (part.clip_len, part.size, part.crop, part.classes)
                people = [clip.subject for clip in part.clips]
                asked.append((*shape, part.sampler.__name__, str(part.transform), people))

    def predict(run, dataset, views):
        asked.append((views, sorted({clip.subject for clip in dataset.clips})))
        raise ValueError("enough")

    monkeypatch.setattr(runs, "Trainer", Stub)
    monkeypatch.setattr(runs.evaluation, "predict", predict)
    return asked


@pytest.mark.parametrize("name", PLANS)
def test_every_word_of_a_plan_changes_what_is_done(own, tmp_path, monkeypatch, done, name):
    """Without it: an option of `train` is accepted, and does nothing."""
    complete(Plan, PLANS)
    monkeypatch.chdir(tmp_path)
    model = R3DEmotion(2, clip_len=2)
    metadata = checkpoint.Metadata(model.config, TrainConfig(), ["calm", "happy"], 16)
    checkpoint.write(tmp_path / "start.safetensors", model.state_dict(), metadata)
    base = {"source": Source(Path("own"), "folder"), "clip_len": 2, "size": 16}

    def trace(**changes):
        options = {"out": tmp_path / "run", "model": ModelOptions(), "config": TrainConfig()}
        options = {**options, **base, **changes}
        source = dataclasses.replace(options["source"], root=own / options["source"].root)
        plan = Plan(**{**options, "source": source})
        done.clear()
        ended = told(lambda: runs.train(plan))
        stored = len(list(tmp_path.rglob("*.npy")))
        return [*done, ended, stored]

    plain = trace()
    assert len(plain) > 4
    assert trace() == plain
    assert trace(**{name: PLANS[name]}) != plain


OPTIONS = {
    **{f"--{name.replace('_', '-')}": "" for name in CONFIG_OPTIONS},
    **{"--reader": "folder", "--crop": "face", "--no-face": "skip", "--margin": "0.7"},
    **{"--face-model": "some.onnx", "--cache": "cache", "--skip-unreadable": None},
    **{"--channel": "song", "--out": "other", "--resume": None, "--folds": "3", "--views": "2"},
    **{"--from": "some.safetensors", "--clip-len": "3", "--size": "24", "--se": "none"},
    **{"--se-init": "default", "--dropout": "0.25", "--lean": None, "--no-lean": None},
    **{"--weights": "some.pth", "--augment": "none", "--epochs": "3", "--batch-size": "8"},
    **{"--micro-batch": "4", "--lr": "0.5", "--mix": "mixup", "--freeze": "stem"},
    **{"--layer-decay": "0.5", "--precision": "bfloat16", "--channels-last": None},
    **{"--class-weights": None, "--ema": "0.9", "--seed": "1", "--num-workers": "1"},
}


def test_every_option_of_train_is_in_the_table(capsys):
    """Without it: a new option is accepted, and does nothing."""
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    named = re.findall(r"--[a-z-]+", capsys.readouterr().out.partition("positional")[0])
    assert set(named) == {*OPTIONS}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_train_reaches_the_plan(monkeypatch, option):
    plans = []
    monkeypatch.setattr(runs, "train", plans.append)
    value = OPTIONS[option]
    assert main(["train", "videos", "--out", "run"]) == 0
    given = [option] if value is None else [option, value]
    assert main(["train", "videos", "--out", "run", *given]) == 0
    assert plans[0] != plans[1]
