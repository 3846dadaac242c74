"""The team's first program, reconstructed: it has all three bugs of lessons 01 to 03."""

from torch import nn
from torchvision.models.video.resnet import BasicBlock, BasicStem, Conv3DSimple, VideoResNet

from ..parts import AND, Bug, Hunt, Piece
from ..probes import CLASSES
from .easy import BATCH_QUESTION, LEARNING_QUESTION


class Thin(VideoResNet):
    """R3D-18 with its blocks and names, an eighth as wide from ``layer1`` on."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [Conv3DSimple] * 4, [2, 2, 2, 2], BasicStem)
        self.fc = nn.Linear(64, 400)

    def _make_layer(self, block, conv_builder, planes, blocks, stride=1) -> nn.Sequential:  # noqa: ANN001
        return super()._make_layer(block, conv_builder, planes // 8, blocks, stride)


TEAM = Hunt(
    "team",
    (
        Piece(
            """\
class Gate(nn.Module):  # Squeeze-and-Excitation
    def __init__(self, channels):
        super().__init__()
        self.down = nn.Linear(channels, channels // 2)
        self.up = nn.Linear(channels // 2, channels)

    def forward(self, x):
        scores = self.up(self.down(x.mean((2, 3, 4))).relu())
        return x * scores.sigmoid()[:, :, None, None, None]


class $Model(nn.Module):
    def __init__(self, backbone, classes):  # backbone: an R3D-18
        super().__init__()
        features = backbone.fc.in_features
        backbone.fc = nn.Identity()
        self.backbone = backbone
        for layer in (backbone.layer3, backbone.layer4):
            for block in layer:
                channels = block.conv2[0].out_channels
                block.conv2.append(Gate(channels))
        self.head = nn.Linear(features, classes)

    def forward(self, video):  # [B, T, C, H, W]
        x = video.permute(0, 2, 1, 3, 4)
        x = self.backbone(x)
        return self.head(x)
""",
            (
                Bug(
                    "builds",
                    "block.conv2[0].out_channels",
                    "block.conv2.out_channels",
                    "Read the message: whose attribute is missing? `print(block)` shows what it "
                    "has.",
                    "`__init__`, where `channels` is read",
                    "`conv2` is a `Sequential`; the convolution is its first part: lesson 02.",
                ),
                Bug(
                    "axes",
                    "        x = video.permute(0, 2, 1, 3, 4)\n",
                    "        frames = video.flatten(0, 1)\n"
                    "        x = frames.permute(0, 2, 1, 3, 4)\n",
                    "Read the message: which tensor has four axes, and which line needs five?",
                    "`forward`, its first two lines",
                    "The frames of all videos shared one axis, and time had none: lesson 01.",
                ),
                Bug(
                    "batch",
                    "        self.head = nn.Linear(features, classes)\n"
                    f"{AND}        return self.head(x)\n",
                    "        self.lstm = nn.LSTM(features, 32, batch_first=True)\n"
                    "        self.head = nn.Linear(32, classes)\n"
                    f"{AND}        x, _ = self.lstm(x)\n        return self.head(x)\n",
                    BATCH_QUESTION,
                    "`forward`, its last lines: what are the axes of `x` where the LSTM gets it?",
                    "The features have no time axis any more, so the LSTM worked along the batch: "
                    "lesson 03. Remove it.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    3,
    {"Model": ("EmotionNet",), "frames": (8,)},
    size=(16, 24),
    make=lambda kind: kind(Thin(), CLASSES),
)
