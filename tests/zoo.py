"""Small video models: broken ones, each with the guard that must find it, and sound ones.

Every model takes `[B, T, C, H, W]` and answers `[B, 5]`. A broken model runs and trains; what is
wrong with it is in the sentence below its name.
"""

import r3d_helpers  # first: it lets torchvision load beside another build of torch

# isort: split
import copy

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18
from torchvision.models.video import MViT, SwinTransformer3d, r3d_18
from torchvision.models.video.mvit import MSBlockConfig

K = 5
BROKEN, SOUND = {}, {}  # name: (make, shape, guard), name: (make, shape)


def broken(guard, *shape):
    def keep(make):
        BROKEN[make.__name__] = (make, shape or (2, 6, 3, 16, 20), guard)
        return make

    return keep


def sound(*shape):
    def keep(make):
        SOUND[make.__name__] = (make, shape or (2, 6, 3, 16, 20))
        return make

    return keep


def to_3d(video):
    return video.transpose(1, 2)


class Net3d(nn.Module):
    """Three 3-D convolutions and an average; a subclass changes a part."""

    def __init__(self, width=12):
        super().__init__()
        self.one = nn.Conv3d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm3d(width)
        self.two = nn.Conv3d(width, width, 3, stride=2, padding=1)
        self.three = nn.Conv3d(width, width, 3, padding=1)
        self.head = nn.Linear(width, K)

    prepare = staticmethod(to_3d)

    def features(self, x):
        x = self.norm(self.one(x)).relu()
        return self.three(self.two(x).relu()).relu()

    def forward(self, video):
        return self.head(self.features(self.prepare(video)).mean((2, 3, 4)))


