"""A lean model is the same function as the whole one, without the weights that meet zeros."""

import sys

import pytest
import thin
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from r3d_helpers import R3DEmotion, TrainConfig, Trainer, checkpoint
from r3d_helpers import model as model_module
from r3d_helpers.apply import export
from r3d_helpers.model import r3d_18

resnet = sys.modules[model_module.VideoResNet.__module__]  # of torchvision
PLACES = ("output", "residual")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(model_module, "r3d_18", thin.thin_r3d_18)


def build(clip_len, *, lean, seed=0, **options):
    torch.manual_seed(seed)
    return R3DEmotion(7, clip_len=clip_len, lean=lean, **{"dropout": 0.0, **options})


def clips(frames, batch=3, size=16):
    generator = torch.Generator().manual_seed(frames)
    return torch.randn(batch, frames, 3, size, size, generator=generator)


def convs(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv3d)}


def acting(lean, name, whole):
    """Of a tensor of the whole model, the part that the lean one has."""
    layer, _, kind = name.rpartition(".")
    conv = lean.get_submodule(layer)
    if kind != "weight" or not isinstance(conv, nn.Conv3d):
        return whole
    front = (whole.shape[2] - 1) // 2 - conv.padding[0]  # all kernels are padded by their half
    return whole[:, :, front : front + conv.kernel_size[0]]


def cut(model):
    """The convolutions that have fewer slices in time than pixels across."""
    return [name for name, c in convs(model).items() if c.kernel_size[0] < min(3, c.kernel_size[1])]


# --- it is the same function ------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("num_frames", range(1, 33))
def test_one_convolution_is_the_same_to_the_last_bit(num_frames, stride):
    """Small whole numbers, whose sums are exact in any order: result and gradients are equal."""
    torch.manual_seed(num_frames)
    whole = nn.Conv3d(2, 4, 3, stride=stride, padding=1, bias=False).double()
    nn.init.uniform_(whole.weight, -9, 9).data.round_()
    first, end = model_module._acting_slices(whole, num_frames)
    assert (first, end) == {1: (1, 2), 2: (stride - 1, 3)}.get(num_frames, (0, 3))
    kernel = whole.weight.detach()[:, :, first:end].clone().requires_grad_()
    video = torch.randint(-9, 10, (2, 2, num_frames, 4, 4)).double()
    seen = [video.clone().requires_grad_() for _ in range(2)]
    right = whole(seen[0])
    found = F.conv3d(seen[1], kernel, stride=stride, padding=(1 - first, 1, 1))
    assert torch.equal(found, right)
    for out in (right, found):
        (out * torch.arange(out.numel()).view_as(out).remainder(7)).sum().backward()
    assert torch.equal(seen[1].grad, seen[0].grad)
    assert torch.equal(kernel.grad, whole.weight.grad[:, :, first:end])
    idle = [i for i in range(3) if not first <= i < end]
    assert not whole.weight.grad[:, :, idle].any()


@pytest.mark.parametrize("se_init", ["default", "identity"])
@pytest.mark.parametrize("se", PLACES)
@pytest.mark.parametrize("clip_len", range(1, 33))
def test_logits_and_gradients_are_those_of_the_whole_model(small, clip_len, se, se_init):
    whole, lean = models = [
        build(clip_len, lean=lean, se=se, se_init=se_init) for lean in (False, True)
    ]
    # Rounding is left: a library adds in another order.
    for dtype, most in [(torch.float32, 2e-3), (torch.float64, 1e-10)]:
        logits = [model.to(dtype)(clips(clip_len, size=8).to(dtype)) for model in models]
        for model, answer in zip(models, logits, strict=True):
            model.zero_grad()
            F.cross_entropy(answer, torch.tensor([0, 1, 2])).backward()
        assert distance(*logits) < most
        for (name, right), own in zip(whole.named_parameters(), lean.parameters(), strict=True):
            assert distance(acting(lean, name, right.grad), own.grad) < most, name


def distance(right, found):
    """Relative to the size of the whole; of two zeros, zero."""
    return (found - right).norm() / right.norm().clamp(min=torch.finfo(right.dtype).tiny)


@pytest.mark.parametrize("clip_len", [1, 2, 3, 4, 8, 9])
def test_no_slice_is_idle_and_none_that_acts_is_missing(small, clip_len):
    whole, lean = (build(clip_len, lean=lean) for lean in (False, True))
    for model in (whole, lean):
        model(clips(clip_len)).square().sum().backward()
    for name, conv in convs(lean).items():
        gradient = convs(whole)[name].weight.grad
        kept = acting(lean, f"{name}.weight", gradient)
        assert gradient.count_nonzero() == kept.count_nonzero(), name
        if conv.bias is None:  # no gate, of which a channel may be dead
            assert all(part.any() for part in conv.weight.grad.unbind(2)), name


