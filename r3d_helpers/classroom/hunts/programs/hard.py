"""Hunts of difficulty 3: four and five bugs."""

from ..parts import Bug, Hunt, Piece
from .easy import AXES_QUESTION, BATCH_QUESTION, LEARNING_QUESTION
from .middle import NO_GRADIENT
from .pieces import EVALUATE, PICK_ENDS, SPLIT_SHUFFLED, TRAIN

TRAFFIC = Hunt(
    "traffic",
    (
        Piece(
            """\
class $Model(nn.Module):  # what will this car do next?
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, $width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d($width, $width, 3, padding=1) for _ in range(2))
        self.over_time = nn.Conv1d($width, $width, 3, padding=1)
        self.score = nn.Linear($width, 1)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        B, T = video.shape[:2]
        x = self.stem(video.flatten(0, 1)).relu()
        for block in self.blocks:
            x = x + block(x).relu()
        x = x.mean((2, 3)).view(B, T, -1)
        steps = self.over_time(x.transpose(1, 2)).relu().transpose(1, 2)
        return self.head((self.score(steps).softmax(1) * steps).sum(1))
""",
            (
                Bug(
                    "learning",
                    "nn.ModuleList(nn.Conv2d($width, $width, 3, padding=1) for _ in range(2))",
                    "[nn.Conv2d($width, $width, 3, padding=1) for _ in range(2)]",
                    NO_GRADIENT,
                    "`__init__`: in what are the blocks kept?",
                    "A plain list hides modules: no optimizer moved the blocks.",
                ),
                Bug(
                    "batch",
                    "self.score(steps).softmax(1)",
                    "self.score(steps).softmax(0)",
                    BATCH_QUESTION,
                    "`forward`, its last line: what adds up to one?",
                    "The weights of a moment added up to one over the clips, not over time.",
                ),
                Bug(
                    "axes",
                    "self.over_time(x.transpose(1, 2)).relu()",
                    "self.over_time(x.reshape(B, -1, T)).relu()",
                    AXES_QUESTION,
                    "`forward`, where the layer along time is called",
                    "`reshape` mixed features with moments; `transpose` moves the axis.",
                ),
            ),
            LEARNING_QUESTION,
        ),
        TRAIN,
    ),
    4,
    {
        "Model": ("CarNet", "TrafficNet", "RoadNet"),
        "width": (8, 10, 12),
        "rate": ("2e-3", "3e-3", "5e-3"),
        "frames": (5, 6, 7),
    },
)

MICE = Hunt(
    "mice",
    (
        SPLIT_SHUFFLED,
        PICK_ENDS,
        Piece(
            """\
class $Model(nn.Module):  # what does the mouse do? first along space, then along time
    def __init__(self, classes):
        super().__init__()
        self.space = nn.Conv3d(3, $width, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d($width, $width, (3, 1, 1), padding=(1, 0, 0))
        self.norm = nn.BatchNorm3d($width)
        self.skip = nn.Linear($width, $width)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        x = self.norm(self.space(video.transpose(1, 2))).relu()
        moves = self.time(x.mean((3, 4), keepdim=True)).relu()
        return self.head(moves.amax((2, 3, 4)) + self.skip(x.mean((2, 3, 4))))
""",
            (
                Bug(
                    "axes",
                    "video.transpose(1, 2)",
                    "video.permute(0, 2, 1, 4, 3)",
                    "Give the model a video in which a bright bar moves down. In which direction "
                    "does it move in what the first layer gets?",
                    "`forward`, its first line: write a letter below each number",
                    "Height and width had changed places as well.",
                ),
                Bug(
                    "time",
                    "x.mean((3, 4), keepdim=True)",
                    "x.mean((2, 3, 4), keepdim=True)",
                    "How many steps does the layer along time get? Print the shape of its input.",
                    "`forward`, where `moves` is made",
                    "Time was averaged away before the layer along time.",
                ),
                Bug(
                    "learning",
                    "+ self.skip(x.mean((2, 3, 4))))",
                    "+ x.mean((2, 3, 4)))",
                    NO_GRADIENT,
                    "`forward`: which layer of `__init__` is not called?",
                    "`skip` was created and never called.",
                ),
            ),
            LEARNING_QUESTION,
        ),
        EVALUATE,
    ),
    5,
    {
        "Model": ("MouseNet", "CageNet", "LabNet"),
        "width": (8, 10, 12),
        "frames": (5, 6, 7),
    },
)

HUNTS = (TRAFFIC, MICE)
