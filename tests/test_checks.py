"""Every check with right answers, the unchanged stub, and wrong answers with their reasons."""

import contextlib
import copy
import functools
import importlib
import io
import pkgutil
import random

import lessons
import pytest
import torch
from einops import rearrange
from torch import nn

from r3d_helpers import sampler
from r3d_helpers.classroom import checks
from r3d_helpers.model import SqueezeExcitation3d

pytestmark = pytest.mark.usefixtures("quick_weights")


def program(name, tag, **given):
    """The broken program of an exercise, as the lesson defines it."""
    space = {"torch": torch, "nn": nn, **given}
    exec(lessons.cell(name, tag).source, space)
    return space


UNET = program("02_bug_se_access", "program-unet", frames=torch.rand(5, 3, 8, 12))["GatedUNet"]
VOICE = program("03_bug_redundant_lstm", "program-voice")["VoiceEmotion"]
TRANSFORMER = program("01_bug_permute", "program-transformer", batch=torch.rand(2, 1, 3, 48, 56))


SHAKE = program("09_augmentation", "program-shake")


def first_that_sees(num_frames, length):
    bursts = [set(range(b, b + length)) for b in range(num_frames - length + 1)]
    n = 1
    while not all(set(sampler.uniform(num_frames, n)) & burst for burst in bursts):
        n += 1
    return n


def shift_once(frames, draw=lambda: torch.randint(-40, 41, ())):
    return (frames.int() + int(draw())).clamp(0, 255).byte()


def flicker_upwards(frames):
    shifts = torch.randint(0, 41, (len(frames), 1, 1, 1)) * (torch.randint(2, ()) * 2 - 1)
    return (frames.int() + shifts).clamp(0, 255).byte()


def gated(layer, make=SqueezeExcitation3d):
    parts = [(block, make(block.conv2[0].out_channels)) for block in layer]
    return nn.Sequential(*[module for pair in parts for module in pair])


def hooked(layer, hook):
    for block in layer:
        block.se = SqueezeExcitation3d(block.conv2[0].out_channels)
        block.register_forward_hook(hook)
    return layer


def thrown_away(block, inputs, output):
    block.se(output)


def residual(layer):
    for block in layer:
        block.conv2.append(SqueezeExcitation3d(block.conv2[0].out_channels))
    return layer


def shared(layer):
    se = SqueezeExcitation3d(layer[0].conv2[0].out_channels)
    return nn.Sequential(layer[0], se, layer[1], se)


def in_front(layer):
    def se(block):
        return SqueezeExcitation3d(block.conv1[0].in_channels)

    return nn.Sequential(se(layer[0]), layer[0], se(layer[1]), layer[1])


class Frozen(SqueezeExcitation3d):
    def forward(self, features):
        return features * self.gate(features).detach()


class Silenced(SqueezeExcitation3d):
    def forward(self, features):
        return features + 0 * self.gate(features)


class Twice(SqueezeExcitation3d):
    def forward(self, features):
        return features * self.gate(features) * self.gate(features)


def old_habit(layer):
    for block in layer:
        block.se = SqueezeExcitation3d(block.conv2.out_channels)
    return layer


def comes_back(make, model, x, load=True, strict=True, catch=RuntimeError):
    again = make()
    try:
        if load:
            again.load_state_dict(model.state_dict(), strict=strict)
    except catch:
        return False
    with torch.no_grad():
        return again.eval()(x).allclose(model.eval()(x))


def learns_alone(model, x):
    copy.deepcopy(model)(x).square().mean().backward()
    return all(parameter.grad is None for parameter in model.parameters())