class PerFrame(nn.Module):
    """A 2-D network for every frame, then something over time."""

    def __init__(self, width=16):
        super().__init__()
        self.cnn = nn.Sequential(
            *(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.head = nn.Linear(width, K)

    def frames(self, video):
        return self.cnn(video.flatten(0, 1)).unflatten(0, video.shape[:2])  # [B, T, F]

    def forward(self, video):
        return self.head(self.frames(video).mean(1))


class PerFrameRNN(PerFrame):
    def __init__(self, width=16, kind=nn.LSTM, **options):
        super().__init__(width)
        self.rnn = kind(width, width, batch_first=True, **options)

    def steps(self, frames):
        return frames

    def forward(self, video):
        return self.head(self.rnn(self.steps(self.frames(video)))[0][:, -1])


class Tubes(nn.Module):
    """A transformer over tubes: two frames, eight by eight pixels."""

    def __init__(self, shape=(3, 2, 2), width=24, dropout=0.1):
        super().__init__()
        self.embed = nn.Conv3d(3, width, (2, 8, 8), (2, 8, 8))
        count = shape[0] * shape[1] * shape[2]
        self.place = nn.Parameter(torch.zeros(1, count, width))
        layer = nn.TransformerEncoderLayer(width, 4, 48, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, K)

    def tokens(self, x):  # [B, D, T, H, W]
        return x.flatten(2).transpose(1, 2)

    def forward(self, video):
        return self.head(self.encoder(self.tokens(self.embed(to_3d(video))) + self.place).mean(1))


class Gate(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    def forward(self, x):  # [B, C, T, H, W]
        return self.up(self.down(x.mean((2, 3, 4))).relu()).sigmoid()[:, :, None, None, None]


class Gated(Net3d):
    def __init__(self, width=12):
        super().__init__(width)
        self.gate = Gate(width)

    def features(self, x):
        x = super().features(x)
        return x * self.gate(x)


# Axes


@broken("axes")
class ScrambledByView(Net3d):
    """The shape is right, the numbers are not."""

    @staticmethod
    def prepare(video):
        B, T, C, H, W = video.shape
        return video.reshape(B, C, T, H, W)


@broken("axes", 2, 3, 3, 16, 16)
class TimeAndColourSwapped(Net3d):
    """With T = C = 3 there is no error."""

    @staticmethod
    def prepare(video):
        return video


@broken("axes", 2, 3, 3, 16, 20)
class TimeReadAsColour(PerFrame):
    """Three moments of one colour make a picture."""

    def frames(self, video):
        return self.cnn(video.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(video), 3))


@broken("axes")
class HeightAndWidthSwapped(Net3d):
    @staticmethod
    def prepare(video):
        return video.permute(0, 2, 1, 4, 3)


@broken("axes")
class FramesShuffled(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video[:, [3, 0, 5, 1, 4, 2]])


@broken("axes")
class TokensCutByReshape(Tubes):
    """A token is a stretch of one channel's map."""

    def tokens(self, x):
        return x.reshape(len(x), -1, x.shape[1])


@broken("axes", 2, 6, 3, 16, 16)
class PatchesCutByReshape(nn.Module):
    """A patch is some rows of one colour."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3 * 64, 24)
        layer = nn.TransformerEncoderLayer(24, 4, 48, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(24, K)

    def forward(self, video):
        return self.head(self.encoder(self.embed(video.reshape(len(video), -1, 192))).mean(1))


@broken("axes")
class FeaturesReadAsTime(PerFrame):
    """A temporal convolution that slides along the features."""

    def __init__(self):
        super().__init__()
        self.temporal = nn.Conv1d(6, 16, 3, padding=1)

    def forward(self, video):
        return self.head(self.temporal(self.frames(video)).relu().mean(2))


@broken("axes")
class StepsCutByReshape(Net3d):
    """[B, F, T] becomes [B, T, F] by its shape only."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(12, 12, batch_first=True)

    def forward(self, video):
        x = self.features(self.prepare(video)).mean((3, 4))
        return self.head(self.rnn(x.reshape(len(x), -1, 12))[0][:, -1])


# The batch


@broken("batch")
class BatchReadAsTime(PerFrameRNN):
    """An LSTM without batch_first, fed [B, T, F]."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(16, 16)


@broken("batch", 6, 6, 3, 16, 16)
class MergedTheOtherWay(PerFrame):
    """Merged as B, T and taken apart as T, B."""

    def forward(self, video):
        B, T = video.shape[:2]
        return self.head(self.frames(video).reshape(T, B, -1).mean(0))


@broken("batch")
class OneSequence(nn.Module):
    """Features without a time axis are one sequence to an LSTM, as long as the batch."""

    def __init__(self):
        super().__init__()
        self.net = Net3d()
        self.net.head = nn.Identity()
        self.rnn, self.head = nn.LSTM(12, 12, batch_first=True), nn.Linear(12, K)

    def forward(self, video):
        return self.head(self.rnn(self.net(video))[0])


@broken("batch")
class BatchStatisticsForEver(Net3d):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm3d(12, track_running_stats=False)


@broken("batch")
class PositionsAlongTheBatch(PerFrameRNN):
    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(32, 1, 16))

    def steps(self, frames):
        return frames + self.place[: len(frames)]


@broken("batch")
class SoftmaxOverTheBatch(PerFrame):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(16, 1)

    def forward(self, video):
        frames = self.frames(video)
        return self.head((self.score(frames).softmax(0) * frames).sum(1))


@broken("batch")
class Squeezed(PerFrame):
    """A batch of one loses its axis."""

    def forward(self, video):
        return self.head(self.frames(video).mean(1, keepdim=True).squeeze())


@broken("batch")
class RemembersTheLastBatch(PerFrameRNN):
    """The state of one batch is where the next one starts."""

    state = None

    def forward(self, video):
        out, state = self.rnn(self.frames(video), self.state)
        self.state = tuple(part.detach() for part in state)
        return self.head(out[:, -1])


# Time


@broken("time")
class TailLost(Net3d):
    """The published rule: six frames are repeated, cut at four, and the end is gone."""

    @staticmethod
    def prepare(video):
        return to_3d(video.repeat_interleave(2, dim=1)[:, :8])


@broken("time")
class FirstFrameOnly(PerFrame):
    def forward(self, video):
        return super().forward(video[:, :1])


@broken("time")
class LastFrameDropped(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video[:, :-1])


@broken("time")
class AveragedBeforeTheRNN(PerFrameRNN):
    def steps(self, frames):
        return frames.mean(1, keepdim=True)


@broken("time")
class RepeatedForTheRNN(PerFrameRNN):
    def steps(self, frames):
        return frames.mean(1, keepdim=True).expand_as(frames)


@broken("time")
class AveragedBeforeConvolutions(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video.mean(1, keepdim=True).expand_as(video))


@broken("time")
class PooledBeforeTheTemporalConvolution(PerFrame):
    def __init__(self):
        super().__init__()
        self.temporal = nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, video):
        x = F.adaptive_avg_pool1d(self.frames(video).transpose(1, 2), 1)
        return self.head(self.temporal(x).relu().mean(2))


@broken("time")
class OneColourOnly(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video[:, :, :1].expand_as(video))


# Learning


@broken("learning")
class GateThrownAway(Gated):
    """The hook computes and returns nothing."""

    def __init__(self):
        super().__init__()
        self.three.register_forward_hook(self.apply_gate)

    def apply_gate(self, module, inputs, output):
        output * self.gate(output)

    def features(self, x):
        return Net3d.features(self, x)


@broken("learning")
class GateWithoutGradient(Gated):
    def features(self, x):
        x = Net3d.features(self, x)
        with torch.no_grad():
            gate = self.gate(x)
        return x * gate


@broken("learning")
class GateTimesZero(Gated):
    def features(self, x):
        x = Net3d.features(self, x)
        return x + 0 * x * self.gate(x)


@broken("learning")
class GateConstant(Gated):
    """A softmax over one number is one."""

    def features(self, x):
        x = Net3d.features(self, x)
        return x * self.gate(x).softmax(2)


@broken("learning")
class NeverCalled(Net3d):
    def __init__(self):
        super().__init__()
        self.refine = nn.Conv3d(12, 12, 1)


@broken("learning")
class InAPlainList(Net3d):
    def __init__(self):
        super().__init__()
        self.more = [nn.Conv3d(12, 12, 1), nn.Conv3d(12, 12, 1)]

    def features(self, x):
        x = super().features(x)
        for layer in self.more:
            x = layer(x).relu()
        return x


@broken("learning")
class MadeInForward(PerFrame):
    def forward(self, video):
        torch.manual_seed(0)
        x = self.frames(video).mean(1)
        return self.head(nn.Linear(16, 16)(x).relu())


@broken("learning")
class Detached(PerFrame):
    def frames(self, video):
        return super().frames(video).detach()


@broken("learning")
class AnswerOfIntegers(PerFrame):
    def forward(self, video):
        return F.one_hot(super().forward(video).argmax(1), K).float()


@broken("learning")
class HalfThrownAway(Net3d):
    """Half of the last layer is cut off."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, K)

    def forward(self, video):
        return self.head(self.features(self.prepare(video)).mean((2, 3, 4))[:, :6])


@broken("learning")
class BothEndsAtZero(Gated):
    """Two factors that start at zero never leave it."""

    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.gate.up.weight)
        nn.init.zeros_(self.gate.up.bias)

    def features(self, x):
        x = Net3d.features(self, x)
        return x + x * self.strength * (2 * self.gate(x) - 1)


@broken("learning")
class OneToken(PerFrame):
    """Attention over one token has nothing to choose from."""

    def __init__(self):
        super().__init__()
        self.attend = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

    def forward(self, video):
        return self.head(self.attend(self.frames(video).mean(1, keepdim=True))[:, 0])


@broken("learning")
class BackwardsFromOneStep(PerFrameRNN):
    """At the last step the direction that reads backwards has seen one step."""

    def __init__(self):
        super().__init__(bidirectional=True)
        self.head = nn.Linear(32, K)


# Modes


@broken("modes")
class DropoutStaysOn(PerFrame):
    def frames(self, video):
        return F.dropout(super().frames(video), 0.3)


@broken("modes")
class TrainingNeverArrives(Net3d):
    def train(self, mode=True):
        self.training = mode
        return self

    def __init__(self):
        super().__init__()
        for module in self.children():
            module.eval()


@broken("modes")
class EvaluatedInForward(PerFrame):
    def frames(self, video):
        self.cnn.eval()
        return super().frames(video)


# Copies


@broken("copies")
class HookRemembers(Gated):
    """A copy of the model runs the original's gate."""

    def __init__(self):
        super().__init__()
        gate = self.gate
        self.three.register_forward_hook(lambda module, inputs, output: output * gate(output))

    def features(self, x):
        return Net3d.features(self, x)


@broken("copies")
class ForwardReplaced(PerFrame):
    def __init__(self):
        super().__init__()
        first, plain = self.cnn[0], self.cnn[0].forward
        first.forward = lambda x: plain(x) * 2


@broken("copies")
class CopySharesItsHead(PerFrame):
    def __deepcopy__(self, memo):
        made = type(self)()
        made.cnn = copy.deepcopy(self.cnn, memo)
        made.head = self.head
        return made


# The answer


@broken("answer")
class LogOfANegative(PerFrame):
    def frames(self, video):
        return super().frames(video - 5).mul(-1).sub(1).log()


@broken("answer")
class RowForEveryFrame(PerFrame):
    def forward(self, video):
        return self.head(self.frames(video).flatten(0, 1))


@broken("answer")
class ForgottenAxis(Net3d):
    """The original bug: pictures in one axis have no time."""

    @staticmethod
    def prepare(video):
        return video.flatten(0, 1).permute(0, 2, 1, 3, 4)


@broken("answer")
class SameForAll(PerFrame):
    def frames(self, video):
        return super().frames(video) * 0 + self.head.weight[0, 0]


@broken("answer")
class ChangesTheVideo(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video.sub_(0.5))


# Sound ones


class Permuted(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, video):
        return self.net(to_3d(video))


@sound(2, 4, 3, 32, 32)
def r3d():
    return Permuted(r3d_18(num_classes=K))


@sound(2, 4, 3, 32, 32)
def swin3d():
    sizes = {"patch_size": [2, 4, 4], "window_size": [2, 4, 4]}
    return Permuted(
        SwinTransformer3d(**sizes, embed_dim=24, depths=[2, 2], num_heads=[2, 4], num_classes=K)
    )


@sound(2, 4, 3, 64, 64)
def mvit():
    """The last block pools queries that are never used: only one token answers."""
    blocks = [
        MSBlockConfig(heads, width, out, [3, 3, 3], [3, 3, 3], [1, by, by], [1, 2, 2])
        for heads, width, out, by in ((1, 24, 48, 2), (2, 48, 48, 2))
    ]
    return Permuted(
        MViT(
            *((64, 64), 4, blocks, True, False, True, True),
            num_classes=K,
        )
    )


@sound(1, 9, 3, 32, 32)
def emotion_with_identity_gates():
    return r3d_helpers.R3DEmotion(K, clip_len=4, se="residual", se_init="identity")


@sound()
class Plain3d(Net3d):
    pass


@sound()
class PlainGated(Gated):
    pass


@sound()
class IdentityStart(Gated):
    """Gates that start at one: the first layers of them get no gradient in the first step."""

    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.gate.up.weight)
        nn.init.zeros_(self.gate.up.bias)

    def features(self, x):
        x = Net3d.features(self, x)
        return x * 2 * self.gate(x)


