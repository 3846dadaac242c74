"""Checks of the exercises and quizzes in the lessons.

Every check takes an answer and prints one paragraph: "Right", "Not attempted" where the stub is
untouched, or "Not yet" and why. None of them raises, so that Run All goes on.
"""

import copy
import functools
import operator
from collections.abc import Callable, Mapping
from itertools import count, product

import torch
from einops import rearrange
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from .. import sampler
from ..model import SqueezeExcitation3d

# What a learner's own code may die of, and what that means.
_REASONS = {
    "is not equal to len(dims)": "The tensor has another number of axes than the order you ask "
    "for: this is the bug of lesson 01. Split the merged axis first, then permute.",
    "has no attribute 'out_channels'": "This is the bug of lesson 02: the name belongs to a "
    "convolution, and what you hold only contains one. Print it and see where.",
    "has no attribute 'bn2'": "This is the bug of lesson 02: the 2-D block has that name, the "
    "video block does not. Print it.",
    "channels, but got": "A convolution read another axis as channels, or was built for another "
    "width.",
    "is invalid for input of size": "The sizes you ask for do not multiply to the numbers there "
    "are. Did a letter come from an earlier cell? Read the sizes off the input.",
    "must be equal to input_size": "A recurrent layer takes the last axis for features; something "
    "else stands there. Move the axis.",
    "Dimension out of range": "There are fewer axes than you count: print the shape. (A network's "
    "own forward may flatten at the end.)",
    "must match the size of tensor": "Two tensors meet whose shapes do not fit; print both.",
    "Sizes of tensors must match": "Two tensors meet whose shapes do not fit; print both.",
}


class _Wrong(Exception):
    """An answer that is not right yet; the message says why."""


class _Untouched(Exception):
    """The stub as the lesson ships it."""


def _check(check: Callable[[object], str]) -> Callable[[object], None]:
    """Print what ``check`` returns (praise) or raises (a reason)."""

    @functools.wraps(check)
    def wrapper(answer: object) -> None:
        try:
            if answer is ...:
                raise _Untouched
            print("Right:", check(answer))
        except _Untouched:
            print("Not attempted: put your answer in place of the three dots and run this again.")
        except _Wrong as wrong:
            print("Not yet:", wrong)
        except Exception as error:  # an answer that nobody has thought of
            print(f"Not yet: the answer cannot be examined, {type(error).__name__}: {error}")

    return wrapper


def _call(function: Callable, *arguments: object) -> object:
    """Call a learner's code; whatever it dies of becomes a reason."""
    if not callable(function):
        raise _Wrong(f"a {type(function).__name__} cannot be called; pass what you defined above.")
    try:
        result = function(*arguments)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0].rstrip(".")
        why = next((text for key, text in _REASONS.items() if key in str(error)), "")
        raise _Wrong(f"your code raised {type(error).__name__}: {first}. {why}".strip()) from error
    if result is ...:
        raise _Untouched
    if result is None:
        raise _Wrong("your code gave None; is a `return` missing?")
    return result


def _module(answer: object, *names: str) -> nn.Module:
    """Insist on the mended program, with the parts that it had."""
    if isinstance(answer, type):
        answer = answer()
    missing = [name for name in names if not hasattr(answer, name)]
    if not isinstance(answer, nn.Module) or missing:
        raise _Wrong(f"pass the mended model; it should still have {', '.join(names)}.")
    return answer


def _tensor(result: object, shape: Mapping[str, int], **others: int) -> Tensor:
    """Insist on a tensor of this shape; ``others`` are axes that should be gone."""
    wanted = f"[{', '.join(shape)}] = {list(shape.values())}"
    if not isinstance(result, Tensor):
        raise _Wrong(f"expected a tensor {wanted}, got a {type(result).__name__}.")
    if list(result.shape) != list(shape.values()):
        letters = {size: letter for letter, size in {**others, **shape}.items() if size > 1}
        seen = [letters.get(size, "?") for size in result.shape]
        looks = "" if "?" in seen else f", which looks like [{', '.join(seen)}]"
        got = f"{list(result.shape)}{looks}"
        raise _Wrong(f"expected {wanted}, got {got}. Name your axes one by one.")
    return result


def _quiz(answer: object, right: str, reasons: Mapping[str, str]) -> str:
    """Mark one letter; ``reasons`` says of every letter why it is right or wrong."""
    letter = answer.strip(" ).").lower() if isinstance(answer, str) else answer
    if letter not in reasons:
        raise _Wrong(f"answer with one letter in quotes, {', '.join(reasons)}; got {answer!r}.")
    if letter != right:
        raise _Wrong(reasons[letter])
    return reasons[letter]


# Lesson 01


