"""The guards find every broken model of the zoo, no sound one, and change nothing."""

import copy
import functools
import random

import numpy as np
import pytest
import torch
import zoo
from torch import nn

from r3d_helpers import __main__ as command
from r3d_helpers import guards


def made(name):
    torch.manual_seed(0)
    make, shape, *_ = {**zoo.BROKEN, **zoo.SOUND}[name]
    return make(), torch.randn(shape)


@functools.cache
def report_of(name):
    return guards.check(*made(name))


def found(report):
    return {finding.guard for finding in report.findings}


@pytest.mark.parametrize("name", zoo.BROKEN)
def test_the_guard_finds_what_is_broken(name):
    report = report_of(name)
    assert zoo.BROKEN[name][2] in found(report), f"{zoo.BROKEN[name][2]} expected: {report}"
    assert not report.ok
    assert not report.notes


@pytest.mark.parametrize("name", zoo.SOUND)
def test_nobody_sound_is_accused(name):
    report = report_of(name)
    assert report.ok, report
    assert not report.notes


def test_the_zoo_is_large_enough():
    assert len(zoo.BROKEN) >= 24
    assert len(zoo.SOUND) >= 14


# Which other guards may speak up: what is broken has consequences.
FOLLOW = {
    ("batch", "time"),  # frames of other clips are taken for frames
    ("time", "learning"),  # what is given one step cannot learn
    ("answer", "learning"),
    ("learning", "answer"),
}


@pytest.mark.parametrize("name", zoo.BROKEN)
def test_a_fault_is_not_taken_for_an_unrelated_one(name):
    guard = zoo.BROKEN[name][2]
    others = found(report_of(name)) - {guard}
    assert {(guard, other) for other in others} <= FOLLOW


class Renamed(nn.Module):
    """Any model, with other names of classes, modules and parameters."""

    def __init__(self, model):
        super().__init__()
        self.q7 = model
        classes = {}
        for module in list(model.modules()):
            if type(module).__module__ == "zoo":
                old = type(module)
                classes.setdefault(old, type("Dropout", (old,), {}))
                module.__class__ = classes[old]

    def forward(self, x):
        return self.q7(x)


@pytest.mark.parametrize(
    "name", ["HookRemembers", "GateTimesZero", "RepeatedForTheRNN", "TubeTransformer", "PlainGated"]
)
def test_names_make_no_difference(name):
    model, video = made(name)
    before = guards.check(model, video)
    after = guards.check(Renamed(model), video)
    assert [(f.guard, f.message) for f in after.findings] == [
        (f.guard, f.message) for f in before.findings
    ]