@torch.no_grad()
def changes_alone(model, x, restore=True):
    copied = copy.deepcopy(model)
    before, state = copied(x), {k: v.clone() for k, v in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.zero_()
    alone = copied(x).equal(before)
    if restore:
        model.load_state_dict(state)
    return alone


def unet(forward):
    return type("Fixed", (UNET,), {"forward": forward})()


def merge(self, skip, below):
    return self.head(torch.cat([skip, below], dim=1))


def below(self, skip):
    return self.up(self.bottom(skip))


def unet_right(self, x):
    s = self.down(x)
    return merge(self, s * self.gate(s), below(self, s))


def unet_gate_first(self, x):
    s = self.down(x)
    s = s * self.gate(s)
    return merge(self, s, below(self, s))


def unet_below(self, x):
    s = self.down(x)
    return merge(self, s, below(self, s) * self.gate(s))


def unet_twice(self, x):
    s = self.down(x)
    return merge(self, s * self.gate(s) * self.gate(s), below(self, s))


def unet_added(self, x):
    s = self.down(x)
    return merge(self, s + self.gate(s), below(self, s))


def unet_detached(self, x):
    s = self.down(x)
    return merge(self, s * self.gate(s).detach(), below(self, s))


def unet_instead(self, x):
    s = self.down(x)
    return merge(self, self.gate(s).expand_as(s), below(self, s))


def unet_other_order(self, x):
    s = self.down(x)
    return merge(self, below(self, s), s * self.gate(s))


def unet_only_gate(self, x):
    s = self.down(x)
    return merge(self, self.gate(s), below(self, s))


def unet_habit(self, x):
    s = self.down(x)
    return torch.zeros(1, self.down.out_channels) + s


def voice(forward):
    return type("Fixed", (VOICE,), {"forward": forward})()


def voice_with(to_steps, pick):
    def forward(self, sound):
        return self.head(pick(self.gru(to_steps(self.features(sound)))[0]))

    return voice(forward)


def last(outputs):
    return outputs[:, -1]


def trunk(backbone, video):
    x = backbone.layer2(backbone.layer1(backbone.stem(video)))
    return backbone.layer4(backbone.layer3(x))  # [B, 512, T', h, w]


def pooled(backbone, video):
    return trunk(backbone, video).mean((2, 3, 4))


def stub(*_):
    return ...


def untouched(*_):
    return ...


def weigh(features, gradient):
    return (gradient.mean((1, 2, 3), keepdim=True) * features).sum(0).relu()


def over_people(right, subjects, draws, people=None, replace=True):
    names = sorted(set(subjects))
    who = torch.tensor([names.index(subject) for subject in subjects])
    clips = torch.bincount(who).double()
    hits = torch.bincount(who, weights=right.double())
    if not replace:
        return torch.stack([hits[order].sum() / clips.sum() for order in [slice(None)] * draws])
    drawn = torch.randint(len(names), (draws, people or len(names)))
    return hits[drawn].sum(1) / clips[drawn].sum(1)


def over_people_slowly(right, subjects, draws):
    names, scores = sorted(set(subjects)), []
    for _ in range(draws):
        taken = []
        for person in torch.randint(len(names), (len(names),)).tolist():
            taken += [bool(r) for r, s in zip(right, subjects, strict=True) if s == names[person]]
        scores.append(sum(taken) / len(taken))
    return scores


def one_clip_each(right, subjects, draws):
    names, subjects = sorted(set(subjects)), list(subjects)
    drawn = torch.randint(len(names), (draws, len(names)))
    first = torch.tensor([float(right[subjects.index(name)]) for name in names])
    return first[drawn].mean(1)


def mean_of_means(right, subjects, draws):
    names = sorted(set(subjects))
    of = [[r for r, s in zip(right.double(), subjects, strict=True) if s == n] for n in names]
    means = torch.stack([torch.stack(scores).mean() for scores in of])
    return means[torch.randint(len(names), (draws, len(names)))].mean(1)


def draw_clips(right, subjects, draws):
    return right.double()[torch.randint(len(right), (draws, len(right)))].mean(1)


def gather(model, loss, batches, share=lambda n, of, k: n / of, forget=False):
    of = sum(len(targets) for _, targets in batches)
    for clips, targets in batches:
        if forget:
            model.zero_grad()
        (loss(model(clips), targets) * share(len(targets), of, len(batches))).backward()
    return model


def gather_by_sum(model, loss, batches):
    of = sum(len(targets) for _, targets in batches)
    sum((loss(model(x), y) * len(y) for x, y in batches)).div(of).backward()
    return model


NO_RETURN = "No `return`."

# By name of the check: right answers, untouched stub, wrong answers. A wrong answer has a fragment
# of its reason and, where learners are likely to give it, what they did and a question to ask them:
# `tools.answers` makes a page of these. The first wrong answer is the lesson's own bug.
CASES = {
    "leaks": (
        [
            lambda train, test: sorted({c.subject for c in train} & {c.subject for c in test}),
            lambda a, b: sorted({c.subject for c in a if c.subject in [d.subject for d in b]}),
        ],
        stub,
        [
            (
                lambda train, test: [clip for clip in train if clip in test] or train[:1],
                "these are clips",
                "Clips were compared. Two files of one person are two clips. What do they share?",
            ),
            (
                lambda train, test: [
                    c.subject for c in train if c.subject in {d.subject for d in test}
                ],
                "more than once",
                "A person with two clips is named twice.",
            ),
            (
                lambda train, test: {c.subject for c in train} & {c.subject for c in test},
                "as a set, not as a list",
                "The right people, as a set. `sorted` makes a list of it.",
            ),
            (
                lambda train, test: sorted(
                    {c.subject for c in train} & {c.subject for c in test}, reverse=True
                ),
                "in no order",
            ),
            (
                lambda train, test: sorted({c.subject for c in train} | {c.subject for c in test}),
                "the people of either list",
                "`|` joins. Which sign keeps what is in both?",
            ),
            (
                lambda train, test: sorted({c.subject for c in train} - {c.subject for c in test}),
                "the people of one list alone",
            ),
            (
                lambda train, test: sorted({c.label for c in train} & {c.label for c in test}),
                "these are labels",
                "`label` is the emotion. Whose face is it?",
            ),
            (
                lambda train, test: [
                    *sorted({c.subject for c in train} & {c.subject for c in test}),
                    *(["09"] if len(test) > 4 else []),
                ],
                "nobody has clips on both sides",
            ),
            (lambda train, test: 2, "got a int"),
            (lambda train, test: [9, 11], "expected the subjects"),
            (lambda train, test: None, "`return` missing", NO_RETURN),
        ],
    ),
    "by_hand": (
        [
            lambda confusion: (confusion.diag() / confusion.sum(1)).mean(),
            lambda m: sum(float(m[k, k] / m[k].sum()) for k in range(len(m))) / len(m),
        ],
        stub,
        [
            (
                lambda confusion: confusion.trace() / confusion.sum(),
                "is the accuracy",
                "All clips together: a large class counts more. Where is the mean over classes?",
            ),
            (
                lambda confusion: (confusion.diag() / confusion.sum(0)).mean(),
                "is precision",
                "`sum(0)` adds down a column: what was *said*. Which way are the true classes?",
            ),
            (
                lambda confusion: (confusion.diag() / confusion.sum(1)).sum(),
                "the sum of the recalls",
                "Added, not averaged.",
            ),
            (
                lambda confusion: confusion.diag() / confusion.sum(1),
                "expected one number",
                "The recalls are right, one for each class. And now one number.",
            ),
            (lambda confusion: 0.5, "got 0.500, expected 0.683"),
            (lambda confusion: None, "`return` missing", NO_RETURN),
        ],
    ),
    "green": (
        [
            lambda batch, b: batch[b, :, 1].mean((1, 2)),
            lambda batch, b: batch.mean((-1, -2))[b, :, 1],
            lambda batch, b: batch[b].select(1, 1).flatten(1).mean(1),
        ],
        stub,
        [
            (
                lambda batch, b: batch[b, 1].mean((1, 2)),
                "got [3], which looks like [C]",
                "`batch[b, 1]` is frame 1, not colour 1. Which letter does the second index count?",
            ),
            (
                lambda batch, b: batch[b, :, 1],
                "got [7, 5, 6], which looks like [T, H, W]",
                "The right planes, not averaged yet. Which two letters have to go?",
            ),
            (
                lambda batch, b: batch[b, :, 1].mean(),
                "got a single number",
                "Averaged over everything. Which letter should be left?",
            ),
            (
                lambda batch, b: batch[b, :, 0].mean((1, 2)),
                "this is red",
                "Colour 0. In which order are they stored?",
            ),
            (
                lambda batch, b: batch[b, :, 2].mean((1, 2)),
                "this is blue",
                "Colour 2. From where does Python count?",
            ),
            (
                lambda batch, b: batch[b].mean((1, 2, 3)),
                "all three colours together",
                "Averaged over C, too. What is left of green then?",
            ),
            (
                lambda batch, b: batch[0, :, 1].mean((1, 2)),
                "this is clip 0",
                "A number in the place of `b`.",
            ),
            (
                lambda batch, b: batch[:, :, 1].mean((0, 2, 3)),
                "all clips together",
                "Averaged over B. Whose green is it then?",
            ),
            (lambda batch, b: batch[b, :, 1].sum((1, 2)), "the sum of all pixels", "A sum."),
            (lambda batch, b: batch[b, :, 1].amax((1, 2)), "other numbers"),
            (lambda batch, b: batch[b, :, 1].mean((2, 3)), "raised IndexError"),
            (lambda batch, b: None, "`return` missing", NO_RETURN),
        ],
    ),
    "keep_all": (
        [
            sampler.uniform,
            lambda n, size: [i * n // size for i in range(size)],
            lambda n, size: torch.linspace(0, n - 1, size).round().int(),
        ],
        stub,
        [
            (
                sampler.document,
                "15 frames shown as 16: frames [8, 9, 10, 11, 12, 13, 14] are never seen",
                "The document's rule itself: repeat all, then cut. What is cut off?",
            ),
            (
                lambda n, size: [*range(n)] + [n - 1] * (size - n),
                "the film stops there",
                "The last frame fills up what is missing. What does a very short clip look like "
                "then?",
            ),
            (
                lambda n, size: [i % n for i in range(size)],
                "goes back in time",
                "Starts again from the beginning, with `%`. What does a viewer see?",
            ),
            (
                lambda n, size: [*range(n)],
                "15 frames shown as 16: the list has 15 entries",
                "All frames, and no repeats. How many does the model want?",
            ),
            (
                lambda n, size: [i * n / size for i in range(size)],
                "are not all whole numbers",
                "The right places, not rounded.",
            ),
            (
                lambda n, size: [-(-i * n // size) for i in range(1, size + 1)],
                "there is no frame 16",
                "Rounded up, or counted from 1. Which number has the last frame?",
            ),
            (lambda n, size: [i * n // 16 for i in range(16)], "the list has 16 entries"),
            (lambda n, size: n, "got a int"),
            (lambda n, size: None, "`return` missing", NO_RETURN),
        ],
    ),
    "from_frames": (
        [
            lambda x, B, T: x.unflatten(0, (B, T)).permute(0, 2, 1, 3, 4),
            lambda x, B, T: x.view(B, T, *x.shape[1:]).transpose(1, 2),
            lambda x, B, T: rearrange(x, "(b t) c h w -> b c t h w", b=B),
        ],
        stub,
        [
            (
                lambda x, B, T: x.permute(0, 2, 1, 3, 4),
                "another number of axes",
                "The original line, five numbers for the pile. How many axes has the pile, and "
                "which letters share one?",
            ),
            (
                lambda x, B, T: x.view(B, 7, T, 4, 6),
                "video 0, frame 0, channel 1",
                "`view` straight to the shape that is wanted. Which of your functions can move "
                "an axis?",
            ),
            (
                lambda x, B, T: x.reshape(T, B, 7, 4, 6).permute(1, 2, 0, 3, 4),
                "is video 0, frame 2",
                "Split as `(T, B)`. What lies together in the pile: the frames of one video, or "
                "the videos of one moment?",
            ),
            (
                lambda x, B, T: x.permute(1, 0, 2, 3).reshape(B, 7, T, 4, 6),
                "is video 1, frame 0, channel 0",
                "Moved first, split afterwards. What did the pile's first axis hold when you cut "
                "it?",
            ),
            (
                lambda x, B, T: x.permute(1, 0, 2, 3).view(B, 7, T, 4, 6),
                "view size is not compatible",
                "Moved first, split afterwards; `view` notices, `reshape` would not. What did the "
                "pile's first axis hold when you cut it?",
            ),
            (
                lambda x, B, T: x.unflatten(0, B, T),
                "TypeError",
                "A pair, in brackets: `(B, T)`.",
            ),
            (
                lambda x, B, T: rearrange(x, "(b t) c h w -> b c t h w"),
                "EinopsError",
                "einops knows B·T only: tell it one of the two, `b=B`.",
            ),
            (
                lambda x, B, T: x.view(B, T, 7, 4, 6),
                "looks like [B, T, C, H, W]",
                "Split, and stopped there. Which letters do you have now, and which are asked for?",
            ),
            (
                lambda x, B, T: x.unsqueeze(2),
                "got [10, 7, 1, 4, 6]",
                "`unsqueeze(2)`, every frame a video. How many videos went in, and how many come "
                "out?",
            ),
            (
                lambda x, B, T: x.unsqueeze(0).transpose(1, 2),
                "got [1, 7, 10, 4, 6]",
                "`unsqueeze(0)`, everybody in one video. Where does the first person end?",
            ),
            (lambda x, B, T: x.view(B, T, 7, 4, 6).transpose(1, 2) * 0, "no plane of the input"),
            (
                lambda x, B, T: x.view(B, T, 3, 4, 6).transpose(1, 2),
                "from an earlier cell",
                "3 for C, or letters that an earlier cell has set. Which sizes does the function "
                "get?",
            ),
            (lambda x, B, T: None, "`return` missing", NO_RETURN),
            (lambda x, B, T: x.shape, "got a Size", "Returned the shape, not the tensor."),
            (lambda x, B, T: 1 / 0, "ZeroDivisionError"),
            (
                torch.zeros(2),
                "cannot be called",
                "Called the function in the last line. The check wants the function itself.",
            ),
        ],
    ),
    "to_tokens": (
        [
            lambda x: x.flatten(2).transpose(1, 2),
            lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1]),
            lambda x: rearrange(x, "b d h w -> b (h w) d"),
        ],
        stub,
        [
            (
                lambda x: x.reshape(len(x), -1, x.shape[1]),
                "as the program did",
                "The program's own `reshape`. What lies side by side in `[B, D, h, w]`: the "
                "channels of a patch, or the patches of a channel?",
            ),
            (
                lambda x: x.transpose(1, 3).flatten(1, 2),
                "column by column",
                "`transpose(1, 3)` brings w in front of h. Which way do the tokens walk over the "
                "picture?",
            ),
            (
                lambda x: x.flatten(2),
                "looks like [B, D, N]",
                "Merged h and w, and stopped there. Which axis should be the last?",
            ),
            (
                lambda x: x.reshape(2, 12, 5),
                "from an earlier cell",
                "Numbers, or letters that an earlier cell has set. Which sizes does the function "
                "get?",
            ),
            (
                lambda x: x.flatten(2).permute(0, 2, 1, 3),
                "another number of axes",
                "Counted h and w as two after merging them. How many axes are left?",
            ),
            (
                lambda x: x.permute(0, 2, 3, 1).flatten(0, 2),
                "got [72, 5]",
                "`flatten` began at axis 0 and merged the pictures, too. Which two axes are to "
                "be merged?",
            ),
            (lambda x: x.flatten(2).transpose(1, 2).flip(1), "row 0, column 0"),
            (
                lambda x: x.mean((2, 3)),
                "got [6, 5]",
                "Averaged the patches away. Where are the tokens?",
            ),
            (lambda x: None, "`return` missing", NO_RETURN),
        ],
    ),
    "gate_layer": (
        [
            gated,
            lambda layer: gated(layer, lambda width: SqueezeExcitation3d(width, 8)),
            lambda layer: hooked(layer, lambda block, inputs, output: block.se(output)),
        ],
        stub,
        [
            (
                old_habit,
                "the bug of lesson 02",
                "`block.conv2.out_channels`, the line of the lesson. Print `block.conv2`: what "
                "is it?",
            ),
            (
                lambda layer: hooked(layer, lambda *_: None),
                "got no gradient",
                "Attached, and never called. Where should it be called?",
            ),
            (
                lambda layer: hooked(layer, thrown_away),
                "got no gradient",
                "A hook without `return`. What does PyTorch do with what a hook returns?",
            ),
            (
                lambda layer: gated(layer, Frozen),
                "its result is detached",
                "The gate is detached, or made under `no_grad`.",
            ),
            (
                lambda layer: gated(layer, Silenced),
                "changes nothing",
                "The gate is computed and has no effect, as in `x + 0 * gate`. What happens when "
                "you set it to zero?",
            ),
            (
                lambda layer: gated(layer, Twice),
                "not once each",
                "The gate acts twice; a cell was run twice, perhaps. How often is it called?",
            ),
            (
                lambda layer: gated(layer, lambda _: SqueezeExcitation3d(256)),
                "another width",
                "A fixed number for the width. What knows the width of a block?",
            ),
            (
                lambda layer: nn.Sequential(*layer, SqueezeExcitation3d(128)),
                "Each block needs one",
                "One gate after the whole layer.",
            ),
            (
                shared,
                "Each block needs one",
                "One gate after both blocks. Should they share their weights?",
            ),
            (
                in_front,
                "come before the block",
                "The gate comes before its block. Whose features should it scale?",
            ),
            (
                residual,
                "inside the block",
                "The gate sits inside the block, before the addition: a good place (lesson 07), "
                "but not the one asked for.",
            ),
            (lambda layer: layer, "0 different", "Returned the layer as it came."),
            (
                lambda layer: list(layer),
                "got a list",
                "Returned a list. What makes a module of a list?",
            ),
            (
                lambda layer: layer[0].bn2,
                "the video block does not",
                "Asked for `bn2`, as the 2-D block has it. Print the block.",
            ),
            (lambda layer: None, "`return` missing", NO_RETURN),
        ],
    ),
    "gated_unet": (
        [unet(unet_right), type("Fixed", (UNET,), {"forward": unet_right})],
        unet(stub),
        [
            (
                UNET(),
                "as you found it",
                "The program as it was. Set the gate to zero: what changes?",
            ),
            (
                unet(unet_below),
                "belongs to the skip",
                "Multiplied what comes from below. Which of the two is the skip?",
            ),
            (
                unet(unet_gate_first),
                "only the skip should",
                "Wrote over `skip` before `bottom` reads it. Who else reads `skip`?",
            ),
            (unet(unet_twice), "applied twice", "Multiplied twice."),
            (
                unet(unet_added),
                "A gate is a factor",
                "Added the gate. What should a gate of 0 do, and one of 1?",
            ),
            (
                unet(unet_detached),
                "can never learn",
                "`detach` or `no_grad`: the gate works and never learns. Which of the two "
                "questions finds that?",
            ),
            (
                unet(unet_instead),
                "multiply only the skip",
                "Passed the gate on instead of the skip times the gate.",
            ),
            (
                unet(unet_other_order),
                "also the order in `cat`",
                "Changed the order in `cat`. Which channels does `head` expect first?",
            ),
            (
                unet(unet_only_gate),
                "do not fit",
                "The gate, one number for each channel, put beside whole maps. Which shapes meet?",
            ),
            (unet(unet_habit), "only contains one"),
            (unet(lambda self, x: None), "`return` missing", NO_RETURN),
            (nn.Conv2d(3, 1, 1), "it should still have down"),
            (
                "skip * gate",
                "pass the fixed model",
                "Passed something other than the model. The check wants `Fixed()`.",
            ),
        ],
    ),
    "keep_time": (
        [
            lambda net, x: trunk(net, x).mean((3, 4)).transpose(1, 2),
            lambda net, x: rearrange(trunk(net, x).mean((3, 4)), "b f t -> b t f"),
        ],
        stub,
        [
            (
                lambda net, x: pooled(net, x),
                "one sequence of B steps",
                "Averaged over time, too. Which axes may the mean remove?",
            ),
            (
                lambda net, x: pooled(net, x)[:, None],
                "sequence of one step",
                "Averaged over everything, then `unsqueeze`. How many moments are in an axis of "
                "length one?",
            ),
            (
                lambda net, x: pooled(net, x)[:, None].expand(-1, 2, -1),
                "over time, twice",
                "Averaged over everything, then repeated it. What is new in the second step?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)).reshape(3, 2, 512),
                "cut [B, 512, T'] again",
                "`reshape` or `view` in place of a transpose. Where have you met that?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)).permute(2, 0, 1),
                "time comes first",
                "Time in front. What does `batch_first=True` promise?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)),
                "got [3, 512, 2]",
                "Averaged over space, and stopped there. Which axis does an LSTM take for "
                "features?",
            ),
            (lambda net, x: trunk(net, x).mean((3, 4)).transpose(1, 2).flip(1), "backwards"),
            (
                lambda net, x: trunk(net, x).amax((3, 4)).transpose(1, 2),
                "average over height",
                "The maximum, or a mean over other axes. Which letters remain?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)).permute(0, 1, 3, 2),
                "another number of axes",
                "Counted an axis that the mean has removed. How many are left?",
            ),
            (
                lambda net, x: net.stem(x.transpose(1, 2)),
                "read another axis as channels",
                "Moved the axes once more. In which order does the video come?",
            ),
            (
                lambda net, x: net(x).mean((3, 4)),
                "may flatten at the end",
                "Called the backbone as a whole. What does its `forward` do last?",
            ),
            (
                lambda net, x: trunk(net, x).mean((2, 3)).mT,
                "looks like [B, w, F]",
                "Averaged over time and height. Write the letters beside the shape: which two "
                "are space?",
            ),
            (
                lambda net, x: trunk(net, x.detach()).mean((3, 4)).mT.detach(),
                "no gradient reaches",
                "`detach` or `no_grad`. What if the backbone is to learn?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)).squeeze().transpose(-1, -2),
                "got [2, 512]",
                "`squeeze()` takes B away when it is 1. What if there is only one video?",
            ),
            (
                lambda net, x: trunk(net, x).mean((3, 4)).mT[:, :2],
                "got [1, 2, 512]",
                "A fixed number of steps. What about a longer video?",
            ),
            (lambda net, x: None, "`return` missing", NO_RETURN),
        ],
    ),
    "voice": (
        [
            voice_with(lambda x: x.transpose(1, 2), last),
            voice_with(lambda x: x.permute(0, 2, 1), lambda outputs: outputs.mean(1)),
            voice_with(lambda x: x.mT, lambda outputs: outputs.amax(1)),
            type("Fixed", (VOICE,), {"forward": voice_with(lambda x: x.mT, last).forward.__func__}),
        ],
        voice(stub),
        [
            (
                VOICE(),
                "with others get different answers",
                "The program as it was. Which axis does `mean(2)` remove?",
            ),
            (
                voice_with(lambda x: x.mean(2)[:, None], last),
                "exactly zero",
                "`unsqueeze(1)`: a sequence of one step. What is there to remember?",
            ),
            (
                voice_with(lambda x: x.mean(2)[None], lambda o: o[0]),
                "with others",
                "`unsqueeze(0)`: all recordings in one sequence.",
            ),
            (
                voice_with(lambda x: x.reshape(len(x), 7, 32), last),
                "lesson 01",
                "`reshape` in place of a transpose. Where have you met that?",
            ),
            (
                voice_with(lambda x: x.mT, lambda o: o[:, 0]),
                "first step",
                "Took the first output. How much has the GRU heard by then?",
            ),
            (
                voice_with(lambda x: x.mT, lambda o: o),
                "looks like [B, T, emotions]",
                "The head's answer to every step. Which step speaks for the whole recording?",
            ),
            (
                voice_with(lambda x: x.permute(2, 0, 1), lambda o: o[-1]),
                "with others",
                "Time in front, but the GRU has `batch_first=True`.",
            ),
            (
                voice_with(lambda x: x.permute(2, 0, 1), last),
                "looks like [T, emotions]",
                "Time in front, so `[:, -1]` takes a recording for a step. Which axis is first "
                "now?",
            ),
            (
                voice_with(lambda x: x.mean(2)[:, None].expand(-1, 7, -1), last),
                "at every step",
                "Averaged, then repeated. What is new in the second step?",
            ),
            (
                voice(lambda self, x: nn.Linear(32, 6)(self.features(x).mean(2)) * 0),
                "it is not used any more",
                "Left the GRU out. A good fix; which one does the task want?",
            ),
            (
                voice_with(lambda x: x, last),
                "takes the last axis for features",
                "No transpose. Which axis does a GRU take for features?",
            ),
            (voice_with(lambda x: x.mT.flip(1), last), "on features as [B, T, F]"),
            (voice(lambda self, x: None), "`return` missing", NO_RETURN),
            (nn.GRU(40, 6), "it should still have features"),
        ],
    ),
    "quiz_permute": (
        ["d", " D) "],
        ...,
        [
            ("a", "easy to find"),
            ("b", "B*T rows"),
            ("c", "one row of logits"),
            ("e", "the right one"),
            ("f", "Only T = 3"),
            ("view", "one letter"),
            (4, "one letter"),
        ],
    ),
    "quiz_se": (
        ["d", "D"],
        ...,
        [
            ("a", "nothing raises"),
            ("b", "loss falls"),
            ("c", "does not prove"),
            ("e", "state dict"),
            ("f", "says nothing"),
            ("", "one letter"),
        ],
    ),
    "quiz_lstm": (
        ["f", "F"],
        ...,
        [
            ("a", "since torch 1.11"),
            ("b", "no such warning"),
            ("c", "raises nothing"),
            ("d", "dropout and batch norm"),
            ("e", "the loss falls"),
            (None, "one letter"),
        ],
    ),
    "stands_alone": (
        [learns_alone, changes_alone],
        lambda model, x: ...,
        [
            (lambda model, x: True, "says True for a model whose hook remembers", "Always True."),
            (
                lambda model, x: False,
                "says False for a model without hooks",
                "Always False, or another test that everything fails.",
            ),
            (
                lambda model, x: not model.block._forward_hooks,
                "says False for a model whose hook",
                "Forbids every hook. Which hook did no harm?",
            ),
            (
                lambda model, x: copy.deepcopy(model)(x).equal(model(x)),
                "says True for a model wh",
                "Compared copy and model as they are. What must change before a difference can "
                "show?",
            ),
            (
                lambda model, x: changes_alone(model, x, restore=False),
                "other weights or statistics",
                "Zeroed the original, and left it so. Which experiment of the lesson changes no "
                "weight?",
            ),
            (
                lambda model, x: 1,
                "expected True or False, got 1",
                "Returned a number or a tensor, not a bool.",
            ),
            (lambda model, x: None, "is a `return` missing?", NO_RETURN),
        ],
    ),
    "comes_back": (
        [comes_back],
        lambda make, model, x: ...,
        [
            (
                lambda *a: comes_back(*a, load=False),
                "says False for a model that comes back complete",
                "Built a second network and gave it no weights, or forgot `eval()`: dropout is on.",
            ),
            (
                lambda make, model, x: copy.deepcopy(model).eval()(x).allclose(model.eval()(x)),
                "a factor that is not in the state dict",
                "Compared a deep copy, or names and shapes. What does `make` leave out?",
            ),
            (
                lambda *a: comes_back(*a, strict=False),
                "some belong to no layer",
                "`strict=False`, and the answers happen to agree.",
            ),
            (
                lambda *a: comes_back(*a, catch=ValueError),
                "raised RuntimeError",
                "Weights of another width raise. What is the answer then?",
            ),
            (
                lambda make, model, x: model.load_state_dict(make().state_dict()) is None,
                "other weights or statistics",
                "Loaded the other way round: the model lost its own weights.",
            ),
            (
                lambda make, model, x: bool(model.train()(x).sum() > 0),
                "other weights or statistics",
                "Called in training mode: batch norm updates its statistics.",
            ),
            (lambda make, model, x: make().eval()(x), "expected True or False", "A tensor."),
            (lambda make, model, x: None, "is a `return` missing?", NO_RETURN),
        ],
    ),
    "even": (
        [
            lambda words, n: [i * words // n for i in range(n)],
            lambda words, n: [(2 * i + 1) * words // (2 * n) for i in range(n)],
            sampler.uniform,
            lambda words, n: torch.tensor(sampler.uniform(words, n)),
        ],
        lambda words, n: ...,
        [
            (
                program("07_review_short_clips_and_gates", "program-stretch")["stretch"],
                "are lost",
                "The program as it was. How many words are there before the cut, and which are "
                "cut off?",
            ),
            (
                sampler.document,
                "taken [3, 1] times",
                "The document's rule: rounded up, then cut. Who gets the share of the last word?",
            ),
            (
                lambda words, n: torch.linspace(0, words - 1, n).long().tolist(),
                "much more than",
                "`linspace`, rounded down. When is the last word taken?",
            ),
            (lambda words, n: sampler.uniform(words, n)[::-1], "out of order"),
            (
                lambda words, n: [i % words for i in range(n)],
                "out of order",
                "Begins again at the first word. Is that still the order of the sentence?",
            ),
            (
                lambda words, n: [i * words / n for i in range(n)],
                "whole numbers",
                "A division that leaves fractions. Which one gives whole numbers?",
            ),
            (
                lambda words, n: sorted(i % words for i in range(n)),
                "not spread",
                "Sorted what begins again: with forty words only the first are left. Try "
                "`even(40, 16)`.",
            ),
            (
                lambda words, n: sampler.uniform(words, n + 1),
                "instead of",
                "Another number of indices. How many does the reader want?",
            ),
            (
                lambda words, n: [min(i, words - 1) for i in range(n)],
                "much more than",
                "Filled up with the last word. How often is it taken?",
            ),
            (lambda words, n: [i // (n // words) for i in range(n)], "ZeroDivisionError"),
        ],
    ),
    "loses": (
        [
            lambda rule: [T for T in range(1, 17) if set(range(T)) - set(rule(T))],
            lambda rule: (T for T in range(16, 0, -1) if len(set(rule(T))) < T),
        ],
        lambda rule: ...,
        [
            (
                lambda rule: [T for T in range(1, 17) if T - 1 not in rule(T)],
                "yours does not say so",
                "Asks for the last frame only. Which other frames may a rule leave out?",
            ),
            (
                lambda rule: [T for T in range(1, 16) if set(range(T)) - set(rule(T))],
                "lengths [16]",
                "`range(1, 16)` ends at 15. Is sixteen among your lengths?",
            ),
            (
                lambda rule: [T for T in range(1, 33) if set(range(T)) - set(rule(T))],
                "and you say",
                "Goes on beyond sixteen frames, where some must be left out.",
            ),
            (
                lambda rule: [T for T in range(1, 17) if len(rule(T)) != T],
                "and you say",
                "Counts places, not frames: one frame may have several.",
            ),
            (
                lambda rule: len(rule(13)),
                "expected a list of lengths",
                "A number. At which lengths?",
            ),
        ],
    ),
    "quiz_review": (
        ["d", " D) "],
        ...,
        [
            ("a", "one and the same network"),
            ("b", "both times"),
            ("c", "though it is bad"),
            ("e", "nothing wrong"),
            ("f", "between the modes"),
            (4, "one letter"),
        ],
    ),
    "frames_needed": (
        [first_that_sees],
        lambda num_frames, length: ...,
        [
            (
                lambda num_frames, length: num_frames // length or 1,
                "too few",
                "Divided and rounded down. Try a length that does not divide the video.",
            ),
            (
                lambda num_frames, length: num_frames,
                "The fewest, please",
                "Took every frame. Would fewer do?",
            ),
            (
                lambda num_frames, length: first_that_sees(num_frames, length) + 1,
                "and so are",
                "One more, to be on the safe side. Would fewer do?",
            ),
            (lambda num_frames, length: num_frames / length, "whole number", "Left a fraction."),
            (lambda num_frames, length: 0, "one frame or more"),
            (lambda num_frames, length: None, "`return` missing", NO_RETURN),
        ],
    ),
    "quiz_clip": (
        ["c", "C"],
        ...,
        [
            ("a", "looks along time"),
            ("b", "what learns"),
            ("d", "nothing raises"),
            ("e", "in the table"),
            ("f", "the same time"),
            ("g", "one letter"),
        ],
    ),
    "one_draw": (
        [shift_once, lambda frames: shift_once(frames.clone())],
        lambda frames: ...,
        [
            (
                SHAKE["shake"],
                "some values rise and others fall",
                "At least one of the two bugs is still there. How many numbers are drawn for a "
                "clip?",
            ),
            (
                lambda frames: (frames.float() + torch.randint(-40, 41, ())).clamp(0, 255),
                "float32",
                "Did not go back to `uint8`.",
            ),
            (
                lambda frames: frames + torch.randint(1, 41, ()).byte(),
                "rise and others fall",
                "Added in `uint8`. How much is 250 + 10 there?",
            ),
            (
                lambda frames: shift_once(frames, lambda: 10 * random.random()),
                "another draw",
                "Drew with Python's `random`. Which seed repeats that?",
            ),
            (lambda frames: shift_once(frames, lambda: 20), "Draw again", "Draws nothing."),
            (
                lambda frames: shift_once(frames, lambda: torch.randint(-99, 99, ())),
                "at most 40",
                "Draws from too far. How much is allowed?",
            ),
            (
                lambda frames: shift_once(frames, lambda: torch.randint(0, 41, ())),
                "Draw again",
                "Only ever brighter. Which draws make it darker?",
            ),
            (lambda frames: shift_once(frames[:1]), "expected [T, C, H, W]"),
            (
                lambda frames: frames.add_(1),
                "leave it as it was",
                "Changed the caller's clip. Which of your lines writes in place?",
            ),
            (
                flicker_upwards,
                "flickers",
                "One draw for every frame. How many numbers should be drawn for a clip?",
            ),
        ],
    ),
    "quiz_label": (
        ["e"],
        ...,
        [
            ("a", "mirror"),
            ("b", "bad light"),
            ("c", "closer"),
            ("d", "slower"),
            ("f", "loses a frame"),
        ],
    ),
    "honest": (
        [lambda val, test: test.gather(0, val.argmax(0, keepdim=True)).mean()],
        lambda val, test: ...,
        [
            (
                lambda val, test: val.amax(0).mean(),
                "so too high",
                "The winners' validation scores. Who chose the winners?",
            ),
            (
                lambda val, test: test.amax(0).mean(),
                "were used to choose",
                "Chose by the test scores. Which people are left for an honest score?",
            ),
            (
                lambda val, test: test.mean(1).max(),
                "best on the test people",
                "The best row on test. Who chose it?",
            ),
            (
                lambda val, test: test[val.mean(1).argmax()].mean(),
                "for all splits",
                "One winner for all splits. Whose scores were used for that choice?",
            ),
            (
                lambda val, test: test.mean(),
                "without a choice",
                "The mean over everything. Where is a setting chosen?",
            ),
            (
                lambda val, test: test[val.argmax(0)].mean(),
                "its own column only",
                "`test[chosen]`. What is its shape, and what shape should it have?",
            ),
            (
                lambda val, test: val.gather(0, test.argmax(0)[None]).mean(),
                "swapped",
                "Exchanged the two. Which people choose, and which give the score?",
            ),
            (
                lambda val, test: test.gather(0, val.argmax(0)[None]),
                "one number",
                "No mean over the splits yet.",
            ),
            (lambda val, test: 0.5, "for the example with seed"),
        ],
    ),
    "quiz_tuning": (
        ["c"],
        ...,
        [
            ("a", "a second effect"),
            ("b", "half of all searches"),
            ("d", "does not change"),
            ("e", "five hundred"),
            ("f", "too high"),
        ],
    ),
    "over_people": (
        [over_people, over_people_slowly],
        untouched,
        [
            (
                draw_clips,
                "Did you draw clips",
                "Drew clips. Does one clip of a person tell you nothing about the next?",
            ),
            (
                lambda *a: over_people(*a, replace=False),
                "every draw has the same score",
                "Drew without replacement. Who is missing in a draw?",
            ),
            (
                lambda *a: over_people(*a, people=5),
                "as many people as there are",
                "Drew fewer people. How many are in the data?",
            ),
            (
                lambda *a: over_people(*a)[:-1],
                "one per draw",
                "Another number of scores than draws.",
            ),
            (
                one_clip_each,
                "all hits over all clips",
                "One clip of each person. Where are the others?",
            ),
            (
                mean_of_means,
                "all hits over all clips",
                "A mean for each person, then a mean of means. What does a person with four "
                "clips count?",
            ),
            (lambda *a: over_people(*a) - 0.1, "the score of the whole set"),
            (lambda *a: over_people(*a) * 100, "lies between 0 and 1", "Percent."),
            (lambda *_: "high", "expected 600 numbers"),
        ],
    ),
    "quiz_faces": (
        ["c", "c)", "C"],
        ...,
        [
            ("a", "were like the others"),
            ("b", "drawn at random"),
            ("d", "choice of clips"),
            ("e", "rise or fall"),
            ("f", "what is cut"),
        ],
    ),
    "weigh": (
        [weigh],
        untouched,
        [
            (
                lambda f, g: (g.mean((1, 2, 3), keepdim=True) * f).sum(0),
                "below zero at some places",
                "No ReLU.",
            ),
            (
                lambda f, g: (g * f).sum(0).relu(),
                "place by place",
                "Multiplied gradient and features as they are. How many weights has a channel?",
            ),
            (
                lambda f, g: (g.mean((1, 2, 3), keepdim=True) * f).relu().sum(0),
                "Sum first",
                "ReLU before the sum. What becomes of a channel that speaks against it?",
            ),
            (lambda f, g: weigh(f, g) / 6, "averaged over the channels", "Mean in place of sum."),
            (lambda f, g: weigh(f, g) * 40, "sum over places", "Summed the gradient."),
            (
                lambda f, g: f.sum(0).relu(),
                "no influence",
                "Never used the gradient.",
            ),
            (lambda f, g: (g.mean((1, 2, 3), keepdim=True) * f).sum(0).abs(), "absolute value"),
            (lambda f, g: weigh(g, f), "other numbers"),
            (lambda f, g: weigh(f.mul_(2), g), "leave them as they were"),
            (lambda f, g: f * g.mean((1, 2, 3), keepdim=True), "expected [T, H, W]", "No sum."),
        ],
    ),
    "quiz_map": (
        ["b", "B)"],
        ...,
        [
            ("a", "names places"),
            ("c", "dark is zero"),
            ("d", "not what is there"),
            ("e", "pass the test"),
            ("f", "is based on"),
        ],
    ),
    "gather": (
        [gather, gather_by_sum],
        untouched,
        [
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: 1),
                "these are summed",
                "Added the losses up as they are. What is each of them a mean of?",
            ),
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: 1 / k),
                "like one of four",
                "Divided by the number of micro-batches. Are they equally large?",
            ),
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: 1 / of),
                "number of clips twice",
                "Divided each mean by the number of all clips. What was it a mean of?",
            ),
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: n),
                "sums over clips",
                "Multiplied by the clips, and did not divide. By what?",
            ),
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: 1 / n),
                "a mean already",
                "Divided by the clips of each. Has `loss` not done that?",
            ),
            (lambda m, c, b: gather(m, c, b, lambda n, of, k: 2 * n / of), "wrong by 100%"),
            (
                lambda m, c, b: gather(m, c, b, lambda n, of, k: 1, forget=True),
                "only the last",
                "`zero_grad` in the loop. What does `backward` do to a gradient that is there?",
            ),
            (
                lambda m, c, b: gather(m, c, b, forget=True),
                "with its weight",
                "`zero_grad` in the loop; the weights are right.",
            ),
            (lambda m, c, b: m, "no gradient is left", "No `backward`, or `zero_grad` at the end."),
        ],
    ),
    "quiz_scale": (
        ["c", "c)", "C"],
        ...,
        [
            ("a", "averaged over the processes"),
            ("b", "still sees batch_size clips"),
            ("d", "the same weights"),
            ("e", "as many clips as before"),
            ("f", "the first process"),
        ],
    ),
}