@_check
def quiz_permute(answer: object) -> str:
    """Which of six changes to the model runs at T = 3 and scrambles the video unseen?"""
    reasons = {
        "a": "`permute` with five axes on a four-axis tensor raises at once, whatever the sizes "
        "are. A crash is the kindest bug.",
        "b": "with one picture per video the model gives B*T rows of logits, and the loss asks "
        "why there are only B labels. It is caught, though late.",
        "c": "one long video gives one row of logits. The library's loss complains; only a "
        "broadcasting loss of your own would not. But no frame is scrambled in it.",
        "d": "`view` gives exactly the shape that is expected, for every T, and puts planes of "
        "different frames together. No shape check can see it.",
        "e": "this is the right one: it moves an axis and takes the planes along.",
        "f": "without any permute the T = 16 frames stand where 3 colours should, and the first "
        "convolution complains. Only T = 3 hides it, and then for that size alone.",
    }
    return _quiz(answer, "d", reasons)


@_check
def from_frames(answer: object) -> str:
    """``answer(frames [B*T, C, H, W], B, T)`` must give ``[B, C, T, H, W]``."""
    shape = {"B": 2, "C": 7, "T": 5, "H": 4, "W": 6}
    video = torch.arange(2 * 5 * 7 * 4 * 6.0).view(2, 5, 7, 4, 6)  # every number only once
    result = _tensor(_call(answer, video.flatten(0, 1), 2, 5), shape)
    for b, c, t in torch.cartesian_prod(*map(torch.arange, (2, 7, 5))).tolist():
        if result[b, c, t].equal(video[b, t, c]):
            continue
        _explain_plane(result[b, c, t], video, b, t, c)
    return "every plane is where its video, frame and channel say, in 70 of 70 places."


def _explain_plane(plane: Tensor, video: Tensor, b: int, t: int, c: int) -> None:
    """Say which plane of ``video`` stands where video ``b``, frame ``t``, channel ``c`` should."""
    should = f"result[{b}, {c}, {t}] should be video {b}, frame {t}, channel {c}"
    found = [
        place
        for place in torch.cartesian_prod(*map(torch.arange, video.shape[:3])).tolist()
        if plane.equal(video[*place])
    ]
    if not found:
        raise _Wrong(f"the shape is right, but {should}, and it is no plane of the input at all.")
    ob, ot, oc = found[0]
    raise _Wrong(
        f"the shape is right, but {should}, and it is video {ob}, frame {ot}, channel {oc}. `view` "
        "and `reshape` only cut the row of numbers anew; they never move an axis. Use them to "
        "split B*T, in the order in which it was merged, and `permute` to move."
    )


@_check
def to_tokens(answer: object) -> str:
    """``answer(features [B, D, h, w])`` must give patch tokens ``[B, N = h*w, D]``, row by row."""
    B, D, h, w = 6, 5, 3, 4
    features = torch.arange(float(B * D * h * w)).view(B, D, h, w)
    result = _tensor(_call(answer, features), {"B": B, "N": h * w, "D": D})
    right = rearrange(features, "b d h w -> b (h w) d")
    if result.equal(rearrange(features, "b d h w -> b (w h) d")):
        raise _Wrong(
            "every token is whole, but they come column by column; the position embedding counts "
            "row by row. Keep h before w."
        )
    if result.equal(features.reshape(B, h * w, D)):
        raise _Wrong(
            "this still cuts the numbers anew without moving an axis, as the program did: token 0 "
            f"holds {D} patches of channel 0 instead of {D} channels of patch 0."
        )
    for n in range(h * w):
        if not result[:, n].equal(right[:, n]):
            raise _Wrong(
                f"token {n} should hold the {D} channels of the patch in row {n // w}, column "
                f"{n % w}: features[:, :, {n // w}, {n % w}]. It holds something else. Move "
                "the channels last; then merge h and w."
            )
    return "each token is one patch with all its channels, row by row."


# Lesson 02


@_check
def quiz_se(answer: object) -> str:
    """What does training show when SE modules are attached but never called?"""
    reasons = {
        "a": "nothing raises: a module that nobody calls is only a name with weights.",
        "b": "the loss falls as it would without SE; the backbone learns on its own.",
        "c": "the number of parameters went up, for they are registered. That is just why the "
        "count reassures and proves nothing.",
        "d": "the gradients of the gates stay None, and zeros in their place change no output. "
        "Nothing shows it unless you ask.",
        "e": "they are saved and loaded without complaint: the state dict asks what is attached, "
        "not what is used.",
        "f": "an optimizer skips a parameter without a gradient in silence.",
    }
    return _quiz(answer, "d", reasons)


