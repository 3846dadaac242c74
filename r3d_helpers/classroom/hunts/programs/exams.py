"""The hunt before the lessons, and the one after: the same families, other programs."""

from ..parts import Bug, Hunt, Piece
from .easy import AXES_QUESTION, BATCH_QUESTION, LEARNING_QUESTION
from .middle import NO_GRADIENT
from .pieces import PICK_ENDS, PICK_SHORT, SPLIT_EVERY_FOURTH, SPLIT_SHUFFLED

BEFORE = Hunt(
    "before",
    (
        PICK_ENDS,
        SPLIT_EVERY_FOURTH,
        Piece(
            """\
class $Model(nn.Module):  # which stroke does the swimmer swim?
    def __init__(self, classes):
        super().__init__()
        self.look = nn.Conv2d(3, $width, 5, stride=2, padding=2)
        self.gate = nn.Linear($width, $width)
        self.move = nn.Conv1d($width, $width, 3, padding=1)
        self.gru = nn.GRU($width, $width, batch_first=True)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T = video.shape[:2]
        x = self.look(video.flatten(0, 1)).relu().mean((2, 3))
        x = x * self.gate(x).sigmoid()
        x = x.view(B, T, -1).transpose(1, 2)
        x = self.move(x).relu().transpose(1, 2)
        states, _ = self.gru(x)
        return self.head(states.mean(1))
""",
            (
                Bug(
                    "axes",
                    "x.view(B, T, -1).transpose(1, 2)",
                    "x.view(B, -1, T)",
                    AXES_QUESTION,
                    "`forward`, before `move` is called",
                    "`view` gave the right shape and mixed features with moments.",
                ),
                Bug(
                    "learning",
                    "        x = x * self.gate(x).sigmoid()\n",
                    "        gated = x * self.gate(x).sigmoid()\n",
                    NO_GRADIENT,
                    "`forward`: follow what the gate gives",
                    "The gated features were computed and thrown away.",
                ),
                Bug(
                    "batch",
                    "nn.GRU($width, $width, batch_first=True)",
                    "nn.GRU($width, $width)",
                    BATCH_QUESTION,
                    "`__init__`: in which order does a GRU expect its axes?",
                    "Without `batch_first` the GRU worked along the clips of the batch.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    5,
    {"Model": ("SwimNet", "PoolNet", "StrokeNet"), "width": (10, 12, 14), "frames": (5, 6, 7)},
)

AFTER = Hunt(
    "after",
    (
        SPLIT_SHUFFLED,
        Piece(
            """\
class $Model(nn.Module):  # which dance is it?
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv3d(3, $width, 3, stride=(1, 2, 2), padding=1)
        self.second = nn.Conv3d($width, $width, 3, padding=1)
        self.extra = nn.Linear($width, $width)
        self.attend = nn.MultiheadAttention($width, 2, batch_first=True)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T, C, H, W = video.shape
        maps = self.first(video.permute(0, 2, 1, 3, 4)).relu()
        maps = self.second(maps).relu()
        steps = maps.mean((3, 4)).transpose(1, 2)
        steps = steps + self.extra(steps).relu()
        seen, _ = self.attend(steps, steps, steps)
        return self.head(seen.mean(1))
""",
            (
                Bug(
                    "axes",
                    "video.permute(0, 2, 1, 3, 4)",
                    "video.reshape(B, C, T, H, W)",
                    AXES_QUESTION,
                    "`forward`, before the first layer",
                    "`reshape` cut the row of numbers again, instead of moving an axis.",
                ),
                Bug(
                    "learning",
                    "        steps = steps + self.extra(steps).relu()\n",
                    "        steps + self.extra(steps).relu()\n",
                    NO_GRADIENT,
                    "`forward`: is every result given a name?",
                    "The sum was computed and thrown away.",
                ),
                Bug(
                    "batch",
                    "nn.MultiheadAttention($width, 2, batch_first=True)",
                    "nn.MultiheadAttention($width, 2)",
                    BATCH_QUESTION,
                    "`__init__`: in which order does attention expect its axes?",
                    "Without `batch_first` the moments of a clip looked at other clips.",
                ),
            ),
            LEARNING_QUESTION,
        ),
        PICK_SHORT,
    ),
    5,
    {"Model": ("DanceNet", "BalletNet", "TangoNet"), "width": (8, 10, 12, 14), "frames": (5, 6, 7)},
)

HUNTS = (BEFORE, AFTER)
