"""The model: what it computes, copies and files, and errors for wrong input."""

import copy
import email.message
import hashlib
import io
import pickle
import shutil
import sys
import types
import urllib.error

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from r3d_helpers import R3DEmotion
from r3d_helpers import model as model_module
from r3d_helpers.model import SqueezeExcitation3d, r3d_18

resnet = sys.modules[model_module.VideoResNet.__module__]  # of torchvision
PLACES = ("output", "residual", None)


def clips(batch=2, frames=4, height=16, width=16):
    generator = torch.Generator().manual_seed(batch * frames * height * width)
    return torch.randn(batch, frames, 3, height, width, generator=generator)


def gates(model):
    return [m for m in model.modules() if isinstance(m, SqueezeExcitation3d)]


def excite(gate, features):
    """The gate as the SE paper draws it, written once more."""
    squeezed = F.adaptive_avg_pool3d(features, 1)
    return features * torch.sigmoid(gate.expand(F.relu(gate.reduce(squeezed))))


def count(modules):
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.fixture(scope="module")
def plain():
    """torchvision's r3d_18 with its 400 classes and lived-in batch norms."""
    torch.manual_seed(0)
    net = r3d_18()
    with torch.no_grad():
        net.train()(clips(4).transpose(1, 2))
    return net.eval()