@_check
def gate_layer(answer: object) -> str:
    """``answer(layer)`` must give a module that runs SE after every block of a layer."""
    for name, channels in (("layer2", 64), ("layer3", 128)):
        layer = getattr(r3d_18(), name).eval()
        blocks = copy.deepcopy(list(layer))  # hooks would gate the reference, too
        gated = _call(answer, layer)
        if not isinstance(gated, nn.Module):
            raise _Wrong(f"expected a module, got a {type(gated).__name__}.")
        features = torch.rand(2, channels, 2, 6, 4)
        result = _call(gated.eval(), features)
        gates = [m for m in gated.modules() if isinstance(m, SqueezeExcitation3d)]
        _explain_gates(name, gated, blocks, gates, features, result)
    return "two gates in each layer, as wide as their blocks; each learns and each matters."


def _explain_gates(
    name: str,
    gated: nn.Module,
    blocks: list[nn.Module],
    gates: list[SqueezeExcitation3d],
    features: Tensor,
    result: Tensor,
) -> None:
    if len(gates) != len(blocks):
        raise _Wrong(
            f"{name} has {len(blocks)} blocks and your module holds {len(gates)} different "
            "SqueezeExcitation3d. Each block needs one, in a Sequential or as an attribute."
        )
    result.square().mean().backward()
    for number, gate in enumerate(gates):
        if any(parameter.grad is None for parameter in gate.parameters()):
            raise _Wrong(
                f"gate {number} of {name} is attached, but its parameters got no gradient: nobody "
                "calls it, what it returns is thrown away, or it is detached on the way. (A hook "
                "written in a loop sees the loop's last variable, not its own.)"
            )
    with torch.no_grad():
        right = features
        for number, (block, gate) in enumerate(zip(blocks, gates, strict=True)):
            right = block(right)
            if right.shape[1] != gate.reduce.in_channels:
                raise _Wrong(
                    f"gate {number} of {name} is {gate.reduce.in_channels} channels wide, and its "
                    f"block gives {right.shape[1]}. Does it stand in front of the block?"
                )
            right = right * gate.gate(right)
        for number, gate in enumerate(gates):
            before, gate.scale = gate.scale, torch.zeros(())
            changed = not gated(features).allclose(result)
            gate.scale = before
            if not changed:
                raise _Wrong(f"gate {number} of {name} set to zero changes nothing in the output.")
    if not result.allclose(right, atol=1e-6):
        raise _Wrong(
            f"the gates of {name} work, but not once each, after each block: the result is not "
            "gate1(block1(gate0(block0(features)))). Do they act inside the block, or twice?"
        )


@_check
def gated_unet(answer: object) -> str:
    """A mended ``GatedUNet`` must scale the skip connection, and only that, by its gate."""
    unet = _module(answer, "down", "gate", "bottom", "up", "head")
    image = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    result = _tensor(_call(unet, image), {"B": 2, "C": 1, "H": 8, "W": 12})
    skip = unet.down(image)
    below = unet.up(unet.bottom(skip))
    gate = unet.gate(skip)

    def decode(skip: Tensor, below: Tensor) -> Tensor:
        return unet.head(torch.cat([skip, below], 1))

    if result.allclose(decode(skip, below), atol=1e-6):
        raise _Wrong(
            "the result is the same as without any gate: its output is thrown away, multiplied by "
            "zero, or never computed. The program as you found it had this bug."
        )
    if result.allclose(decode(skip, below * gate), atol=1e-6):
        raise _Wrong("the gate scales what comes from below; it belongs to the skip connection.")
    if result.allclose(decode(skip * gate, unet.up(unet.bottom(skip * gate))), atol=1e-6):
        raise _Wrong("the way down gets the gated features, too; only the skip should.")
    if result.allclose(decode(skip * gate * gate, below), atol=1e-6):
        raise _Wrong("the gate is applied twice.")
    if result.allclose(decode(skip + gate, below), atol=1e-6):
        raise _Wrong("the gate is added. A gate is a factor: 0 closes, 1 leaves as it is.")
    if not result.allclose(decode(skip * gate, below), atol=1e-6):
        raise _Wrong(
            "the gate has an effect, but not just that of a factor, computed from the skip, on the "
            "skip. The rest of the program was right, down to the order in `cat`."
        )
    unet.zero_grad()
    result.mean().backward()
    if any(parameter.grad is None for parameter in unet.gate.parameters()):
        raise _Wrong(
            "the output is right, but the gate got no gradient and can never learn: is there a "
            "`detach`, `item` or `no_grad` on the way?"
        )
    return "the skip is scaled, the gate learns, and nothing else has changed."


# Lesson 03


