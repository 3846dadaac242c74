"""Lesson 03: The LSTM that had nothing to remember."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from .grading import Wrong, check, expect_module, expect_tensor, grade, run_answer


@check
def quiz_lstm(answer: object) -> str:
    """An LSTM gets features ``[B, 512]``; when does PyTorch say so?"""
    reasons = {
        "a": "since torch 1.11 a two-axis input is a legal unbatched sequence [T, F]. Older "
        "versions raised 'input must have 3 dimensions, got 2'.",
        "b": "there is no such warning: the shapes are legal, only the meaning is wrong.",
        "c": "the output is [B, 256]: just what a classifier takes. The loss gets B rows and B "
        "labels and raises nothing.",
        "d": "`eval()` switches dropout and batch norm; the axes stay as they are.",
        "e": "the loss falls: the LSTM can pass each row on and learn from it.",
        "f": "PyTorch never says so. You have to test it: does the answer for one person change "
        "with the others in the batch?",
    }
    return grade(answer, "f", reasons)


@check
def keep_time(answer: object) -> str:
    """``answer(backbone, video [B, C, T, H, W])`` must give features ``[B, T', 512]``."""
    backbone = r3d_18().eval()
    backbone.fc = nn.Identity()  # pyrefly: ignore[bad-assignment]
    video = torch.rand(3, 3, 9, 49, 65)  # the smallest whose axes differ behind layer4
    result = run_answer(answer, backbone, video)
    trunk = (getattr(backbone, n) for n in ("stem", "layer1", "layer2", "layer3", "layer4"))
    with torch.no_grad():
        maps = nn.Sequential(*trunk)(video)  # [B=3, 512, T'=2, h=4, w=5]
    pooled = maps.mean((2, 3, 4))
    if isinstance(result, Tensor):
        if list(result.shape) == [3, 512]:
            raise Wrong(
                "[B, 512] has no time axis. An LSTM would read it as one sequence of B steps: "
                "this is the bug of the lesson."
            )
        if list(result.shape) == [3, 1, 512]:
            raise Wrong(
                "[B, 1, 512] is a sequence of one step. The time that was averaged away does not "
                "come back with `unsqueeze`: this is the bug of the lesson."
            )
        if list(result.shape) == [2, 3, 512]:
            raise Wrong("time comes first; the lesson's LSTM has batch_first=True.")
    result = expect_tensor(result, {"B": 3, "T'": 2, "F": 512}, h=4, w=5)
    right = rearrange(maps.mean((3, 4)), "b f t -> b t f")
    if result.allclose(pooled[:, None].expand(3, 2, 512), atol=1e-5):
        raise Wrong("both steps are the same: the average over time, twice.")
    if result.allclose(maps.mean((3, 4)).reshape(3, 2, 512), atol=1e-5):
        raise Wrong(
            "the shape is right, but `view` or `reshape` has cut [B, 512, T'] again instead of "
            "moving an axis: lesson 01."
        )
    if result.allclose(right.flip(1), atol=1e-5):
        raise Wrong("the steps run backwards.")
    if not result.allclose(right, atol=1e-5):
        raise Wrong(
            "the shape is right and the numbers are not: stop after layer4, average over height "
            "and width only, then move time in front of the features."
        )
    if not result.requires_grad:
        raise Wrong("the numbers are right, but no gradient reaches the backbone any more.")
    expect_tensor(run_answer(answer, backbone, video[:1]), {"B": 1, "T'": 2, "F": 512})
    longer = torch.rand(1, 3, 17, 32, 32)
    expect_tensor(run_answer(answer, backbone, longer), {"B": 1, "T'": 3, "F": 512})
    return "two steps in time, each with 512 features averaged over space alone."


@check
def voice(answer: object) -> str:
    """A fixed ``VoiceEmotion`` must read time as time, and each recording independently."""
    model = expect_module(answer, "features", "gru", "head")
    sound = torch.rand(4, 40, 28, generator=torch.Generator().manual_seed(0))
    logits = expect_tensor(run_answer(model, sound), {"B": 4, "emotions": 6}, T=7)
    alone = [expect_tensor(run_answer(model, one[None]), {"B": 1, "emotions": 6}) for one in sound]
    if not torch.cat(alone).allclose(logits, atol=1e-5):
        raise Wrong(
            "a recording alone and the same recording with others get different answers. The GRU "
            "still works along the batch: its input needs [B, T, F], and batch_first is True."
        )
    steps = model.features(sound).transpose(1, 2)  # [B, T', F]
    outputs = model.gru(steps)[0]
    scrambled = model.gru(steps.transpose(1, 2).reshape(steps.shape))[0]
    if logits.allclose(model.head(scrambled[:, -1]), atol=1e-5):
        raise Wrong("`view` or `reshape` cut [B, F, T] again instead of moving an axis: lesson 01.")
    if logits.allclose(model.head(outputs[:, 0]), atol=1e-5):
        raise Wrong("this takes the first step's output, before the GRU has read the rest.")
    model.zero_grad()
    logits.square().mean().backward()
    memory = model.gru.weight_hh_l0.grad  # pyrefly: ignore[missing-attribute]
    if memory is None:
        raise Wrong(
            "the GRU gets no gradient: it is not used any more. To leave it out can be a good fix, "
            "but here the exercise is to give it a time axis."
        )
    if not memory.any():
        raise Wrong(
            "the GRU's memory (weight_hh) has a gradient of exactly zero: it sees one step only. "
            "`unsqueeze` makes an axis of length one; keep the real one."
        )
    same = model.gru(steps.mean(1, keepdim=True).expand_as(steps))[0]
    if logits.allclose(model.head(same[:, -1]), atol=1e-5):
        raise Wrong("the GRU gets the average over time at every step: no step is new to it.")
    summaries = (outputs[:, -1], outputs.mean(1), outputs.amax(1))
    if not any(logits.allclose(model.head(summary), atol=1e-5) for summary in summaries):
        raise Wrong(
            "it runs, but the result is not the head's answer to the GRU's last step (or to the "
            "mean or maximum over its steps) on features as [B, T, F]."
        )
    return "time is time, and no answer depends on the other clips in the batch."