def state_of(model):
    """Everything that looking could change, in a form that can be compared."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "identity": {name: (id(t), t.requires_grad, t.data_ptr()) for name, t in tensors.items()},
        "grads": {name: (id(p.grad), p.grad.clone()) for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "hooks": [
            (list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
            for m in model.modules()
        ],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "random": (random.getstate(), np.random.get_state()[1].tolist()),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        "switches": (
            torch.is_grad_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
            torch.overrides._get_current_function_mode(),
        ),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


class Fails(zoo.PlainGated):
    """Answers a few times and raises then, in the middle."""

    calls = 0

    def forward(self, video):
        Fails.calls += 1
        if Fails.calls > self.last:
            raise RuntimeError("stop here")
        return super().forward(video)


@pytest.mark.parametrize(
    "name",
    [
        *("PlainGated", "FrozenBackbone", "BothEndsAtZero", "RemembersTheLastBatch"),
        *("HookRemembers", "TrainingNeverArrives", "EvaluatedInForward", "InAPlainList"),
        *(f"fails {n}" for n in range(0, 24, 4)),
    ],
)
def test_looking_changes_nothing(name):
    if name.startswith("fails"):
        Fails.calls, Fails.last = 0, int(name.split()[1])
        model, video = Fails(), torch.randn(2, 6, 3, 16, 20)
    else:
        model, video = made(name)
    model.train()
    for module in list(model.modules())[::3]:
        module.training = False
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    model.register_forward_hook(lambda module, inputs, output: None)
    kept, given = state_of(model), video.clone()
    guards.check(model, video)
    after = state_of(model)
    for key in kept:
        assert same(kept[key], after[key]), key
    assert video.equal(given)


def test_a_graph_that_waits_for_its_gradient_survives():
    model, video = made("PlainGated")
    loss = model.eval()(video).sum()
    guards.check(model, video)
    loss.backward()


def test_hooks_can_be_removed_afterwards():
    model, video = made("PlainGated")
    handle = model.three.register_forward_hook(lambda module, inputs, output: None)
    guards.check(model, video)
    handle.remove()
    assert not model.three._forward_hooks


def test_what_is_not_registered_is_left_as_it_was_too():
    model, video = made("InAPlainList")
    model.more.append(nn.BatchNorm3d(12))
    kept = copy.deepcopy(model.more[-1].state_dict())
    guards.check(model, video)
    assert same(dict(kept), dict(model.more[-1].state_dict()))


def test_a_model_that_raises_gives_one_finding_with_the_shape():
    (finding,) = guards.check(*made("ForgottenAxis")).findings
    assert finding.guard == "answer"
    assert "[2, 6, 3, 16, 20]" in finding.message
    assert "permute" in finding.message


def test_a_model_of_the_other_layout():
    model = made("PlainGated")[0]
    model.prepare = lambda video: video
    report = guards.check(model, torch.randn(2, 3, 6, 16, 20), layout="BCTHW")
    assert report.ok, report
    wrong = zoo.ScrambledByView()
    other = nn.Sequential(zoo.Permuted(wrong))
    assert "axes" in found(guards.check(other, torch.randn(2, 3, 6, 16, 20), layout="BCTHW"))


@pytest.mark.parametrize("video", [torch.zeros(2, 6, 3, 16, 20), torch.ones(1, 1, 3, 16, 20)])
def test_any_video_will_do(video):
    assert guards.check(zoo.MeanOverFrames(), video).ok


def test_whole_numbers_will_do():
    class Scaled(zoo.Plain3d):
        @staticmethod
        def prepare(video):
            return zoo.to_3d(video.float() / 255)

    video = torch.randint(256, (2, 6, 3, 16, 20), dtype=torch.uint8)
    assert guards.check(Scaled(), video).ok


def test_targets_have_to_fit():
    model, video = made("MeanOverFrames")
    assert guards.check(model, video, torch.tensor([0, 4])).ok
    report = guards.check(model, video, torch.tensor([0, 5]))
    assert "targets" in str(report)


def test_arguments_are_checked():
    model, video = made("MeanOverFrames")
    with pytest.raises(ValueError, match="layout"):
        guards.check(model, video, layout="TBCHW")
    with pytest.raises(ValueError, match=r"\[6, 3, 16, 20\]"):
        guards.check(model, video[0])
    with pytest.raises(ValueError, match="run it once"):
        guards.check(nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), video)


def test_frames_left_out_evenly_are_no_fault():
    class Some(zoo.MeanOverFrames):
        def forward(self, video):
            return super().forward(video[:, self.taken])

    video = torch.randn(2, 12, 3, 16, 20)
    for taken in ([0, 3, 6, 9], [2, 5, 8, 11], [0, 4, 7, 11], [1, 4, 7, 10], [6], [0, 6]):
        Some.taken = taken
        assert guards.check(Some(), video).ok, taken
    for taken in ([0, 1, 2, 3], [0], [11], [0, 1, 2, 9, 10, 11], list(range(11)), [3, 4, 5, 6]):
        Some.taken = taken
        assert found(guards.check(Some(), video)) == {"time"}, taken


def test_the_report_prints_and_the_assertion_carries_it():
    model, video = made("ScrambledByView")
    report = guards.check(model, video)
    (finding,) = report.findings
    assert (finding.guard, finding.where, finding.lesson) == ("axes", "one", "01")
    assert str(report).startswith("1 fault found.\n\naxes · one · lesson 01\n    slides along")
    assert "To do:" in str(report)
    with pytest.raises(AssertionError, match="axes · one · lesson 01"):
        guards.assert_sound(model, video)
    model, video = made("Plain3d")
    guards.assert_sound(model, video)
    assert str(guards.check(model, video)) == "No fault found."


def test_the_command(capsys, monkeypatch):
    monkeypatch.syspath_prepend(zoo.__file__.rpartition("/")[0])
    shape = ["--shape", "2,6,3,16,20"]
    assert command.main(["guard", "zoo:Plain3d", *shape]) == 0
    assert capsys.readouterr().out == "No fault found.\n"
    assert command.main(["guard", "zoo:TailLost", *shape]) == 1
    assert "never looks at frame 4 to 5 of 6" in capsys.readouterr().out
    for wrong in (["zoo"], ["zoo:Nobody"], ["nowhere:make"], ["zoo:Plain3d", "--shape", "2,x"]):
        assert command.main(["guard", *wrong]) == 2
        assert "error:" in capsys.readouterr().err