@_check
def quiz_lstm(answer: object) -> str:
    """An LSTM gets features ``[B, 512]``; when does PyTorch say so?"""
    reasons = {
        "a": "since torch 1.11 a two-axis input is a legal unbatched sequence [T, F]. Older "
        "versions raised 'input must have 3 dimensions, got 2'.",
        "b": "there is no such warning: the shapes are legal, only the meaning is wrong.",
        "c": "the output is [B, 256]: just what a classifier wants. The loss sees B rows and B "
        "labels and asks no more.",
        "d": "`eval()` switches dropout and batch norm; the axes stay as they are.",
        "e": "the loss falls: the LSTM can pass each row on and learn from it.",
        "f": "nothing ever says so. You have to ask: does my answer for one person change with "
        "the others in the batch?",
    }
    return _quiz(answer, "f", reasons)


@_check
def keep_time(answer: object) -> str:
    """``answer(backbone, video [B, C, T, H, W])`` must give features ``[B, T', 512]``."""
    backbone = r3d_18().eval()
    backbone.fc = nn.Identity()
    video = torch.rand(3, 3, 16, 64, 80)
    result = _call(answer, backbone, video)
    trunk = (getattr(backbone, n) for n in ("stem", "layer1", "layer2", "layer3", "layer4"))
    with torch.no_grad():
        maps = nn.Sequential(*trunk)(video)  # [B=3, 512, T'=2, h=4, w=5]
    pooled = maps.mean((2, 3, 4))
    if isinstance(result, Tensor):
        if list(result.shape) == [3, 512]:
            raise _Wrong(
                "[B, 512] has no time axis. An LSTM would read it as one sequence of B steps: "
                "this is the bug of the lesson."
            )
        if list(result.shape) == [3, 1, 512]:
            raise _Wrong(
                "[B, 1, 512] is a sequence of one step. The time that was averaged away does not "
                "come back with `unsqueeze`: this is the bug of the lesson."
            )
        if list(result.shape) == [2, 3, 512]:
            raise _Wrong("time comes first; the lesson's LSTM has batch_first=True.")
    result = _tensor(result, {"B": 3, "T'": 2, "F": 512}, h=4, w=5)
    right = rearrange(maps.mean((3, 4)), "b f t -> b t f")
    if result.allclose(pooled[:, None].expand(3, 2, 512), atol=1e-5):
        raise _Wrong("both steps are the same: the average over time, written down twice.")
    if result.allclose(maps.mean((3, 4)).reshape(3, 2, 512), atol=1e-5):
        raise _Wrong(
            "the shape is right, but `view` or `reshape` has cut [B, 512, T'] anew instead of "
            "moving an axis: lesson 01."
        )
    if result.allclose(right.flip(1), atol=1e-5):
        raise _Wrong("the steps run backwards.")
    if not result.allclose(right, atol=1e-5):
        raise _Wrong(
            "the shape is right and the numbers are not: stop after layer4, average over height "
            "and width only, then move time in front of the features."
        )
    if not result.requires_grad:
        raise _Wrong("the numbers are right, but no gradient reaches the backbone any more.")
    _tensor(_call(answer, backbone, video[:1]), {"B": 1, "T'": 2, "F": 512})
    longer = torch.rand(1, 3, 24, 32, 32)
    _tensor(_call(answer, backbone, longer), {"B": 1, "T'": 3, "F": 512})
    return "two steps in time, each with 512 features averaged over space alone."


@_check
def voice(answer: object) -> str:
    """A mended ``VoiceEmotion`` must read time as time, and each recording on its own."""
    model = _module(answer, "features", "gru", "head")
    sound = torch.rand(4, 40, 28, generator=torch.Generator().manual_seed(0))
    logits = _tensor(_call(model, sound), {"B": 4, "emotions": 6}, T=7)
    alone = [_tensor(_call(model, one[None]), {"B": 1, "emotions": 6}) for one in sound]
    if not torch.cat(alone).allclose(logits, atol=1e-5):
        raise _Wrong(
            "a recording alone and the same recording in company get different answers. The GRU "
            "still walks along the batch: its input needs [B, T, F], and batch_first is True."
        )
    steps = model.features(sound).transpose(1, 2)  # [B, T', F]
    outputs = model.gru(steps)[0]
    scrambled = model.gru(steps.transpose(1, 2).reshape(steps.shape))[0]
    if logits.allclose(model.head(scrambled[:, -1]), atol=1e-5):
        raise _Wrong("`view` or `reshape` cut [B, F, T] anew instead of moving an axis: lesson 01.")
    if logits.allclose(model.head(outputs[:, 0]), atol=1e-5):
        raise _Wrong("this takes the first step's output, before the GRU has heard the rest.")
    model.zero_grad()
    logits.square().mean().backward()
    memory = model.gru.weight_hh_l0.grad
    if memory is None:
        raise _Wrong(
            "the GRU gets no gradient: it is not used any more. Leaving it out is a fair repair "
            "in general, but here the exercise is to give it a time axis."
        )
    if not memory.any():
        raise _Wrong(
            "the GRU's memory (weight_hh) has a gradient of exactly zero: it sees one step only. "
            "`unsqueeze` makes an axis of length one; keep the real one."
        )
    same = model.gru(steps.mean(1, keepdim=True).expand_as(steps))[0]
    if logits.allclose(model.head(same[:, -1]), atol=1e-5):
        raise _Wrong("the GRU gets the average over time again and again: no step is new to it.")
    summaries = (outputs[:, -1], outputs.mean(1), outputs.amax(1))
    if not any(logits.allclose(model.head(summary), atol=1e-5) for summary in summaries):
        raise _Wrong(
            "it runs, but the result is not the head's answer to the GRU's last step (or to the "
            "mean or maximum over its steps) on features as [B, T, F]."
        )
    return "time is time, and nobody's answer depends on who else is in the batch."