@pytest.fixture(scope="module")
def weights(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.save(plain.state_dict(), folder / "plain.pth")
    yield folder / "plain.pth"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def build(weights):
    """Give a small model in evaluation mode, with the plain backbone's weights."""
    built = {}

    def build(se="output", **options):
        key = (se, *options.items())
        if key not in built:
            torch.manual_seed(1)
            built[key] = R3DEmotion(7, clip_len=4, se=se, weights=weights, **options).eval()
        return copy.deepcopy(built[key])

    return build


@pytest.fixture(scope="module")
def model():
    """The default model, for tests that only read it."""
    torch.manual_seed(1)
    return R3DEmotion(7, clip_len=4).eval()


# --- what it is made of ---------------------------------------------------------------------


def test_parameters_are_counted_to_the_last_one(model):
    assert count([model]) == 33_253_415
    assert count(gates(model)) == 83_552
    assert count([model.backbone]) - count(gates(model)) == 33_166_272


@pytest.mark.parametrize("se", ["output", "residual"])
def test_four_gates_fit_the_width_of_their_blocks(build, se):
    assert [gate.expand.out_channels for gate in gates(build(se))] == [256, 256, 512, 512]


def bottleneck():
    return resnet.VideoResNet(
        resnet.Bottleneck, [resnet.Conv3DSimple] * 4, [1, 1, 1, 1], resnet.BasicStem
    )


@pytest.mark.parametrize("se", ["output", "residual"])
@pytest.mark.parametrize(
    ("make", "widths"),
    [
        (bottleneck, [1024, 2048]),
        (resnet.mc3_18, [256, 256, 512, 512]),
        (resnet.r2plus1d_18, [256, 256, 512, 512]),
    ],
)
def test_gates_fit_other_blocks_too(monkeypatch, make, widths, se):
    monkeypatch.setattr(model_module, "r3d_18", make)
    model = R3DEmotion(7, clip_len=4, se=se)
    assert [gate.expand.out_channels for gate in gates(model)] == widths
    assert model(clips()).shape == (2, 7)


@pytest.mark.parametrize("se", PLACES)
def test_no_module_carries_a_hook(se):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    for module in R3DEmotion(7, se=se).modules():
        assert not any(getattr(module, kind) for kind in kinds)


# --- what it computes -----------------------------------------------------------------------


def test_without_gates_it_is_torchvision_bit_for_bit(build, plain):
    model = build(se=None)
    reference = copy.deepcopy(plain)
    reference.fc = model.classifier
    video = clips()
    assert torch.equal(model(video), reference(video.permute(0, 2, 1, 3, 4)))


def test_output_gates_are_the_fix_documents_hooks_bit_for_bit(build, plain):
    model = build("output")
    hooked = copy.deepcopy(plain)
    for block, gate in zip([*hooked.layer3, *hooked.layer4], gates(model), strict=True):
        block.register_forward_hook(lambda _block, _input, out, gate=gate: excite(gate, out))
    hooked.fc = model.classifier
    video = clips()
    assert torch.equal(model(video), hooked(video.permute(0, 2, 1, 3, 4)))


def test_residual_gates_sit_before_the_addition_bit_for_bit(build, plain):
    model = build("residual")
    features = plain.layer2(plain.layer1(plain.stem(clips().permute(0, 2, 1, 3, 4))))
    for block, gate in zip([*plain.layer3, *plain.layer4], gates(model), strict=True):
        skipped = features if block.downsample is None else block.downsample(features)
        features = F.relu(excite(gate, block.conv2(block.conv1(features))) + skipped)
    assert torch.equal(model.features(clips()), plain.avgpool(features).flatten(1))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("se", ["output", "residual"])
def test_identity_start_is_the_plain_backbone(build, plain, se, training):
    model = build(se, se_init="identity").train(training)
    reference = copy.deepcopy(plain).train(training)
    reference.fc = nn.Identity()
    video = clips()
    assert torch.equal(model.features(video), reference(video.permute(0, 2, 1, 3, 4)))


@pytest.mark.parametrize("se", ["output", "residual"])
def test_default_start_halves_and_is_not_the_plain_backbone(build, se):
    gate = gates(build(se))[0]
    assert gate.gate(torch.zeros(1, 256, 1, 1, 1)).mean().item() == pytest.approx(0.5, abs=0.05)
    assert not torch.allclose(build(se)(clips()), build(None)(clips()))


@pytest.mark.parametrize("se", ["output", "residual"])
def test_identity_weights_mean_the_same_in_a_default_model(build, se):
    identity, default = build(se, se_init="identity"), build(se)
    default.load_state_dict(identity.state_dict(), strict=True)
    assert torch.equal(default(clips()), identity(clips()))


@pytest.mark.parametrize(("se", "passes"), [("output", False), ("residual", True)])
def test_shut_gates_cut_only_what_they_gate(build, se, passes):
    model = build(se)
    for gate in gates(model):
        nn.init.constant_(gate.expand.bias, -1000)
    assert bool(model.features(clips()).any()) is passes


@pytest.mark.parametrize("se", ["output", "residual"])
@pytest.mark.parametrize("which", range(4))
def test_every_gate_matters(build, se, which):
    model = build(se)
    before = model(clips())
    gates(model)[which].scale.zero_()
    assert not torch.allclose(model(clips()), before)


@pytest.mark.parametrize("se", PLACES)
def test_every_parameter_learns_from_one_backward(se):
    torch.manual_seed(0)
    model = R3DEmotion(7, clip_len=8, se=se).train()
    model(clips(4, 8, 32, 32)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("se", ["output", "residual"])
def test_identity_start_holds_back_the_reduce_layers_only(se):
    torch.manual_seed(0)
    model = R3DEmotion(7, clip_len=8, se=se, se_init="identity").train()
    model(clips(4, 8, 32, 32)).square().sum().backward()
    still = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert len(still) == 8
    assert all(".reduce." in name for name in still)
    assert all(p.grad is not None for p in model.parameters())


def test_dropout_acts_in_training_only():
    model = R3DEmotion(7, clip_len=4, dropout=0.9)
    model.backbone.eval()
    assert not torch.equal(model(clips()), model(clips()))
    assert torch.equal(model.eval()(clips()), model(clips()))


# --- shapes and time ------------------------------------------------------------------------


def test_axes_are_those_of_a_loop_over_samples_and_frames(build):
    model = build(None)
    video = clips(2, 4, 24, 32)
    slow = []
    for sample in video:
        clip = torch.empty(1, 3, 4, 24, 32)
        for time, frame in enumerate(sample):
            for channel in range(3):
                clip[0, channel, time] = frame[channel]
        slow.append(model.classifier(model.backbone(clip)))
    torch.testing.assert_close(model(video), torch.cat(slow))


@pytest.mark.parametrize(
    ("frames", "indices"),
    [
        (1, [0] * 16),
        (5, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
        (16, list(range(16))),
        (40, [1, 3, 6, 8, 11, 13, 16, 18, 21, 23, 26, 28, 31, 33, 36, 38]),
    ],
)
def test_a_video_of_any_length_is_sampled_at_the_midpoints(frames, indices):
    model = R3DEmotion(7).eval()
    video = clips(2, frames)
    assert torch.equal(model(video), model(video[:, indices]))
    assert torch.equal(
        model.features(video), model.backbone(video[:, indices].permute(0, 2, 1, 3, 4))
    )


@pytest.mark.parametrize("num_classes", [1, 7])
def test_features_are_512_and_logits_one_per_class(num_classes):
    model = R3DEmotion(num_classes, clip_len=4).eval()
    assert model.features(clips(3)).shape == (3, 512)
    assert model(clips(3)).shape == (3, num_classes)


@pytest.mark.parametrize(
    ("frames", "pixels", "depth", "side"),
    [(16, 112, 2, 7), (8, 112, 1, 7), (32, 112, 4, 7), (16, 64, 2, 4)],
)
def test_layer4_is_as_large_as_the_lessons_say(model, frames, pixels, depth, side):
    shapes = []
    handle = model.backbone.layer4.register_forward_hook(lambda *call: shapes.append(call[2].shape))
    with torch.no_grad():
        model.backbone(clips(1, frames, pixels, pixels).permute(0, 2, 1, 3, 4))
    handle.remove()
    assert shapes == [(1, 512, depth, side, side)]


@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 16, 16), (4, 3, 16, 16), (1, 2, 4, 3, 16, 16), (2, 0, 3, 16, 16)]
)
def test_a_wrong_shape_is_named(model, shape):
    with pytest.raises(ValueError, match=r"B, T, C=3, H, W") as caught:
        model(torch.zeros(shape))
    assert str(list(shape)) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_classes": 0}, "got 0"),
        ({"num_classes": -1}, "got -1"),
        ({"clip_len": 0}, "got 7, 0"),
        ({"se": "foo"}, "'foo'"),
        ({"se_init": "foo"}, "'foo'"),
        ({"reduction": 0}, "got 0"),
        ({"reduction": 1000}, "got 1000"),
        ({"dropout": 1.5}, "1.5"),
    ],
)
def test_a_bad_argument_is_named(options, named):
    with pytest.raises(ValueError, match=named):
        R3DEmotion(**{"num_classes": 7, **options})