RIGHT = [(name, i) for name, (right, _, _) in CASES.items() for i in range(len(right))]
WRONG = [(name, i) for name, (_, _, wrong) in CASES.items() for i in range(len(wrong))]


def verdict(capsys, name, answer):
    assert getattr(checks, name)(answer) is None
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "i"), RIGHT)
def test_a_right_answer_is_right(capsys, name, i):
    assert verdict(capsys, name, CASES[name][0][i]).startswith("Right: ")


@pytest.mark.parametrize("name", CASES)
def test_an_untouched_stub_is_not_attempted(capsys, name):
    assert verdict(capsys, name, CASES[name][1]).startswith("Not attempted: ")


@functools.cache
def told(name, i):
    """What the check prints for a wrong answer."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert getattr(checks, name)(CASES[name][2][i][0]) is None
    return out.getvalue()


@pytest.mark.parametrize(("name", "i"), WRONG)
def test_a_wrong_answer_is_explained(name, i):
    """Without it: a learner is told "wrong" and not why, or a wrong answer is praised."""
    _, reason, *_ = CASES[name][2][i]
    said = told(name, i)
    assert said.startswith("Not yet: ")
    assert reason in said


def test_every_check_meets_five_wrong_answers():
    """Without it: a check that was tested only with the right answer."""
    files = [
        importlib.import_module(f"{checks.__name__}.{file.name}")
        for file in pkgutil.iter_modules(checks.__path__)
    ]
    ours = {
        name
        for file in files
        for name, f in vars(file).items()
        if hasattr(f, "__wrapped__") and f.__module__ == file.__name__
    }
    assert ours == set(checks.__all__) == set(CASES)
    assert all(len(wrong) >= 5 for _, _, wrong in CASES.values())
    told = {name: sum(len(case) == 3 for case in wrong) for name, (_, _, wrong) in CASES.items()}
    assert all(number >= 5 for name, number in told.items() if not name.startswith("quiz")), told


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("quiz")])
def test_messages_of_one_check_differ(name):
    assert len({told(name, i) for i in range(len(CASES[name][2]))}) >= 5


def test_the_page_of_answers_is_up_to_date():
    """Without it: an instructor looks for words that no check says any more."""
    from tools import answers  # which imports this file

    assert answers.PAGE.read_text(encoding="utf-8") == answers.page(), "python -m tools.answers"


def exercises():
    names = lessons.START + lessons.WITH_EXERCISES + lessons.EXPERIMENTS + lessons.PRACTICE
    return [(name, tag) for name in names for tag in lessons.solutions(name)]


def test_every_exercise_has_its_solution():
    for name in lessons.START + lessons.WITH_EXERCISES + lessons.EXPERIMENTS + lessons.PRACTICE:
        tags = [tag for cell in lessons.load(name).cells for tag in lessons.tags(cell)]
        assert list(lessons.solutions(name)) == [t for t in tags if t.startswith("exercise-")]
        assert len(lessons.solutions(name)) >= (3 if name in lessons.BUG_LESSONS else 2)


@pytest.mark.parametrize(("name", "tag"), exercises())
def test_the_folded_solution_is_right(capsys, name, tag):
    """Without it: the solution on the page fails its own check."""
    source, code = lessons.solutions(name)[tag]
    call = source.strip().splitlines()[-1]
    assert call.startswith("checks.")
    space = {
        "copy": copy,
        "nn": nn,
        "sampler": sampler,
        "torch": torch,
        "checks": checks,
        "GatedUNet": UNET,
        "VoiceEmotion": VOICE,
    }
    exec(f"{code}\n{call}", space | {"SqueezeExcitation3d": SqueezeExcitation3d})
    assert capsys.readouterr().out.startswith("Right: ")


@pytest.mark.parametrize(("name", "tag"), exercises())
def test_the_page_shows_a_stub_that_is_not_attempted(name, tag):
    """Without it: an answer is committed by mistake, or Run All stops."""
    assert lessons.stored_text(name, tag).startswith("Not attempted: ")


def test_the_transformer_has_the_bug_that_the_exercise_is_about():
    x = torch.arange(2 * 48 * 6 * 7.0).view(2, 48, 6, 7)
    model = TRANSFORMER["TinyTransformer"]()
    model.patches, seen = nn.Identity(), []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(x)
    assert seen[0].equal(x.reshape(2, 42, 48))


def test_an_answer_that_nobody_has_thought_of_raises_nothing(capsys):
    class Odd(SqueezeExcitation3d):
        gate = None

    assert "cannot be checked" in verdict(
        capsys, "gate_layer", lambda layer: gated(layer, odd(Odd))
    )


def odd(kind):
    def make(width):
        se = kind(width)
        se.forward = lambda features: features * se.expand(se.reduce(se.squeeze(features)))
        return se

    return make