# Lesson 06


class _Gated(nn.Module):
    """A tiny network whose last layer is called from a hook, written as ``hook_of`` writes it."""

    def __init__(self, hook_of: Callable | None) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.block = nn.Linear(4, 4)
        self.block.se = nn.Linear(4, 4)
        self.called = hook_of is None
        if hook_of is not None:
            self.block.register_forward_hook(hook_of(self.block))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.first(x).tanh())
        return x * self.block.se(x) if self.called else x


def _remembers(block: nn.Module) -> Callable:
    return lambda module, inputs, output: output * block.se(output)


def _asks(block: nn.Module) -> Callable:
    return lambda module, inputs, output: output * module.se(output)


@_check
def stands_alone(answer: object) -> str:
    """``answer(model, x)`` must tell whether a deep copy of ``model`` needs nothing of it."""
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    cases = [
        (None, True, "a model without hooks; its copy is whole"),
        (_remembers, False, "a model whose hook remembers the original's module"),
        (_asks, True, "a model whose hook asks the module that it is given; a hook may do that"),
    ]
    for hook_of, right, what in cases:
        model = _Gated(hook_of)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        result = _call(answer, model, x)
        if not isinstance(result, bool):
            raise _Wrong(f"expected True or False, got {result!r:.60}.")
        if any(not tensor.equal(before[name]) for name, tensor in model.state_dict().items()):
            raise _Wrong("the model has other weights than before; leave it as it was.")
        if result is not right:
            raise _Wrong(f"it says {result} for {what}.")
    return "it finds the copy that needs its original, and leaves harmless hooks alone."


@_check
def even(answer: object) -> str:
    """``answer(num_words, n)`` must give ``n`` indices, in order, and every word its share."""
    for num_words, n in product((1, 2, 3, 7, 9, 12, 15, 40), (1, 4, 12, 16)):
        result = _call(answer, num_words, n)
        of = f"for {num_words} words and n = {n}"
        try:
            kept = [operator.index(i) for i in result]
        except TypeError:
            raise _Wrong(f"{of}: expected a list of whole numbers, got {result!r:.60}.") from None
        if len(kept) != n:
            raise _Wrong(f"{of}: {len(kept)} indices instead of {n}.")
        if kept != sorted(kept) or kept[0] < 0 or kept[-1] >= num_words:
            raise _Wrong(f"{of}: {kept} is out of order, or outside of 0 to {num_words - 1}.")
        counts = [kept.count(word) for word in range(num_words)]
        if num_words <= n and min(counts) == 0:
            raise _Wrong(f"{of}: words {[w for w in range(num_words) if not counts[w]]} are lost.")
        if max(counts) - min(counts) > 1:
            raise _Wrong(f"{of}: the words are taken {counts} times; some far more than others.")
        step = num_words / n
        if any(abs(i - (k + 0.5) * step) > 1 + step / 2 for k, i in enumerate(kept)):
            raise _Wrong(f"{of}: {kept} is not spread over the whole sentence.")
    return "no word is lost, none is favoured, and long sentences are covered to their end."


@_check
def quiz_review(answer: object) -> str:
    """Why is accuracy on the same clips 0.9 in training mode and 0.6 in evaluation mode?"""
    both = "it is the same in training and in evaluation mode"
    reasons = {
        "a": "that concerns a copy, such as a moving average; here it is one and the same network.",
        "b": f"the same frames are lost both times: {both}.",
        "c": f"{both}, bad as it is.",
        "d": "in training mode batch norm divides by what it finds in the batch; in evaluation "
        "mode by what it found when there were no gates.",
        "e": f"{both}, and for 16 frames there is nothing wrong with it.",
        "f": "wrong gradients would spoil training; they do not tell the two modes apart.",
    }
    return _quiz(answer, "d", reasons)