# --- copies, files, export ------------------------------------------------------------------


def test_a_copy_does_not_follow_the_original(build):
    original = build()
    copied = copy.deepcopy(original)
    before = copied(clips())
    assert torch.equal(before, original(clips()))
    for gate in gates(original):
        nn.init.constant_(gate.expand.bias, -9)
    assert torch.equal(copied(clips()), before)
    assert not torch.allclose(original(clips()), before)


def test_a_copy_trains_its_own_gates(build):
    original = build()
    copied = copy.deepcopy(original)
    copied(clips()).square().sum().backward()
    assert all(p.grad.any() for gate in gates(copied) for p in gate.parameters())
    assert all(p.grad is None for p in original.parameters())


def test_an_average_of_the_weights_does_not_follow_the_live_model():
    live = R3DEmotion(7, clip_len=4).eval()  # not `build`'s, which is a copy itself
    average = AveragedModel(live)
    before = average(clips())
    for gate in gates(live):
        nn.init.constant_(gate.expand.bias, -9)
    assert torch.equal(average(clips()), before)


def test_an_export_of_a_copy_freezes_no_gate(build):
    exported = torch.export.export(copy.deepcopy(build()), (clips(),))
    assert exported.constants == {}
    assert len([name for name in exported.state_dict if ".expand." in name]) == 8