@pytest.mark.parametrize(("clip_len", "number"), [(1, 17), (2, 12), (4, 8), (8, 4), (9, 0)])
def test_as_many_convolutions_are_cut_as_the_frames_say(small, clip_len, number):
    assert len(cut(build(clip_len, lean=True))) == number


@pytest.mark.parametrize(
    ("clip_len", "parameters"), [(4, 12_904_487), (8, 17_917_991), (9, 33_253_415)]
)
def test_parameters_are_counted_to_the_last_one(clip_len, parameters):
    assert sum(p.numel() for p in R3DEmotion(7, clip_len=clip_len, lean=True).parameters()) == (
        parameters
    )


def test_a_real_one_trains_as_the_whole_one():
    losses = {}
    for lean in (False, True):
        model = build(4, lean=lean, se_init="identity").double().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        losses[lean] = []
        for _ in range(3):
            loss = F.cross_entropy(model(clips(4).double()), torch.tensor([0, 1, 2]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[lean].append(loss.item())
    assert losses[True] == pytest.approx(losses[False], rel=1e-6)
    assert losses[True][-1] < losses[True][0]


@pytest.mark.parametrize("make", [resnet.mc3_18, resnet.r2plus1d_18])
def test_other_backbones_can_be_lean(monkeypatch, make):
    monkeypatch.setattr(model_module, "r3d_18", make)
    whole, lean = (build(4, lean=lean).eval() for lean in (False, True))
    torch.testing.assert_close(lean(clips(4)), whole(clips(4)))


def test_it_is_left_as_every_model_begins(small):
    lean = build(4, lean=True)
    assert all(module.training for module in lean.modules())
    assert all(p.requires_grad and p.is_leaf for p in lean.parameters())
    assert not any(m._forward_pre_hooks for m in lean.modules())
    norms = [m for m in lean.modules() if isinstance(m, nn.BatchNorm3d)]
    assert all(not norm.running_mean.any() and norm.num_batches_tracked == 0 for norm in norms)


def test_pretrained_weights_come_in_by_their_acting_slices(tmp_path):
    torch.manual_seed(5)
    plain = r3d_18()
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    lean = R3DEmotion(7, clip_len=4, se=None, lean=True, weights=tmp_path / "plain.pth").eval()
    plain.fc = nn.Identity()
    for name, tensor in lean.backbone.state_dict().items():
        right = acting(lean, f"backbone.{name}", plain.state_dict()[name])
        assert torch.equal(tensor, right), name
    video = clips(4)
    torch.testing.assert_close(lean.features(video), plain.eval()(video.permute(0, 2, 1, 3, 4)))


# --- from one to the other --------------------------------------------------------------------


@pytest.mark.parametrize("se", PLACES)
@pytest.mark.parametrize("clip_len", [1, 2, 3, 4, 8, 16])
def test_there_and_back_it_stays_the_same_function(small, se, clip_len):
    whole = build(clip_len, lean=False, se=se).eval()
    lean = whole.adapted(lean=True)
    back = lean.adapted(lean=False)
    right = whole(clips(clip_len))
    torch.testing.assert_close(lean(clips(clip_len)), right)
    torch.testing.assert_close(back(clips(clip_len)), right)
    assert (lean.config, back.config) == ({**whole.config, "lean": True}, whole.config)
    same_seed = build(clip_len, lean=True, se=se).state_dict()
    assert all(torch.equal(tensor, same_seed[k]) for k, tensor in lean.state_dict().items())
    for name, tensor in back.state_dict().items():
        assert tensor.count_nonzero() == lean.state_dict()[name].count_nonzero(), name


def test_a_copy_is_independent_and_alike(small):
    lean = build(4, lean=True).double().eval()
    other = lean.adapted(dropout=0.5)
    assert other.dropout.p == 0.5
    assert not other.training
    assert other.adapted().train().adapted().training
    assert torch.equal(other(clips(4).double()), lean(clips(4).double()))
    nn.init.zeros_(lean.classifier.weight)
    assert other.classifier.weight.any()


def test_a_whole_model_is_cut_for_another_length(small):
    whole = build(16, lean=False).eval()
    assert torch.equal(whole.adapted(clip_len=4)(clips(4)), whole(clips(4)[:, [0] * 16])) is False
    lean = whole.adapted(clip_len=4, lean=True)
    torch.testing.assert_close(lean(clips(4)), whole.adapted(clip_len=4)(clips(4)))


def test_what_is_not_there_is_not_made_up(small):
    lean = build(4, lean=True)
    for longer in (5, 16):
        with pytest.raises(ValueError, match=rf"4 frames lacks.*{longer} frames need.*lean=False"):
            lean.adapted(clip_len=longer)
    for enough in (1, 2, 3):  # three frames become one where four do
        assert lean.adapted(clip_len=enough)(clips(enough)).shape == (3, 7)
    whole = lean.adapted(clip_len=16, lean=False)
    assert not whole.backbone.layer4[0].conv2[0].weight[:, :, [0, 2]].any()
    assert whole(clips(16)).shape == (3, 7)


def test_only_what_no_weight_depends_on_can_be_changed(small):
    with pytest.raises(ValueError, match=r"only clip_len, dropout and lean.*\['reduction'\]"):
        build(4, lean=True).adapted(reduction=8)


def test_a_changed_clip_len_is_no_silent_difference(small):
    lean, whole = build(4, lean=True).eval(), build(4, lean=False).eval()
    assert torch.equal(lean(clips(8)), lean(clips(8)[:, [1, 3, 5, 7]]))  # sampled, as ever
    lean.clip_len = whole.clip_len = 8
    assert whole(clips(8)).shape == (3, 7)
    with pytest.raises(ValueError, match=r"for clip_len=4 and cannot take 8 frames.*adapted"):
        lean(clips(8))


# --- files ------------------------------------------------------------------------------------


class Noise(torch.utils.data.Dataset):
    classes, size = list("abcdefg"), 16

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return clips(4, 4)[index], index


@pytest.fixture
def run(small, tmp_path):
    """A lean run of two epochs, stopped after one."""

    def stop(_record):
        raise KeyboardInterrupt

    config = TrainConfig(epochs=2, batch_size=2, progress=False)
    run = Trainer(build(4, lean=True), config, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run.fit(Noise(), Noise(), after_epoch=stop)
    return run


def test_a_lean_run_goes_on_to_the_same_end(run, tmp_path):
    never_stopped = Trainer(build(4, lean=True), run.config, tmp_path / "other")
    never_stopped.fit(Noise(), Noise())
    resumed = Trainer.resume(run.out_dir)
    assert resumed.model.config["lean"]
    resumed.fit(Noise(), Noise())
    right = never_stopped.model.state_dict()
    assert all(torch.equal(v, right[k]) for k, v in resumed.model.state_dict().items())


def test_a_checkpoint_says_that_it_is_lean_and_loads_as_either(run):
    lean, metadata = checkpoint.load(run.best)
    whole, _ = checkpoint.load(run.best, lean=False)
    assert metadata.model["lean"]
    assert (cut(whole), len(cut(lean))) == ([], 8)
    torch.testing.assert_close(whole(clips(4)), lean(clips(4)))


def test_a_lean_checkpoint_begins_another_length_only_on_request(run):
    with pytest.raises(ValueError, match=r"lacks kernel slices.*lean=False"):
        checkpoint.load(run.best, clip_len=16)
    model, _ = checkpoint.load(run.best, ["a", "new"], clip_len=16, lean=False)
    assert model(clips(16)).shape == (3, 2)


def test_a_checkpoint_from_before_there_were_lean_models_loads(small, tmp_path):
    config = TrainConfig(epochs=1, batch_size=2, progress=False)
    run = Trainer(build(4, lean=False), config, tmp_path / "run")
    run.fit(Noise(), Noise())
    tensors, metadata = checkpoint.read(run.best)
    text = metadata.to_json().replace(', "lean": false', "")
    save_file(tensors, run.best, {"r3d_helpers": text})
    right = run.model.eval()(clips(4))
    assert "lean" not in checkpoint.load(run.best)[1].model
    assert torch.equal(checkpoint.load(run.best)[0](clips(4)), right)
    torch.testing.assert_close(checkpoint.load(run.best, lean=True)[0](clips(4)), right)


def test_a_lean_model_leaves_the_package_as_any_other(run, tmp_path):
    right = checkpoint.load(run.best)[0](clips(4))
    folder = export.hub(run.best, tmp_path / "hub")
    assert torch.equal(checkpoint.load(folder)[0](clips(4)), right)
    assert export.onnx(run.best, tmp_path / "lean.onnx") <= export.TOLERANCE
    assert export.torch_program(run.best, tmp_path / "lean.pt2") <= export.TOLERANCE
    assert (folder / "model.safetensors").stat().st_size < 0.5 * size_of(whole_of(run))


def whole_of(run):
    return checkpoint.load(run.best, lean=False)[0]


def size_of(model):
    return sum(tensor.nbytes for tensor in model.state_dict().values())
