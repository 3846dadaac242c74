"""The three bugs fail as stated, the fixes pass the guards, and the wrong fixes do not.

The buggy code lives in the notebooks and is taken from there by tag. If a new version of torch
stops a failure, or a change fixes a bug, removes a tag or breaks a fix, this file fails.
"""

import re

import lessons
import pytest
import torch
from einops import EinopsError
from torch import nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18

from r3d_helpers import R3DEmotion, datasets, doctor
from r3d_helpers.model import SqueezeExcitation3d

pytestmark = pytest.mark.usefixtures("quick_weights")

PERMUTE, ACCESS, LSTM = lessons.BUG_LESSONS

TAGS = {
    PERMUTE: """setup bug-permute symptom reproduce fix-permute wrong-view wrong-pictures
        wrong-one-video wrong-twice wrong-twice-lucky prove-loop prove-table guard-permute
        guard-package guard-einops guard-signature exercise-from-frames program-transformer
        exercise-to-tokens exercise-quiz""",
    ACCESS: """setup bug-access symptom reproduce-width reproduce-norm fix-hook fix-hook-runs
        wrong-repairs versions prove-by-hand prove-two-questions guard-se guard-package fix-modules
        exercise-gate-layer program-unet exercise-unet exercise-quiz""",
    LSTM: """setup bug-batch-as-time setup-features symptom measure-influence fix-plain
        wrong-one-step measure-dead measure-by-hand wrong-repeated setup-fit measure-evaluation
        evaluation-verdict ablation ablation-verdict guard-lstm guard-package right-sequence
        right-runs right-verdict exercise-keep-time program-voice exercise-voice exercise-quiz""",
}

# Lesson, tag, type of the error, a fragment of its text that says why.
FAILURES = [
    (PERMUTE, "symptom", RuntimeError, "input.dim() = 4 is not equal to len(dims) = 5"),
    (PERMUTE, "reproduce", RuntimeError, "input.dim() = 4 is not equal to len(dims) = 5"),
    (PERMUTE, "wrong-pictures", ValueError, "batch_size (32) to match target batch_size (2)"),
    (PERMUTE, "wrong-twice", RuntimeError, "to have 3 channels, but got 16 channels"),
    (PERMUTE, "guard-einops", EinopsError, "expected 5 dims. Received 4-dim tensor"),
    (ACCESS, "symptom", AttributeError, "'Sequential' object has no attribute 'out_channels'"),
    (ACCESS, "reproduce-width", AttributeError, "'Sequential' object has no attribute 'out_ch"),
    (ACCESS, "reproduce-norm", AttributeError, "'BasicBlock' object has no attribute 'bn2'"),
]


@pytest.fixture(scope="module")
def lesson(quick_weights):
    """Each lesson's definitions and errors, run once; the long computations are left out."""
    torch.manual_seed(0)
    long = {"setup-features", "measure-evaluation", "ablation", "ablation-verdict"}
    long |= {"evaluation-verdict", "guard-package", "right-runs", "right-verdict"}
    given = {"features": torch.randn(64, 512), "targets": torch.arange(64) % 7}
    return {
        PERMUTE: lessons.run(PERMUTE, skip=long),
        ACCESS: lessons.run(ACCESS, skip=long, small=torch.rand(2, 3, 2, 16, 16)),
        LSTM: lessons.run(LSTM, skip=long, **given),
    }


@pytest.mark.parametrize("name", lessons.BUG_LESSONS)
def test_every_cell_under_contract_carries_its_tag(name):
    """Without it: a tag is lost, and the tests below check nothing."""
    found = [t for cell in lessons.load(name).cells for t in lessons.tags(cell)]
    assert found == TAGS[name].split()


@pytest.mark.parametrize(("name", "tag", "kind", "fragment"), FAILURES)
def test_the_bug_fails_for_the_stated_reason(lesson, name, tag, kind, fragment):
    """Without it: a new torch fixes or renames the failure, and the lesson explains the old one."""
    error = lesson[name][1][tag]
    assert isinstance(error, kind)
    assert fragment in str(error)


@pytest.mark.parametrize(("name", "tag", "kind", "fragment"), FAILURES)
def test_the_page_shows_the_same_error(lesson, name, tag, kind, fragment):
    """Without it: the page shows another error than the text explains."""
    ename, text = lessons.stored_error(name, tag)
    assert ename == type(lesson[name][1][tag]).__name__
    assert fragment in text


