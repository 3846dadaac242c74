"""One training is recommended, and everything that trains takes it from one place."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
import torch
from thin import thin_r3d_18
from torchvision.transforms import v2

from r3d_helpers import R3DEmotion, TrainConfig, augment, datasets, recommended, sampler
from r3d_helpers import model as model_module
from r3d_helpers.__main__ import main
from r3d_helpers.apply import runs
from r3d_helpers.apply.crops import FaceCrop
from r3d_helpers.apply.plan import Shape

ROOT = Path(__file__).parents[1]
CLIPS = [datasets.Clip(Path("1.mp4"), "calm", "a"), datasets.Clip(Path("2.mp4"), "sad", "b")]


@pytest.fixture
def thin(monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", thin_r3d_18)


def planned(monkeypatch, *options):
    """What ``train`` is asked to do."""
    plans = []
    monkeypatch.setattr(runs, "train", plans.append)
    assert main(["train", "videos", "--out", "run", *options]) == 0
    return plans[0]


def test_the_model_is_the_published_one_but_for_what_is_named(thin):
    config = recommended.model(3, clip_len=8).config
    published = R3DEmotion(3, clip_len=8).config
    changed = {name for name in config if config[name] != published[name]}
    assert changed == {"se_init", "lean"}
    assert recommended.model(3, se_init="default", lean=False).config == R3DEmotion(3).config


def test_the_set_to_train_on_draws_frames_and_augments(monkeypatch):
    asked = []
    monkeypatch.setattr(augment, "preset", lambda name: asked.append(name) or v2.Identity())
    dataset = recommended.train_set(CLIPS, clip_len=5)
    assert (dataset.sampler, dataset.clip_len) == (sampler.jitter, 5)
    assert recommended.train_set(CLIPS, augment="strong").transform is not None
    assert asked == [recommended.AUGMENT, "strong"]
    assert recommended.train_set(CLIPS, transform=len, sampler=max).transform is len


def test_the_command_line_trains_as_recommended(monkeypatch, thin):
    """Without it: the command and a program in Python train differently."""
    plan = planned(monkeypatch)
    assert plan.config == TrainConfig()
    assert plan.augment == recommended.AUGMENT
    shape = plan.shape()
    model = plan.model.build(["calm", "sad", "happy"], shape.clip_len, None)
    assert model.config == recommended.model(3).config
    plain = datasets.ClipDataset(CLIPS)
    assert (shape.clip_len, shape.size, shape.crop) == (plain.clip_len, plain.size, None)
    assert plain.clip_len == model.clip_len


def python_on_the_page():
    text = (ROOT / "docs" / "reference" / "own-videos.md").read_text(encoding="utf-8")
    return next(
        part for part in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "fit" in part
    )


def python_in_lesson_04():
    notebook = json.loads((ROOT / "notebooks" / "04_train_the_fixed_model.ipynb").read_text())
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n".join("".join(cell) for cell in cells)


def calls(code):
    """Every call by name, with its keywords that are plain values."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            values = {k.arg: k.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            yield ast.unparse(node.func), {name: value.value for name, value in values.items()}


@pytest.mark.parametrize(
    "code",
    [
        python_on_the_page(),
        python_in_lesson_04(),
        (ROOT / "r3d_helpers" / "classroom" / "trained.py").read_text(),
    ],
    ids=["the page", "lesson 04", "its stand-in"],
)
def test_who_trains_takes_what_is_recommended_and_names_what_differs(code, thin):
    """Without it: page, lesson and command line use different settings."""
    named = dict(calls(code))
    assert "R3DEmotion" not in named
    defaults = {
        "TrainConfig": vars(TrainConfig()),
        "recommended.model": recommended.model(7).config,
        "recommended.train_set": {"augment": recommended.AUGMENT},
    }
    for name, values in defaults.items():
        said_again = {k for k, v in named[name].items() if values[k] == v}
        assert not said_again, f"{name} has {said_again} already"


def test_help_states_the_defaults_that_hold(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    defaults = {name: p.default for name, p in inspect.signature(R3DEmotion).parameters.items()}
    for words in (
        f"frames per clip ({Shape.clip_len}, or",
        f"pixels ({Shape.size}, or",
        f"where the gates sit ({defaults['se']})",
        f"({recommended.SE_INIT})",
        f"({defaults['dropout']}, or as in --from)",
        f"around the face, of its size ({FaceCrop.margin})",
        f"(--{'lean' if recommended.LEAN else 'no-lean'}, or as in --from)",
        f"learning rate ({TrainConfig.lr})",
    ):
        assert words in told, words


def test_the_recommended_gates_change_nothing_at_first(thin):
    model = recommended.model(2, clip_len=4).eval()
    video = torch.randn(2, 4, 3, 16, 16)
    gated = model.features(video)
    gates = [m for m in model.modules() if isinstance(m, model_module.SqueezeExcitation3d)]
    for gate in gates:
        gate.forward = lambda features: features
    assert len(gates) == 4
    torch.testing.assert_close(model.features(video), gated)