@pytest.mark.parametrize("se", ["output", "residual"])
def test_tracing_and_compiling_keep_the_gates(build, se):
    model = build(se)
    with torch.no_grad():
        right = model(clips())
        traced = torch.fx.symbolic_trace(model.backbone)(clips().transpose(1, 2))
        torch.testing.assert_close(model.classifier(traced), right)
        torch.testing.assert_close(torch.compile(model, backend="aot_eager")(clips()), right)


@pytest.mark.parametrize("other", ["residual", None])
def test_weights_of_another_architecture_are_refused(build, other):
    with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key"):
        build(other).load_state_dict(build("output").state_dict())


@pytest.mark.parametrize("se", PLACES)
def test_a_pickled_model_comes_back_whole(build, se):
    model = build(se)
    assert torch.equal(pickle.loads(pickle.dumps(model))(clips()), model(clips()))


@pytest.mark.parametrize("se", PLACES)
def test_config_and_state_rebuild_the_model(build, se):
    model = build(se, se_init="identity", reduction=8, dropout=0.1)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    rebuilt = R3DEmotion(**model.config)
    rebuilt.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(rebuilt.eval()(clips()), model(clips()))
    assert rebuilt.dropout.p == 0.1


@pytest.mark.parametrize("se", PLACES)
def test_export_with_a_free_batch_and_fixed_time_agrees(build, se):
    model = build(se)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(model, (clips(),), dynamic_shapes=({0: batch},)).module()
    for size in (1, 2, 5):
        torch.testing.assert_close(exported(clips(size)), model(clips(size)))


# --- pretrained weights ---------------------------------------------------------------------


@pytest.mark.parametrize("se", PLACES)
def test_every_tensor_of_a_weights_file_arrives(build, plain, se):
    added = ("scale", "reduce.weight", "reduce.bias", "expand.weight", "expand.bias")
    loaded = build(se).backbone.state_dict()
    arrived = [tensor for name, tensor in loaded.items() if not name.endswith(added)]
    sent = [tensor for name, tensor in plain.state_dict().items() if not name.startswith("fc.")]
    assert all(torch.equal(a, b) for a, b in zip(arrived, sent, strict=True))


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights file .*nowhere\.pth"):
        R3DEmotion(7, weights=tmp_path / "nowhere.pth")


def other_network(path):
    torch.save(nn.Linear(2, 2).state_dict(), path)


def renamed_keys(path):
    torch.save({f"module.{k}": v[:0] for k, v in r3d_18().state_dict().items() if v.ndim}, path)


def too_few_keys(path):
    torch.save({}, path)


def a_list(path):
    torch.save([1, 2], path)