@sound()
class MeanOverFrames(PerFrame):
    pass


@sound()
class LastOfLSTM(PerFrameRNN):
    pass


@sound()
class BothWaysGRU(PerFrameRNN):
    def __init__(self):
        super().__init__(kind=nn.GRU, bidirectional=True, num_layers=2, dropout=0.2)
        self.head = nn.Linear(32, K)

    def forward(self, video):
        return self.head(self.rnn(self.frames(video))[0].mean(1))


@sound()
class StepByStep(PerFrame):
    """A cell in a loop over time."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(16, 16)

    def forward(self, video):
        state = video.new_zeros(len(video), 16)
        for step in self.frames(video).unbind(1):
            state = self.cell(step, state)
        return self.head(state)


@sound()
class TubeTransformer(Tubes):
    pass


@sound(2, 6, 3, 16, 16)
class PatchTransformer(nn.Module):
    """Patches as einops would cut them, a token that answers, positions for longer videos too."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3 * 64, 24)
        self.place = nn.Parameter(torch.randn(1, 100, 24) * 0.02)
        self.answer = nn.Parameter(torch.zeros(1, 1, 24))
        layer = nn.TransformerEncoderLayer(24, 4, 48, norm_first=True, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(24, K)

    def forward(self, video):
        B, T, C, H, W = video.shape
        x = video.reshape(B, T, C, H // 8, 8, W // 8, 8).permute(0, 1, 3, 5, 2, 4, 6)
        x = self.embed(x.reshape(B, -1, C * 64))
        x = torch.cat([self.answer.expand(B, -1, -1), x + self.place[:, : x.shape[1]]], 1)
        return self.head(self.encoder(x)[:, 0])


@sound()
class TwoStreams(nn.Module):
    """Pictures, and the differences between them."""

    def __init__(self):
        super().__init__()
        self.pictures, self.motion = PerFrame(), Net3d()

    def forward(self, video):
        return self.pictures(video) + self.motion(video.diff(dim=1))


@sound()
class TemporalConvolution(PerFrame):
    def __init__(self):
        super().__init__()
        self.temporal = nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, video):
        return self.head(self.temporal(self.frames(video).transpose(1, 2)).relu().mean(2))


@sound()
class FrozenBackbone(PerFrameRNN):
    """Frozen on purpose, its statistics too."""

    def __init__(self):
        super().__init__()
        self.cnn.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.cnn.eval()
        return self

    def frames(self, video):
        with torch.no_grad():
            return super().frames(video)


@sound(2, 12, 3, 20, 28)
class SampledAndNormalised(Net3d):
    """Four middles of equal parts; at random in training; normalised and made smaller inside."""

    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.full((3, 1, 1, 1), 0.45))

    def prepare(self, video):
        part = video.shape[1] // 4
        jump = torch.randint(part, (4,)) if self.training else part // 2
        video = to_3d(video[:, torch.arange(4) * part + jump])
        video = F.interpolate(video, (4, 16, 16), mode="trilinear")
        return (video - self.average) / 0.225