@pytest.mark.parametrize("name", lessons.BUG_LESSONS)
def test_no_other_cell_is_expected_to_fail(lesson, name):
    """Without it: an unexpected error seems to be part of the lesson."""
    assert set(lesson[name][1]) == {tag for other, tag, *_ in FAILURES if other == name}


# Lesson 01


def axes_by_loop(batch):
    B, T, C, H, W = batch.shape
    rows = [batch[b, t, c] for b in range(B) for c in range(C) for t in range(T)]
    return torch.stack(rows).view(B, C, T, H, W)


@pytest.fixture
def numbers():
    return torch.arange(2 * 5 * 3 * 4 * 6).view(2, 5, 3, 4, 6)


@pytest.fixture
def permute(lesson):
    return lesson[PERMUTE][0]


def test_01_the_fix_equals_a_loop(permute, numbers):
    assert permute["to_backbone"](numbers).equal(axes_by_loop(numbers))
    assert permute["by_loop"](numbers).equal(axes_by_loop(numbers))


@pytest.mark.parametrize(("frames", "kept"), [(20, 16), (5, 16), (16, 16)])
def test_01_the_fixed_model_keeps_five_axes_and_chooses_frames(permute, frames, kept):
    model = permute["Fixed"]().eval()
    video = torch.rand(2, frames, 3, 8, 12)
    seen = []
    model.backbone.stem.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert model(video).shape == (2, 7)
    middles = [(2 * i + 1) * frames // (2 * kept) for i in range(kept)]
    assert seen[0].equal(axes_by_loop(video[:, middles]))


def test_01_the_guard_passes_the_fix(permute):
    permute["guard"](permute["to_backbone"])


# What each wrong repair makes of [B, T, C, H, W], said in another way.
REPAIRS = {
    "repair_view": lambda x: x.reshape(2, 3, 5, 4, 6),
    "repair_pictures": lambda x: x.reshape(10, 3, 1, 4, 6),
    "repair_one_video": lambda x: x.reshape(1, 10, 3, 4, 6).transpose(1, 2),
    "repair_twice": lambda x: x,
}


@pytest.mark.parametrize("name", REPAIRS)
def test_01_a_wrong_repair_is_wrong_as_told_and_caught(permute, numbers, name):
    assert permute[name](numbers).equal(REPAIRS[name](numbers))
    with pytest.raises(AssertionError):
        permute["guard"](permute[name])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.permute(0, 2, 1, 4, 3).reshape(2, 3, 5, 4, 6),
        lambda x: x.permute(0, 2, 1, 3, 4).flip(2),
        lambda x: x.permute(0, 2, 1, 3, 4).flip(0),
        lambda x: x.permute(0, 2, 1, 3, 4).roll(1, 1),
        lambda x: x.permute(0, 2, 1, 3, 4)[:, :, :-1],
    ],
)
def test_01_the_guard_catches_what_is_not_shown(permute, wrong):
    """Without it: a guard catches the examples of its lesson and nothing else."""
    with pytest.raises(AssertionError):
        permute["guard"](wrong)


def test_01_the_original_bug_does_not_reach_the_guards_first_line(permute):
    with pytest.raises(RuntimeError, match="is not equal to len"):
        permute["guard"](lambda batch: batch.flatten(0, 1).permute(0, 2, 1, 3, 4))


def test_01_the_guard_passes_the_package(permute):
    """Without it: the package has the bug that the lesson is about."""
    model = R3DEmotion(7, clip_len=5, se=None)
    model.backbone = nn.Identity()
    permute["guard"](model.features)


def test_01_a_pile_without_permute_fails_as_told():
    with pytest.raises(RuntimeError, match="got 32 channels instead"):
        r3d_18()(torch.rand(32, 3, 48, 56))


def test_01_the_page_shows_the_packages_guard():
    """Without it: the lesson ends with a guard that finds nothing."""
    scrambled, fixed = lessons.stored_text(PERMUTE, "guard-package").strip().split("\n\nFixed: ")
    assert scrambled.startswith("Scrambled: 1 fault found.\n\naxes · backbone.stem.0 · lesson 01")
    assert fixed == "No fault found."


def test_01_the_page_tells_the_repairs_apart():
    table = [line.split() for line in lessons.stored_text(PERMUTE, "prove-table").splitlines()[1:]]
    assert table == [
        ["to_backbone", "equal", "equal", "equal"],
        ["repair_view", *["shape", "only"] * 3],
        ["repair_pictures", "-", "-", "-"],
        ["repair_one_video", "-", "-", "equal"],
        ["repair_twice", "-", "shape", "only", "-"],
    ]


