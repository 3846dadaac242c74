"""An exported program gives the model's logits, or is deleted."""

import copy
import dataclasses
import inspect
import json
import math
import os
import shutil

import huggingface_hub
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_trainer import small_backbone

from r3d_helpers import R3DEmotion, TrainConfig, datasets
from r3d_helpers import model as model_module
from r3d_helpers.apply import export
from r3d_helpers.checkpoint import load

CLASSES = ["calm", "fröhlich", "sad"]
WRITE = {".onnx": export.onnx, ".pt2": export.torch_program}


def save(model, path, **changes):
    """A checkpoint as a run of the trainer leaves it."""
    about = {
        "model": model.config,
        "train": dataclasses.asdict(TrainConfig()),
        "classes": CLASSES,
        "size": 16,
        "subjects": ["01", "02"],
        "clips": [8, 4],
        "crop": None,
        "steps_per_epoch": 1,
        "history": [{"epoch": 1, "val_uar": 0.5, "val_loss": 1.25}],
        **changes,
    }
    save_file(model.state_dict(), path, {"r3d_helpers": json.dumps(about)})
    return path


def clips(batch, frames=2, size=16):
    generator = torch.Generator().manual_seed(100 + batch)
    return 2 * torch.randn(batch, frames, 3, size, size, generator=generator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def checkpoint(folder):
    """The real network, its batch norms and gates away from where they start."""
    torch.manual_seed(0)
    model = R3DEmotion(3, clip_len=2, se="residual", se_init="identity").train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
        for _ in range(4):
            model(clips(4))
    return save(model, folder / "best.safetensors")


@pytest.fixture(scope="module")
def eager(checkpoint):
    """What the model itself answers."""
    model, _ = load(checkpoint)
    return torch.no_grad()(model)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A checkpoint of a few hundred parameters in the backbone's place."""
    monkeypatch.setattr(model_module, "r3d_18", small_backbone)

    def small(**changes):
        torch.manual_seed(0)
        (tmp_path / "run").mkdir()
        path = tmp_path / "run" / "best.safetensors"
        return save(R3DEmotion(3, clip_len=2, se=None), path, **changes)

    return small


# --- for the hub ----------------------------------------------------------------------------


@pytest.fixture
def laid(small, tmp_path):
    before = os.umask(0o022)
    yield export.hub(small(), tmp_path / "some" / "folder")
    os.umask(before)


def test_a_hub_folder_is_three_files_that_everybody_may_read(laid, tmp_path):
    assert laid == tmp_path / "some" / "folder"
    files = sorted(laid.iterdir())
    assert [file.name for file in files] == ["README.md", "config.json", "model.safetensors"]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o644"] * 3


def test_the_configuration_is_what_the_weights_carry(laid):
    config = json.loads((laid / "config.json").read_text(encoding="utf-8"))
    with safe_open(laid / "model.safetensors", "pt") as file:
        assert config == json.loads(file.metadata()["r3d_helpers"])
        assert file.metadata()["format"] == "pt"
    metadata = load(laid)[1]
    assert config == json.loads(metadata.to_json())
    assert metadata == load(laid.parents[1] / "run")[1]
    assert (config["classes"], config["size"]) == (CLASSES, 16)


def test_a_hub_folder_answers_as_the_checkpoint(checkpoint, eager, folder):
    model, metadata = load(export.hub(checkpoint, folder / "hub"))
    shutil.rmtree(folder / "hub")
    assert metadata == load(checkpoint)[1]
    assert not model.training
    assert torch.no_grad()(model)(clips(2)).equal(eager(clips(2)))


def test_the_card_beside_the_checkpoint_goes_along(small, tmp_path):
    path = small()
    card = "---\nlicense: mit\n---\n\n# Ours, naïve and all\n"
    (path.parent / "README.md").write_text(card, encoding="utf-8")
    laid = export.hub(path, tmp_path / "hub")
    assert (laid / "README.md").read_text(encoding="utf-8") == card
    assert huggingface_hub.ModelCard.load(laid / "README.md").data.license == "mit"


def test_the_hub_knows_every_word_of_the_header(laid):
    """Without it: the hub refuses an upload, or lists the model as one of text."""
    card = huggingface_hub.ModelCard.load(laid / "README.md", ignore_metadata_errors=False)
    known = inspect.signature(huggingface_hub.ModelCardData).parameters
    assert set(card.data.to_dict()) <= set(known)
    assert card.data.license == "unknown"  # an identifier of the hub's, as "mit" is
    task = card.data.pipeline_tag.title().replace("-", "")
    assert hasattr(huggingface_hub, f"{task}Input")  # a task that the library has a type for
    assert all(isinstance(tag, str) for tag in card.data.tags)
    again = huggingface_hub.ModelCardData(**card.data.to_dict())
    assert again.to_dict() == card.data.to_dict()


def test_without_a_card_one_is_made_that_claims_no_score(laid):
    card = huggingface_hub.ModelCard.load(laid / "README.md")
    assert card.data.library_name == "r3d_helpers"
    assert ", ".join(CLASSES) in card.text
    assert "Not measured" in card.text


def test_an_empty_folder_is_used_and_any_other_left_alone(small, tmp_path):
    path, target = small(), tmp_path / "hub"
    target.mkdir()
    export.hub(path, target)
    (target / "README.md").write_text("mine")
    with pytest.raises(FileExistsError, match="hub is not empty"):
        export.hub(path, target)
    assert (target / "README.md").read_text() == "mine"


def test_what_is_no_checkpoint_makes_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        export.hub(tmp_path / "gone.safetensors", tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


# --- as ONNX --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(checkpoint, folder):
    path = folder / "onnx" / "model.onnx"
    error = export.onnx(checkpoint, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]  # its weights inside
    shutil.rmtree(path.parent)
    return session, error


def test_the_onnx_file_was_compared(session):
    assert 0 <= session[1] <= export.TOLERANCE


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_onnxruntime_answers_as_the_model_for_any_batch(session, eager, batch):
    (logits,) = session[0].run(["logits"], {"video": clips(batch).numpy()})
    assert logits.shape == (batch, 3)
    expected = eager(clips(batch))
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=0)
    assert expected.std(1).min() > 0.01


def test_the_onnx_file_says_what_goes_in_and_what_comes_out(session):
    facts = session[0].get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == CLASSES
    assert json.loads(facts["mean"]) == list(datasets.MEAN)
    assert json.loads(facts["std"]) == list(datasets.STD)
    (video,), (logits,) = session[0].get_inputs(), session[0].get_outputs()
    assert video.shape[1:] == [2, 3, 16, 16]
    assert isinstance(video.shape[0], str)
    assert logits.shape[1:] == [3]


@pytest.mark.parametrize("shape", [{"frames": 3}, {"size": 24}])
def test_onnxruntime_refuses_clips_of_another_length_or_size(session, shape):
    with pytest.raises(Exception, match="invalid dimensions for input: video"):
        session[0].run(None, {"video": clips(2, **shape).numpy()})


# --- as a torch program ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(checkpoint, folder):
    path = folder / "program" / "model.pt2"
    error = export.torch_program(checkpoint, path)
    program = torch.export.load(path).module()
    shutil.rmtree(path.parent)
    return program, error


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_program_answers_as_the_model_for_any_batch(program, eager, batch):
    logits = torch.no_grad()(program[0])(clips(batch))
    torch.testing.assert_close(logits, eager(clips(batch)), atol=1e-4, rtol=0)
    assert 0 <= program[1] <= export.TOLERANCE


def test_the_program_refuses_clips_of_another_length(program):
    with pytest.raises(AssertionError, match=r"\[1\] == 2"):
        program[0](clips(2, frames=3))


# --- what is not let out --------------------------------------------------------------------


def shift(monkeypatch, ending, by):
    """Let the exporter write a model whose logits differ by so much."""
    place = {".onnx": torch.onnx, ".pt2": torch.export}[ending]
    original = place.export

    def wrong(model, *args, **options):
        model = copy.deepcopy(model)
        with torch.no_grad():
            model.classifier.bias[1] += by
        return original(model, *args, **options)

    monkeypatch.setattr(place, "export", wrong)


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize("by", [0.01, -0.01, math.nan])
def test_a_wrong_export_is_noticed(small, tmp_path, monkeypatch, ending, by):
    path = small()
    shift(monkeypatch, ending, by)
    with pytest.raises(FloatingPointError, match=f"model{ending}: logits differ by .* than 0.0001"):
        WRITE[ending](path, tmp_path / f"model{ending}")


@pytest.mark.parametrize("ending", WRITE)
def test_the_difference_is_told(small, tmp_path, monkeypatch, ending):
    path = small()
    shift(monkeypatch, ending, 5e-5)
    found = WRITE[ending](path, str(tmp_path / "new" / f"model{ending}"))
    assert found == pytest.approx(5e-5, abs=2e-6)
    assert (tmp_path / "new" / f"model{ending}").is_file()


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize("name", ["model", "onnx", "pt2", "model.onnx.gz", "model.pt2.gz"])
def test_a_name_with_another_ending_is_refused(small, tmp_path, ending, name):
    path = small()
    with pytest.raises(ValueError, match=f"{name}: the name must end in {ending}"):
        WRITE[ending](path, tmp_path / "new" / name)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("ending", WRITE)
def test_a_checkpoint_that_states_no_frame_size_is_named(small, tmp_path, ending):
    path = small(size=None)
    with pytest.raises(ValueError, match=r"best\.safetensors: states no frame size"):
        WRITE[ending](path, tmp_path / f"model{ending}")


@pytest.mark.parametrize("ending", WRITE)
def test_a_missing_checkpoint_is_named(tmp_path, ending):
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors: no such checkpoint"):
        WRITE[ending](tmp_path / "gone.safetensors", tmp_path / f"model{ending}")


def test_the_hub_gets_the_card_of_the_run_that_its_folder_names(small, tmp_path):
    run = small().parent
    (run / "README.md").write_text("card of the run")
    (run.parent / "README.md").write_text("another readme")
    assert (export.hub(run, tmp_path / "hub") / "README.md").read_text() == "card of the run"


@pytest.mark.parametrize("ending", WRITE)
def test_a_wrong_export_is_not_left_on_disk(small, tmp_path, monkeypatch, ending):
    path = small()
    shift(monkeypatch, ending, 0.1)
    with pytest.raises(FloatingPointError):
        WRITE[ending](path, tmp_path / f"model{ending}")
    assert not (tmp_path / f"model{ending}").exists()


def test_a_torch_program_carries_its_labels_too(small, tmp_path):
    path = small()
    export.torch_program(path, tmp_path / "model.pt2")
    facts = dict.fromkeys(("classes", "mean", "std"), "")
    torch.export.load(tmp_path / "model.pt2", extra_files=facts)
    assert json.loads(facts["classes"]) == load(path)[1].classes
    assert json.loads(facts["mean"]) == list(datasets.MEAN)
