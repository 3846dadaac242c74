"""Later lessons find the model of lesson 04, or train another and say so."""

import json

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from r3d_helpers import Trainer, datasets
from r3d_helpers.classroom import actors, trained

STAND_IN = "a stand-in, trained for two epochs"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    actors.generate(folder, actors=3, takes=1)
    return datasets.split_by_subject(datasets.ravdess(folder))


@pytest.fixture(scope="module")
def runs(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    _, what = trained.trained_model(*parts, runs=folder)
    assert what == STAND_IN
    return folder


@pytest.fixture(autouse=True)
def no_training(runs, monkeypatch):
    monkeypatch.setattr(Trainer, "_train_epoch", None)


def test_the_stand_in_is_kept(parts, runs):
    model, what = trained.trained_model(*parts, runs=runs)
    assert what == STAND_IN
    stored = load_file(runs / "stand-in" / "best.safetensors")
    assert all(tensor.equal(stored[name]) for name, tensor in model.state_dict().items())
    assert not model.training


@pytest.mark.parametrize("changed", [None, "clip_len", "se", "size"])
def test_lesson_04_comes_first_if_its_settings_are_the_lessons(parts, runs, changed):
    stored = runs / "stand-in" / "best.safetensors"
    with safe_open(stored, "pt") as file:
        about = json.loads(file.metadata()["r3d_helpers"])
    if changed == "size":
        about["size"] = 48
    elif changed:
        about["model"][changed] = {"clip_len": 8, "se": "residual"}[changed]
    tensors = load_file(stored)
    if changed in ("clip_len", "se"):  # other weights, or at another place
        model = trained.R3DEmotion(**about["model"])
        tensors = model.state_dict()
    (runs / "04").mkdir(exist_ok=True)
    metadata = {"r3d_helpers": json.dumps(about)}
    save_file(tensors, runs / "04" / "best.safetensors", metadata=metadata)
    _, what = trained.trained_model(*parts, runs=runs)
    assert what == (STAND_IN if changed else "the model of lesson 04")