# Lesson 08


@_check
def frames_needed(answer: object) -> str:
    """``answer(num_frames, length)``: the fewest uniform frames that see every burst."""
    for num_frames, length in product((1, 7, 16, 30, 45), (1, 2, 3, 5, 8)):
        if length > num_frames:
            continue
        result = _call(answer, num_frames, length)
        of = f"for {num_frames} frames and bursts of {length}"
        try:
            n = operator.index(result)
        except TypeError:
            raise _Wrong(f"{of}: expected a whole number, got {result!r:.60}.") from None
        if n < 1:
            raise _Wrong(f"{of}: {n}; a clip has one frame or more.")
        if (missed := _missed(num_frames, length, n)) is not None:
            raise _Wrong(
                f"{of}: {n} frames are too few: {sampler.uniform(num_frames, n)} sees nothing of "
                f"the burst that begins at frame {missed}."
            )
        fewest = next(k for k in count(1) if _missed(num_frames, length, k) is None)
        if n != fewest:
            raise _Wrong(f"{of}: {n} frames are enough, and so are {fewest}. The fewest, please.")
    return "no burst is missed, and no frame is wasted."


def _missed(num_frames: int, length: int, clip_len: int) -> int | None:
    """Where the first burst begins that uniform frames do not see."""
    kept = set(sampler.uniform(num_frames, clip_len))
    begins = range(num_frames - length + 1)
    return next((b for b in begins if kept.isdisjoint(range(b, b + length))), None)


@_check
def quiz_clip(answer: object) -> str:
    """Eight frames and a question of direction: what follows from T' = 1 in layer4?"""
    reasons = {
        "a": "the features are the same for a clip and for itself backwards only if nothing before "
        "`layer4` looks along time; but the stem and the first layers do.",
        "b": "the count of parameters says what there is, not what learns: two thirds of most "
        "filters in `layer4` meet padding alone.",
        "c": "the first layers still see several steps and can tell the order; what `layer4` gets "
        "is one step that knows about it.",
        "d": "nothing raises: padding makes a step where there is none.",
        "e": "then sixteen frames would have won by far in the table, and they did not.",
        "f": "weights that never learn cost time all the same: zeros are multiplied, too.",
    }
    return _quiz(answer, "c", reasons)


# Lesson 09


