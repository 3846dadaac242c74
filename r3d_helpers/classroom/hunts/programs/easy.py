"""Hunts of difficulty 1: one or two bugs."""

from ..parts import Bug, Hunt, Piece
from .pieces import PICK_ENDS, PICK_MIDDLES, SPLIT_EVERY_FOURTH

LEARNING_QUESTION = ("from torch import nn",)
BATCH_QUESTION = (
    "Give the model, in evaluation mode, one clip alone, and the same clip with another one. Is "
    "the answer the same?"
)
AXES_QUESTION = (
    "Give the model a video whose frames are all 0, then all 1, then all 2, and so on. Print what "
    "the first layer gets that works along time. Are the frames still in order?"
)

SIGNS = Hunt(
    "signs",
    (
        PICK_MIDDLES,
        Piece(
            """\
class $Model(nn.Module):  # which sign does a hand show?
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv3d(3, $width, 3, padding=1)
        self.norm = nn.BatchNorm3d($width)
        self.second = nn.Conv3d($width, $width, 3, stride=2, padding=1)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T, C, H, W = video.shape
        x = video.permute(0, 2, 1, 3, 4)
        x = self.norm(self.first(x)).relu()
        x = self.second(x).relu()
        return self.head(x.mean((2, 3, 4)))
""",
            (
                Bug(
                    "axes",
                    "video.permute(0, 2, 1, 3, 4)",
                    "video.reshape(B, C, T, H, W)",
                    AXES_QUESTION,
                    "`forward`, before the first layer",
                    "`reshape` cuts the row of numbers again; only `permute` moves an axis.",
                ),
                Bug(
                    "batch",
                    "nn.BatchNorm3d($width)",
                    "nn.BatchNorm3d($width, track_running_stats=False)",
                    BATCH_QUESTION,
                    "`__init__`: which layer uses the other clips of a batch, and until when?",
                    "In evaluation, too, the statistics came from the other clips of the batch.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    1,
    {
        "Model": ("HandNet", "SignNet", "GestureNet"),
        "width": (8, 10, 12),
        "frames": (5, 6, 7),
    },
)

GAIT = Hunt(
    "gait",
    (
        SPLIT_EVERY_FOURTH,
        Piece(
            """\
class $Model(nn.Module):  # how does this person walk?
    def __init__(self, classes):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, $width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d($width, $width, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.$rnn = nn.$Rnn($width, $width, batch_first=True)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T = video.shape[:2]
        maps = self.cnn(video.flatten(0, 1))
        steps = maps.mean((2, 3)).view(B, T, -1)
        outputs, _ = self.$rnn(steps)
        return self.head(outputs[:, -1])
""",
            (
                Bug(
                    "batch",
                    "nn.$Rnn($width, $width, batch_first=True)",
                    "nn.$Rnn($width, $width)",
                    BATCH_QUESTION,
                    "`__init__`: in which order does a recurrent layer expect its axes?",
                    "Without `batch_first` the layer works along the clips of the batch.",
                ),
                Bug(
                    "time",
                    "maps.mean((2, 3)).view(B, T, -1)",
                    "maps.mean((2, 3)).view(B, T, -1).mean(1, keepdim=True)",
                    "How many steps does the recurrent layer get? Print the shape of its input.",
                    "`forward`, where `steps` is made",
                    "Time was averaged away before the layer that should use it.",
                ),
                Bug(
                    "time",
                    "maps.mean((2, 3)).view(B, T, -1)",
                    "maps.view(B, T, -1, *maps.shape[2:]).mean((1, 3, 4)).unsqueeze(1)",
                    "How many steps does the recurrent layer get? Print the shape of its input.",
                    "`forward`, where `steps` is made: which axes are averaged?",
                    "Time was averaged with space, and `unsqueeze` does not bring it back.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    2,
    {
        "Model": ("GaitNet", "WalkNet", "StepNet"),
        "width": (10, 12, 14),
        "frames": (5, 6, 7),
        "rnn": ("rnn", "memory", "over_time"),
        "Rnn": ("GRU", "LSTM"),
    },
)

DOORS = Hunt(
    "doors",
    (
        PICK_ENDS,
        Piece(
            """\
class $Model(nn.Module):  # does the door open or close?
    def __init__(self, classes):
        super().__init__()
        self.look = nn.Conv2d(3, $width, 5, stride=2, padding=2)
        self.move = nn.Conv1d($width, $width, 3, padding=1)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T = video.shape[:2]
        pictures = self.look(video.flatten(0, 1)).relu()
        steps = pictures.mean((2, 3)).view(B, T, -1)
        moves = self.move(steps.transpose(1, 2)).relu()
        return self.head(moves.amax(2))
""",
            (
                Bug(
                    "axes",
                    "steps.transpose(1, 2)",
                    "steps.reshape(B, -1, T)",
                    AXES_QUESTION,
                    "`forward`, where `moves` is made",
                    "`reshape` gave the right shape and mixed features with moments.",
                ),
                Bug(
                    "learning",
                    "self.head(moves.amax(2))",
                    "self.head(steps.amax(1))",
                    "After `backward`, which parameters have no gradient at all?",
                    "`forward`, its last line",
                    "What the layer along time computes was never used.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    2,
    {
        "Model": ("DoorNet", "GateNet", "HingeNet"),
        "width": (8, 10, 12),
        "frames": (5, 6, 7),
    },
)

HUNTS = (SIGNS, GAIT, DOORS)