@sound()
class HelpsItselfInTraining(PerFrame):
    """A second answer in training only."""

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(16, K)

    def forward(self, video):
        x = self.frames(video).mean(1)
        return (self.head(x), self.second(x)) if self.training else self.head(x)


@sound()
class AttentionOverTime(PerFrame):
    """Weights over frames from a softmax, a normalised answer, a shared weight."""

    def __init__(self):
        super().__init__()
        self.score, self.norm = nn.Linear(16, 1), nn.LayerNorm(16)
        self.mix = nn.Linear(16, 16)
        self.again = nn.Linear(16, 16)
        self.again.weight = self.mix.weight

    def forward(self, video):
        frames = self.norm(self.frames(video))
        pooled = (self.score(frames).softmax(1) * frames).sum(1)
        return self.head(self.again(self.mix(pooled).relu()))


@sound()
class ShiftedAlongTime(PerFrame):
    """Some channels come from the frame before, some from the one behind."""

    def forward(self, video):
        x = self.frames(video)
        before = F.pad(x[:, :-1, :4], (0, 0, 1, 0))
        behind = F.pad(x[:, 1:, 4:8], (0, 0, 0, 1))
        return self.head(torch.cat([before, behind, x[..., 8:]], -1).relu().mean(1))


@sound()
class DeepAndUntrained(PerFrame):
    """Without statistics the video hardly changes the output of so many layers."""

    def __init__(self):
        super().__init__()
        layers = [self.cnn[0], self.cnn[1], nn.ReLU()]
        for _ in range(20):
            layers += [nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        self.cnn = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@sound(2, 5, 3, 32, 32)
def averaged_resnet():
    class Averaged(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = resnet18(num_classes=K)

        def forward(self, video):
            return self.net(video.flatten(0, 1)).unflatten(0, video.shape[:2]).mean(1)

    return Averaged()


# More of both, of other kinds and with the fault in another place


class SpaceThenTime(nn.Module):
    """A transformer over patches of each frame, and one over frames."""

    def __init__(self, width=24):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 8, 8)
        self.answer = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.places = nn.Parameter(torch.randn(1, 5, width) * 0.02)
        self.moments = nn.Parameter(torch.randn(1, 6, width) * 0.02)
        options = {"batch_first": True, "norm_first": True}
        self.space = nn.TransformerEncoderLayer(width, 4, 48, **options)
        self.time = nn.TransformerEncoderLayer(width, 4, 48, **options)
        self.head = nn.Linear(width, K)

    def tokens(self, x):
        return x.flatten(2).transpose(1, 2)

    def steps(self, x):
        return x

    def forward(self, video):
        x = self.tokens(self.embed(video.flatten(0, 1)))
        x = torch.cat([self.answer.expand(len(x), -1, -1), x], 1) + self.places
        x = self.space(x)[:, 0].unflatten(0, video.shape[:2])
        return self.head(self.time(self.steps(x) + self.moments).mean(1))


class Factorised(nn.Module):
    """Convolutions over space and over time in turn, group norms."""

    def __init__(self):
        super().__init__()
        self.space, self.time = nn.ModuleList(), nn.ModuleList()
        for before, width in ((3, 8), (8, 16)):
            self.space.append(nn.Conv3d(before, width, (1, 3, 3), (1, 2, 2), (0, 1, 1)))
            norm = nn.GroupNorm(4, width)
            self.time.append(
                nn.Sequential(norm, nn.ReLU(), nn.Conv3d(width, width, (3, 1, 1), 1, (1, 0, 0)))
            )
        self.drop, self.head = nn.Dropout3d(0.2), nn.Conv3d(16, K, 1)

    def between(self, x):
        return x

    def forward(self, video):
        x = self.time[0](self.space[0](to_3d(video)))
        x = self.time[1](self.space[1](self.between(x)))
        return self.head(self.drop(x.relu())).mean((2, 3, 4))


class Attention(nn.Module):
    """Self-attention by hand, as many programs write it."""

    def __init__(self, width):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        B, N, D = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, 4, D // 4).permute(2, 0, 3, 1, 4)
        x = (q @ k.transpose(-2, -1) * D**-0.5).softmax(-1) @ v
        return self.out(x.transpose(1, 2).reshape(B, N, D))


@broken("axes", 2, 6, 3, 16, 16)
class PicturesCutByReshape(SpaceThenTime):
    def tokens(self, x):
        return x.reshape(len(x), -1, x.shape[1])


@broken("axes")
class MapsScrambledOnTheWay(PerFrame):
    """Maps of single frames become a video by `view`."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.temporal = nn.Conv3d(16, 16, 3, padding=1)

    def forward(self, video):
        maps = self.cnn(video.flatten(0, 1))
        x = maps.view(len(video), 16, -1, *maps.shape[2:])
        return self.head(self.temporal(x).relu().mean((2, 3, 4)))


@broken("axes", 2, 4, 3, 16, 16)
class HeightMergedWithTime(Net3d):
    @staticmethod
    def prepare(video):
        return to_3d(video).reshape(len(video), 3, 16, 4, 16)


@broken("axes")
class Backwards(Factorised):
    def forward(self, video):
        return super().forward(video.flip(1))


@broken("time", 2, 6, 3, 16, 16)
class MomentsAveragedBeforeAttention(SpaceThenTime):
    """Only the positions differ from one step to the next."""

    def steps(self, x):
        return x.mean(1, keepdim=True).expand_as(x)


@broken("time")
class TimeAveragedHalfway(Factorised):
    """The second temporal convolution finds one step between padding."""

    def between(self, x):
        return x.mean(2, keepdim=True)


@broken("time", 2, 10, 3, 16, 16)
class TubesLoseTheEnd(nn.Module):
    """Tubes of four frames in a video of ten."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Conv3d(3, 16, (4, 8, 8), (4, 8, 8)), nn.Linear(16, K)

    def forward(self, video):
        return self.head(self.embed(to_3d(video)).relu().mean((2, 3, 4)))


@broken("batch", 2, 6, 3, 16, 16)
class HeadsAndBatchSwapped(Tubes):
    def __init__(self):
        super().__init__()
        self.encoder = Attention(24)

    def tokens(self, x):
        return super().tokens(x)[:, :2].transpose(0, 1)  # [N, B, D] goes on as [B, N, D]

    def forward(self, video):
        x = self.encoder(self.tokens(self.embed(to_3d(video))) + self.place[:, :2])
        return self.head(x.mean(0))


@broken("batch")
class CentredOverTheBatch(Net3d):
    def features(self, x):
        x = super().features(x)
        return x - x.mean((0, 2, 3, 4), keepdim=True)


@broken("learning")
class DeadFromTheStart(Gated):
    """No input is large enough for these ReLUs."""

    def __init__(self):
        super().__init__(24)
        nn.init.constant_(self.gate.down.bias, -100)


@broken("learning")
class ZerosForFeatures(PerFrame):
    """A third of what the last layer gets is zero."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(24, K)

    def forward(self, video):
        x = self.frames(video).mean(1)
        return self.head(F.pad(x, (0, 8)))


@broken("learning")
class TensorNotRegistered(PerFrame):
    def __init__(self):
        super().__init__()
        self.query = torch.randn(16, 1, requires_grad=True)

    def forward(self, video):
        frames = self.frames(video)
        return self.head(((frames @ self.query).softmax(1) * frames).sum(1))


@broken("modes")
class DropoutInAPlainList(PerFrame):
    def __init__(self):
        super().__init__()
        self.between = [nn.Dropout(0.4)]

    def frames(self, video):
        return self.between[0](super().frames(video))


@sound(2, 6, 3, 16, 16)
class SpaceThenTimeTransformer(SpaceThenTime):
    pass


@sound()
class FactorisedConvolutions(Factorised):
    pass


@sound(2, 6, 3, 16, 16)
class AttentionByHand(Tubes):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.LayerNorm(24), Attention(24), nn.LayerNorm(24), Attention(24)
        )


@sound(2, 8, 3, 16, 16)
class SlowAndFast(nn.Module):
    """Few frames with many channels, many frames with few, joined."""

    def __init__(self):
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 16, 3, (1, 2, 2), 1), nn.Conv3d(3, 4, 3, (1, 2, 2), 1)
        self.join = nn.Conv3d(4, 8, (5, 1, 1), (4, 1, 1), (2, 0, 0))
        self.last = nn.Conv3d(24, 24, 3, padding=1)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(28, K))

    def forward(self, video):
        slow, fast = self.slow(to_3d(video[:, ::4])).relu(), self.fast(to_3d(video)).relu()
        slow = self.last(torch.cat([slow, self.join(fast)], 1)).relu()
        return self.head(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


@sound(2, 6, 3, 16, 16)
class Mixer(Tubes):
    """Linear layers over places and over channels in turn."""

    def __init__(self):
        super().__init__()
        self.over_places = nn.Sequential(nn.Linear(12, 12), nn.GELU(), nn.Linear(12, 12))
        self.over_channels = nn.Sequential(nn.Linear(24, 24), nn.GELU(), nn.Linear(24, 24))
        self.encoder = nn.LayerNorm(24)

    def tokens(self, x):
        x = super().tokens(x)
        x = x + self.over_places(x.transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(x)


@sound()
class ConvolutionalLSTM(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.gates, self.head = nn.Conv2d(3 + width, 4 * width, 3, padding=1), nn.Linear(width, K)

    def forward(self, video):
        state = memory = video.new_zeros(len(video), 8, *video.shape[3:])
        for frame in video.unbind(1):
            i, f, o, new = self.gates(torch.cat([frame, state], 1)).chunk(4, 1)
            memory = f.sigmoid() * memory + i.sigmoid() * new.tanh()
            state = o.sigmoid() * memory.tanh()
        return self.head(state.mean((2, 3)))


@sound()
class AttentionInSpaceAndChannels(Net3d):
    """A map from the mean and the highest channel; neighbours among channels."""

    def __init__(self):
        super().__init__()
        self.map, self.near = nn.Conv3d(2, 1, 3, padding=1), nn.Conv1d(1, 1, 3, padding=1)

    def features(self, x):
        x = F.max_pool3d(super().features(x), (1, 2, 2))
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        gate = self.near(x.mean((2, 3, 4))[:, None])[:, 0, :, None, None, None]
        return x * self.map(both).sigmoid() * gate.sigmoid()


@sound()
class TimeFirst(PerFrame):
    """T, B all the way, as an LSTM likes it by default."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(16, 16)

    def forward(self, video):
        video = video.transpose(0, 1)
        return self.head(self.rnn(self.frames(video))[0][-1])