# Lesson 02


@pytest.fixture
def access(lesson):
    return lesson[ACCESS][0]


@pytest.fixture
def clip():
    return torch.rand(2, 3, 4, 16, 24, generator=torch.Generator().manual_seed(0))


def build(make):
    torch.manual_seed(0)
    return make().eval()


WRONG_GATES = {
    "forgotten": "gets no gradient",
    "thrown away": "gets no gradient",
    "no grad": "gets no gradient",
    "silenced": "has no effect",
}


def test_02_the_habit_is_right_in_two_dimensions():
    block = resnet18().layer3[1]
    assert block.conv2.out_channels == 256
    assert isinstance(block.bn2, nn.BatchNorm2d)


def test_02_the_guard_passes_both_fixes(access, clip):
    access["guard"](build(access["versions"]["right"]), clip)
    access["guard"](build(lambda: access["with_modules"](r3d_18())), clip)


@pytest.mark.parametrize("name", WRONG_GATES)
def test_02_the_guard_catches_every_wrong_repair(access, clip, name):
    with pytest.raises(AssertionError, match=WRONG_GATES[name]):
        access["guard"](build(access["versions"][name]), clip)


@pytest.mark.parametrize("name", WRONG_GATES)
def test_02_a_wrong_repair_runs_with_all_its_parameters(access, clip, name):
    net = build(access["versions"][name])
    right, plain = build(access["versions"]["right"]), build(r3d_18)
    gates = [m for m in net.modules() if isinstance(m, SqueezeExcitation3d)]
    assert len(gates) == 4
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if ".se." not in k})
    with torch.no_grad():
        expected = right if name == "no grad" else plain
        assert net(clip).allclose(expected(clip), atol=1e-6)


def test_02_both_fixes_and_a_loop_agree(access, clip):
    hooked = build(access["versions"]["right"])
    visible = build(lambda: access["with_modules"](r3d_18()))
    gates = [m for m in hooked.modules() if isinstance(m, SqueezeExcitation3d)]
    with torch.no_grad():
        x = hooked.layer2(hooked.layer1(hooked.stem(clip)))
        for block, gate in zip([*hooked.layer3, *hooked.layer4], gates, strict=True):
            x = block.forward(x)
            squeezed = x.mean((2, 3, 4), keepdim=True)
            x = x * gate.expand(gate.reduce(squeezed).relu()).sigmoid()
        by_loop = hooked.fc(x.mean((2, 3, 4)))
        assert hooked(clip).allclose(by_loop, atol=1e-5)
        assert visible(clip).equal(hooked(clip))
        assert access["by_hand"](hooked, clip).allclose(by_loop, atol=1e-5)


def test_02_the_guard_wants_every_gate(access, clip):
    def half():
        net = access["with_modules"](r3d_18())
        net.layer4[3].register_forward_hook(lambda gate, inputs, output: inputs[0])
        return net

    with pytest.raises(AssertionError, match="gets no gradient"):
        access["guard"](build(half), clip)
    with pytest.raises(AssertionError, match="no SqueezeExcitation3d"):
        access["guard"](build(r3d_18), clip)


def test_02_the_guard_serves_other_kinds_of_module(access, clip):
    class Net(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor, self.conv, self.norm = factor, nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)

        def forward(self, x):
            x = self.conv(x)
            return x + self.factor * self.norm(x)

    access["guard"](Net(1), clip, nn.BatchNorm3d)
    with pytest.raises(AssertionError, match="norm has no effect"):
        access["guard"](Net(0), clip, nn.BatchNorm3d)


def test_02_the_guard_does_not_ask_what_is_frozen_on_purpose(access, clip):
    net = build(access["versions"]["right"])
    net.stem.requires_grad_(False)
    access["guard"](net, clip)
    net = build(access["versions"]["thrown away"])
    net.stem.requires_grad_(False)
    with pytest.raises(AssertionError, match="gets no gradient"):
        access["guard"](net, clip)