def garbage(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")


def nothing(path):
    path.touch()


@pytest.mark.parametrize(
    "write", [other_network, renamed_keys, too_few_keys, a_list, garbage, nothing]
)
def test_a_file_that_is_no_r3d_18_is_named_in_few_words(tmp_path, write):
    path = tmp_path / "odd.pth"
    write(path)
    with pytest.raises(ValueError, match="not a state dict of torchvision's r3d_18") as caught:
        R3DEmotion(7, weights=path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, an empty download folder; returns where the weights belong."""

    def refuse(*_args, **_options):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    return tmp_path / "hub" / "checkpoints" / "r3d_18-b3b3357e.pth"


def test_without_network_the_error_says_what_to_put_where(offline):
    with pytest.raises(FileNotFoundError, match="no network in tests") as caught:
        R3DEmotion(7, weights="KINETICS400_V1")
    assert "https://download.pytorch.org/models/r3d_18-b3b3357e.pth" in str(caught.value)
    assert str(offline) in str(caught.value)


def test_a_wrong_download_is_not_kept(offline, monkeypatch):
    monkeypatch.setattr("torch.hub.urlopen", lambda *_args, **_options: _Page())
    with pytest.raises(FileNotFoundError, match="invalid hash value"):
        R3DEmotion(7, weights="KINETICS400_V1")
    assert not offline.exists()


class _Page(io.BytesIO):
    """A web page, as the wifi of a hotel sends it instead of the file."""

    def __init__(self):
        super().__init__(b"<html>Please log in</html>")

    def info(self):
        return email.message.Message()


def test_a_wrong_cached_file_is_not_trusted(offline, weights):
    offline.parent.mkdir(parents=True)
    offline.symlink_to(weights)
    with pytest.raises(ValueError, match=r"damaged.*b3b3357e") as caught:
        R3DEmotion(7, weights="KINETICS400_V1")
    assert str(offline) in str(caught.value)


def test_a_right_cached_file_needs_no_network(offline, weights, plain, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    enum = types.SimpleNamespace(
        name="KINETICS400_V1", url=f"https://download.pytorch.org/models/r3d_18-{digest}.pth"
    )
    stand_in = types.SimpleNamespace(KINETICS400_V1=enum)
    monkeypatch.setattr(model_module, "R3D_18_Weights", stand_in)
    offline.parent.mkdir(parents=True)
    offline.with_name(f"r3d_18-{digest}.pth").symlink_to(weights)
    model = R3DEmotion(7, weights="KINETICS400_V1")
    assert torch.equal(model.backbone.stem[0].weight, plain.stem[0].weight)


# --- Filters from the videos ------------------------------------------------------------------


def small_stem():
    conv = nn.Conv3d(3, 8, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(8), nn.ReLU()).double().eval()


def smooth(batch=40, frames=5, size=17):
    """Videos whose neighbouring pixels are nearly equal, as in real ones, and not centred."""
    torch.manual_seed(0)
    noise = torch.randn(batch, frames, 3, size + 4, size + 4).double()
    return F.avg_pool3d(noise, (1, 5, 5), 1) + 0.3


def answers(stem, video):
    """What the filters say where they meet no padding: [N, 8]."""
    return stem[:2](video.transpose(1, 2))[:, :, 1:-1, 1:-1, 1:-1].movedim(1, 4).flatten(0, 3)


@torch.no_grad()
def test_a_whitened_stem_tells_uncorrelated_things_of_equal_size():
    stem, video = small_stem(), smooth()
    before = answers(stem, video).T.corrcoef().abs().mean()
    model_module.whiten_(stem, video)
    after = answers(stem, video)
    torch.testing.assert_close(after.T.cov(), torch.eye(8).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(after.mean(0), torch.zeros(8).double(), atol=1e-6, rtol=0)
    assert before > 0.2


@torch.no_grad()
def test_no_other_filters_see_more_of_what_differs():
    stem, video = small_stem(), smooth()
    model_module.whiten_(stem, video)
    seen = stem[1].running_var.sum()
    stem[0].weight.copy_(torch.linalg.qr(torch.randn(225, 8).double()).Q.T.view(8, 3, 3, 5, 5))
    others = F.conv3d(video.transpose(1, 2), stem[0].weight, stride=(1, 2, 2))
    assert seen > 1.5 * others.movedim(1, 4).flatten(0, 3).var(0).sum()


def test_the_model_is_whitened_and_learns_around_it():
    torch.manual_seed(0)
    model = R3DEmotion(2, clip_len=4, lean=True)
    model_module.whiten_(model.backbone.stem, clips(8, 4, 32, 32))
    weight = model.backbone.stem[0].weight
    assert weight.requires_grad and weight.is_leaf
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(64))
    model(clips(2)).sum().backward()
    assert weight.grad.any()


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((40, 2, 3, 17, 17), r"a filter spans \[3, 5, 5\] \(T, H, W\), got videos \[40, 2, 3, 17"),
        ((40, 5, 3, 17, 4), "a filter spans"),
        (
            (1, 3, 3, 17, 17),
            "a filter of 225 weights needs as many pieces of video, got 49: take more",
        ),
    ],
)
def test_too_little_video_to_whiten_with_is_refused(shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        model_module.whiten_(small_stem(), torch.zeros(shape).double())