@_check
def one_draw(answer: object) -> str:
    """``answer(frames [T, C, H, W] uint8)`` must brighten or darken a clip, all of it alike."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (5, 3, 4, 6), dtype=torch.uint8, generator=generator)
    still = noise[:1].expand(5, -1, -1, -1)
    draws = []
    for seed in range(20):
        before = noise.clone()
        torch.manual_seed(seed)
        result = _tensor(_call(answer, noise), {"T": 5, "C": 3, "H": 4, "W": 6})
        if result.dtype != torch.uint8:
            raise _Wrong(f"uint8 goes in, and {result.dtype} comes out.")
        if not noise.equal(before):
            raise _Wrong("the clip that was passed in has changed; leave it as it was.")
        change = result.int() - noise.int()
        if change.min() < 0 < change.max():
            raise _Wrong(
                f"seed {seed}: some values rise and others fall. Do all frames get the same "
                "shift? And is it added in a type that can hold 300 and -40, then clamped?"
            )
        if change.abs().max() > 40:
            raise _Wrong(f"seed {seed}: a value moves by {change.abs().max()}; at most 40, please.")
        torch.manual_seed(seed)
        if not answer(noise).equal(result):
            raise _Wrong(
                "the same `torch.manual_seed` gives another draw. Draw with torch, so that a seed "
                "repeats it."
            )
        torch.manual_seed(seed)
        quiet = answer(still)
        if not quiet.equal(quiet[:1].expand_as(quiet)):
            raise _Wrong(
                "a still clip flickers: its frames differ afterwards. One draw per clip, please."
            )
        draws.append(change.float().mean().item())
    if len(set(draws)) < 10 or not min(draws) < 0 < max(draws):
        raise _Wrong(
            f"twenty clips are changed by {min(draws):.0f} to {max(draws):.0f} on average, in "
            f"{len(set(draws))} ways. Draw anew for every clip, both brighter and darker."
        )
    return "one draw per clip, another for the next, and no value runs over."


@_check
def quiz_label(answer: object) -> str:
    """Which augmentation makes labels false for a model that tells whether a door opens?"""
    reasons = {
        "a": "a door in a mirror still opens.",
        "b": "an opening door in bad light still opens.",
        "c": "seen from nearer, it still opens; unless you cut the door away.",
        "d": "faster or slower, it opens.",
        "e": "played backwards, a door that opens closes; and the label says 'opens'.",
        "f": "a camera that loses a frame still sees it open.",
    }
    return _quiz(answer, "e", reasons)


# Lesson 10


@_check
def honest(answer: object) -> str:
    """``answer(val [N, S], test [N, S])``: the mean test score of what validation chooses."""
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        val, test = torch.rand(2, 6, 4, generator=generator)
        result = _call(answer, val, test)
        try:
            result = float(result)
        except (TypeError, ValueError):
            raise _Wrong(f"expected one number, got {result!r:.60}.") from None
        chosen = val.argmax(0, keepdim=True)
        right = test.gather(0, chosen).mean().item()
        others = {
            val.amax(0).mean().item(): "this is the validation score of the winners: chosen for "
            "being high, so too high.",
            test.amax(0).mean().item(): "this takes the best test score of each split: the test "
            "people have chosen their own judge.",
            test.mean(1).max().item(): "this takes the setting that is best on the test people.",
            test[val.mean(1).argmax()].mean().item(): "this chooses one setting for all splits, "
            "by an average in which each split's test people were validated on elsewhere. Choose "
            "for each split by its own validation people.",
            test.mean().item(): "this is the mean over all settings; nothing was chosen.",
            test[val.argmax(0)].mean().item(): "`test[chosen]` takes whole rows: each winner, on "
            "every split. Each split should read its own column only.",
            val.gather(0, test.argmax(0, keepdim=True)).mean().item(): "the two are swapped: "
            "choose by validation, read from test.",
        }
        if abs(result - right) < 1e-5:
            continue
        for value, reason in others.items():
            if abs(result - value) < 1e-5:
                raise _Wrong(reason)
        raise _Wrong(
            f"expected {right:.4f} for the example with seed {seed}, got {result:.4f}. For each "
            "split (column): which setting (row) is best in `val`, and what has it in `test`?"
        )
    return "each split chooses by its own validation people and is read on its test people."


@_check
def quiz_tuning(answer: object) -> str:
    """Validation 0.93 for the best of fifty trials, 0.86 on the test people: what is it first?"""
    reasons = {
        "a": "overfitting of the weights would show in each trial, between training and validation "
        "people; the step from validation to test comes on top.",
        "b": "then every second search would come out with a test score that is higher.",
        "c": "the highest of fifty scores is high because it is good, and because it was lucky; "
        "the luck does not come along to other people.",
        "d": "pruning stops bad trials; what it keeps, it does not change.",
        "e": "more trials make it worse: the highest of five hundred has even more luck in it.",
        "f": "if the test people had been seen, the score on them would be too high.",
    }
    return _quiz(answer, "c", reasons)


# Lesson 11


@_check
def over_people(answer: object) -> str:
    """``answer(right [N] bool, subjects, draws)``: one WAR per draw of people."""
    generator = torch.Generator().manual_seed(0)
    people, clips, draws = 20, 16, 600
    subjects = [f"{person:02}" for person in range(people) for _ in range(clips)]
    sure = torch.rand(people, generator=generator) < 0.6  # all clips of a person alike
    right = sure.repeat_interleave(clips)
    mixed = torch.randperm(len(right), generator=generator)
    torch.manual_seed(0)
    result = _call(answer, right[mixed], [subjects[i] for i in mixed], draws)
    try:
        scores = torch.as_tensor(result, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise _Wrong(f"expected {draws} numbers, got {result!r:.60}.") from None
    if scores.shape != (draws,):
        raise _Wrong(f"expected {draws} numbers, one per draw, got the shape {list(scores.shape)}.")
    share = right.double().mean()
    wide = (share * (1 - share) / people).sqrt()  # as if each person were one clip
    spread = scores.std() / wide
    if scores.min() < 0 or scores.max() > 1:
        raise _Wrong("a WAR is a share of clips: it lies between 0 and 1.")
    if spread < 0.02:
        raise _Wrong(
            "every draw has the same score. Draw with replacement: some people twice, some never."
        )
    if spread < 0.6:
        raise _Wrong(
            f"your draws spread {spread:.0%} of what they should. Did you draw clips, or rely on "
            "their order? The clips of one person succeed or fail together; draw people, and take "
            "all clips of each."
        )
    if spread > 1.3:
        raise _Wrong(
            f"your draws spread {spread:.0%} of what they should: draw as many people as there "
            "are, no fewer."
        )
    if abs(scores.mean() - share) > 0.03:
        raise _Wrong("on average the draws should have the score of the whole set.")
    # Three people of 1, 2 and 4 clips, with 1, 0 and 1 of them right: what three draws can give.
    clips, hits = (1, 2, 4), (1, 0, 1)
    right = torch.tensor(
        [n < hit for number, hit in zip(clips, hits, strict=True) for n in range(number)]
    )
    subjects = ["a"] + ["b"] * 2 + ["c"] * 4
    possible = {
        round(sum(hits[i] for i in trio) / sum(clips[i] for i in trio), 6)
        for trio in product(range(3), repeat=3)
    }
    seen = {round(float(score), 6) for score in _call(answer, right, subjects, 400)}
    if not seen <= possible:
        raise _Wrong(
            "with people who have 1, 2 and 4 clips, some of your scores cannot come from drawing "
            "three people and taking all their clips. A score is all hits over all clips."
        )
    if not seen >= possible:
        raise _Wrong(
            "with three people, some draws never come up, such as one person twice. Whoever is "
            "drawn twice counts twice."
        )
    return "whoever is drawn twice counts twice, with every clip."


@_check
def quiz_faces(answer: object) -> str:
    """The detector misses many laughing faces, and these clips are left out: what follows?"""
    reasons = {
        "a": "only if the clips that are left out were like the others; these are not.",
        "b": "the count of clips is not the point; a tenth of them, drawn at random, would do.",
        "c": "a score is then one of the clips that the detector likes. Say how many were left "
        "out, of which label and whom, beside the score.",
        "d": "the mean over classes makes up for classes of different size, but not for which "
        "clips of a class are left.",
        "e": "it may rise or fall: the laughing faces that are left may be the easy ones.",
        "f": "a larger margin changes what is cut, not what is found.",
    }
    return _quiz(answer, "c", reasons)


# Lesson 13


@_check
def gather(answer: object) -> str:
    """``answer(model, loss, batches)``: one step's gradient from micro-batches of any size."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(7, 3, generator=generator), torch.arange(7) % 4
    loss = nn.CrossEntropyLoss()

    def model() -> nn.Module:
        linear = nn.Linear(3, 4)
        with torch.no_grad():
            linear.weight.copy_(torch.arange(12.0).view(4, 3) / 10)
            linear.bias.zero_()
        return linear

    def gradient(clips: Tensor, targets: Tensor) -> Tensor:
        whole = model()
        loss(whole(clips), targets).backward()
        return whole.weight.grad

    sizes = (4, 2, 1)
    micro = list(zip(*(part.split(sizes) for part in batch), strict=True))
    mine = model()
    _call(answer, mine, loss, micro)
    found, right = mine.weight.grad, gradient(*batch)
    if found is None:
        raise _Wrong(
            "no gradient is left in the model: call `backward` on every micro-batch, and do not "
            "set it to zero afterwards."
        )
    parts = [gradient(*part) for part in micro]
    others = {
        "these are summed. The loss is a mean: weigh each micro-batch by its share of the "
        "clips.": sum(parts),
        "this weighs a micro-batch of one clip like one of four. Weigh by the number of "
        "clips.": sum(parts) / len(parts),
        "only the last micro-batch is left. Do not set the gradient to zero between them.": parts[
            -1
        ],
        "the last one is there alone, weighed: do not set the gradient to zero between "
        "them.": parts[-1] / 7,
        "each loss is divided by its own number of clips here; it is a mean already.": sum(
            part / size for part, size in zip(parts, sizes, strict=True)
        ),
        "these are sums over clips; divide by the number of all clips.": sum(
            part * size for part, size in zip(parts, sizes, strict=True)
        ),
        "divided by the number of clips twice: the loss of a micro-batch is a mean already, so "
        "multiply it by its number of clips first.": sum(parts) / 7,
    }
    if torch.allclose(found, right, atol=1e-6):
        return "the gradient of the whole step, from parts that need less memory."
    for reason, value in others.items():
        if torch.allclose(found, value, atol=1e-6):
            raise _Wrong(reason)
    raise _Wrong(
        f"the gradient is off by {(found - right).norm() / right.norm():.0%} of its size. Each "
        "micro-batch counts with its share of the clips."
    )


@_check
def quiz_scale(answer: object) -> str:
    """Two GPUs, the same batch_size per step: what is not the same as on one GPU?"""
    reasons = {
        "a": "gradients are averaged over the processes, so the step is that of all its clips.",
        "b": "steps per epoch stay: a step still sees batch_size clips.",
        "c": "each process normalises with the clips it has: eight instead of sixteen. Give "
        "micro_batch=8 on one GPU, and both normalise alike.",
        "d": "every process starts from the same weights and takes the same steps.",
        "e": "the learning rate belongs to the step, and the step sees as many clips as before.",
        "f": "only the first process writes it, and it holds the model, not a process.",
    }
    return _quiz(answer, "c", reasons)