def test_02_a_module_that_adds_is_switched_off_by_its_input(access, clip):
    class Adapter(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor, self.up = factor, nn.Conv3d(3, 3, 1)

        def forward(self, x):
            return x + self.factor * self.up(x)

    def off(module, inputs, output):
        return inputs[0]

    access["guard"](nn.Sequential(Adapter(1)), clip, Adapter, off)
    with pytest.raises(AssertionError, match="0 has no effect"):
        access["guard"](nn.Sequential(Adapter(0)), clip, Adapter, off)


def test_02_the_guard_leaves_the_gates_as_they_were(access, clip):
    net = build(access["versions"]["right"])
    before = net(clip)
    access["guard"](net, clip)
    assert net(clip).equal(before)


@pytest.mark.parametrize("init", ["default", "identity"])
@pytest.mark.parametrize("se", ["output", "residual"])
def test_02_the_guard_passes_the_package(access, clip, se, init):
    model = build(lambda: R3DEmotion(7, clip_len=4, se=se, se_init=init))
    access["guard"](model, clip.transpose(1, 2))


def test_02_the_page_counts_what_the_two_questions_find():
    """Without it: the text says two tensors and 16, and the table shows other numbers."""
    lines = lessons.stored_text(ACCESS, "prove-two-questions").splitlines()[1:]
    found = {re.split(r"\s{2,}", line)[0]: re.findall(r"\d+", line) for line in lines}
    assert found == {
        "right": ["78", "16", "16", "100"],
        "forgotten": ["62", "0", "0", "0"],
        "thrown away": ["62", "0", "0", "0"],
        "no grad": ["2", "0", "0", "100"],
        "silenced": ["78", "16", "0", "0"],
    }


def test_02_the_package_finds_the_bug_and_passes_the_fix():
    """Without it: the page recommends a guard that finds nothing."""
    assert "learning · layer3.0.se.reduce" in lessons.stored_text(ACCESS, "guard-package")
    hooked, visible = lessons.stored_text(ACCESS, "fix-modules").split("visible")
    assert "learning" not in hooked
    assert "copies" in hooked
    assert "No fault found" in visible


# Lesson 03


@pytest.fixture
def lstm(lesson):
    return lesson[LSTM][0]


@pytest.fixture
def features():
    return torch.randn(8, 512, generator=torch.Generator().manual_seed(0))


def test_03_influence_is_measured_and_not_assumed(lstm):
    x = torch.rand(4, 3)
    one = torch.ones(4, 4, dtype=torch.bool)
    assert lstm["influence"](lambda x: x, x).equal(torch.eye(4, dtype=torch.bool))
    assert lstm["influence"](lambda x: x + x.mean(0), x).equal(one)
    assert lstm["influence"](lambda x: x.cumsum(0), x).equal(one.triu())
    assert lstm["influence"](lambda x: x.flip(0), x).equal(torch.eye(4, dtype=torch.bool).flip(0))


def test_03_the_bug_reads_the_batch_as_time(lstm, features):
    for name in ("Head", "OneSequence"):
        matrix = lstm["influence"](build(lstm[name]), features)
        assert matrix.equal(torch.ones(8, 8, dtype=torch.bool).triu()), name


def test_03_half_of_the_one_step_lstm_cannot_learn(lstm, features):
    head = build(lstm["OneStep"])
    steps = []
    head.lstm.register_forward_pre_hook(lambda _, args: steps.append(args[0]))
    head(features).square().mean().backward()
    assert steps[0].equal(features[:, None])
    gradients = {name: p.grad for name, p in head.lstm.named_parameters()}
    assert not gradients["weight_hh_l0"].any()
    assert not gradients["weight_ih_l0"][256:512].any()
    assert sum(int((g == 0).sum()) for g in gradients.values()) == 393_728
    assert sum(g.numel() for g in gradients.values()) == 788_480


def test_03_nobody_who_is_tested_has_a_part_in_training(lstm):
    clips = datasets.ravdess(doctor.SAMPLES)
    raw = torch.randn(len(clips), 512)
    space = {**lstm, "clips": clips, "features": raw}
    exec(lessons.cell(LSTM, "setup-fit").source, space)
    x, train, test = space["split"](0)
    people = [{clips[i].subject for i in half} for half in (train.tolist(), test.tolist())]
    assert people[0].isdisjoint(people[1])
    assert len(train) + len(test) == len(clips)
    assert x[train].mean(0).abs().max() < 1e-4
    assert (x[train].std(0) - 1).abs().max() < 1e-4
    assert not x[test].mean(0).abs().max() < 1e-4


def test_03_the_page_states_the_measurements():
    text = lessons.stored_text(LSTM, "measure-dead")
    assert "393,728 of 788,480 parameters cannot learn: 49.9%" in text
    assert "262,144 of 262,144" in text
    assert lessons.stored_text(LSTM, "measure-by-hand").endswith(": 0.00000\n")
    assert lessons.stored_text(LSTM, "evaluation-verdict").count("at least one label in 50") == 2
    verdict = lessons.stored_text(LSTM, "ablation-verdict").splitlines()
    assert verdict[:3] == [
        "the lowest of all scores is more than 0.10 above chance",
        "the LSTM gains less than 0.05 on hidden layer",
        "the LSTM gains less than 0.05 on plain",
    ]
    right = lessons.stored_text(LSTM, "right-verdict")
    assert "every run 0.50 0.50 0.50 0.50 0.50" in right
    assert "above 0.60 on average" in right


def test_03_the_package_finds_each_version_and_passes_the_fix():
    """Without it: the page recommends a guard that finds nothing."""
    lines = lessons.stored_text(LSTM, "guard-package").splitlines()
    first = {line.split()[0]: line for line in reversed(lines)}
    assert "batch: the answer to a clip depends on who else" in first["Head"]
    assert "time: works along time, and is given a single step" in first["OneStep"]
    assert "time: " in first["Repeated"]
    assert "No fault found" in first["Plain"]


def test_03_repeating_wakes_every_parameter_and_brings_no_news(lstm, features):
    head = build(lstm["Repeated"])
    steps = []
    head.lstm.register_forward_pre_hook(lambda _, args: steps.append(args[0]))
    head(features).square().mean().backward()
    assert all((p.grad != 0).all() for p in head.lstm.parameters())
    assert steps[0].equal(features[:, None].expand(8, 16, 512))


def test_03_the_guard_passes_the_fix(lstm, features):
    head = build(lstm["Plain"])
    assert head(features).equal(head.linear(features))
    lstm["guard"](head, features)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Head", "who else is in the batch"),
        ("OneSequence", "who else is in the batch"),
        ("OneStep", "lstm.weight_hh_l0 cannot learn"),
        ("Repeated", "order of the steps makes no difference"),
    ],
)
def test_03_the_guard_catches_every_wrong_repair(lstm, features, name, reason):
    with pytest.raises(AssertionError, match=reason):
        lstm["guard"](build(lstm[name]), features)


def test_03_the_guard_is_not_deceived_by_dropout(lstm, features):
    head = nn.Sequential(nn.Dropout(0.5), build(lstm["Plain"])).train()
    lstm["guard"](head, features)


def test_03_the_guard_turns_the_steps_around_and_back(lstm):
    class Total(nn.Module):  # an RNN whose reader forgets its order
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(512, 8, batch_first=True)

        def forward(self, steps):
            return self.rnn(steps)[0].mean(1) + self.rnn(steps.flip(1))[0].mean(1)

    steps = torch.randn(4, 3, 512)
    total = build(Total)
    with pytest.raises(AssertionError, match="order of the steps"):
        lstm["guard"](total, steps)
    assert not total.rnn._forward_pre_hooks


def test_03_the_guard_turns_time_around_in_either_layout(lstm):
    class TimeFirst(nn.Module):
        def __init__(self, repeat):
            super().__init__()
            self.repeat, self.gru = repeat, nn.GRU(512, 8)

        def forward(self, steps):  # [B, T, F]
            steps = steps[:, :1].expand_as(steps) if self.repeat else steps
            return self.gru(steps.transpose(0, 1))[0][-1]

    steps = torch.randn(4, 3, 512, generator=torch.Generator().manual_seed(0))
    lstm["guard"](build(lambda: TimeFirst(repeat=False)), steps)
    with pytest.raises(AssertionError, match="order of the steps"):
        lstm["guard"](build(lambda: TimeFirst(repeat=True)), steps)


def test_03_the_guard_catches_what_nobody_calls(lstm, features):
    head = build(lstm["Plain"])
    head.spare = nn.Linear(2, 2)
    with pytest.raises(AssertionError, match=r"spare\.weight cannot learn"):
        lstm["guard"](head, features)


def test_03_the_guard_passes_an_lstm_that_has_steps(lstm):
    steps = torch.randn(6, 2, 512, generator=torch.Generator().manual_seed(0))
    head = build(lstm["Sequence"])
    lstm["guard"](head, steps)
    order = head(steps.flip(1)) - head(steps)
    assert (order.abs() > 1e-4).any(1).all()
    average = build(lstm["Average"])
    assert average(steps.flip(1)).allclose(average(steps), atol=1e-6)


def test_03_nobody_in_the_package_depends_on_strangers(lstm):
    """Without it: the package has the bug that the lesson is about."""
    model = build(lambda: R3DEmotion(7, clip_len=4))
    videos = torch.rand(3, 4, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    assert lstm["influence"](model, videos).equal(torch.eye(3, dtype=torch.bool))
