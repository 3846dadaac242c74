"""Hunts of difficulty 2: three bugs."""

from ..parts import Bug, Hunt, Piece
from .easy import AXES_QUESTION, BATCH_QUESTION, LEARNING_QUESTION
from .pieces import PICK_MIDDLES, PICK_SHORT, SPLIT_BY_NAME, TRAIN

COPY_IT = (
    "Copy the model with `copy.deepcopy`, set all weights of the original to zero, and ask the "
    "copy. Has its answer changed?"
)
NO_GRADIENT = (
    "After `backward`, which parameters have a gradient of `None`, or of exactly zero? Are all "
    "that you would want to train among `parameters()`?"
)

LIPS = Hunt(
    "lips",
    (
        PICK_SHORT,
        Piece(
            """\
class Gate(nn.Module):  # turns down channels that do not help
    def __init__(self, width):
        super().__init__()
        self.down = nn.Linear(width, width // 2)
        self.up = nn.Linear(width // 2, width)

    def forward(self, x):
        scores = self.up(self.down(x.mean((2, 3, 4))).relu())
        return x * scores.sigmoid()[:, :, None, None, None]


def gated(layer, width):
    def hook(layer, inputs, output):
        return layer.gate(output)

    layer.gate = Gate(width)
    layer.register_forward_hook(hook)
    return layer


class $Model(nn.Module):  # which vowel do these lips form?
    def __init__(self, classes):
        super().__init__()
        self.one = gated(nn.Conv3d(3, $width, 3, padding=1), $width)
        self.two = gated(nn.Conv3d($width, $width, 3, padding=1), $width)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        x = self.two(self.one(video.transpose(1, 2)).relu()).relu()
        return self.head(x.mean((2, 3, 4)))
""",
            (
                Bug(
                    "copies",
                    """\
    def hook(layer, inputs, output):
        return layer.gate(output)

    layer.gate = Gate(width)
""",
                    """\
    def hook(layer, inputs, output):
        return gate(output)

    gate = layer.gate = Gate(width)
""",
                    COPY_IT,
                    "`gated`: whose gate does the hook of a copy call?",
                    "The hook remembered the first model's gate, and every copy used it.",
                ),
                Bug(
                    "learning",
                    "scores.sigmoid()[",
                    "scores.sigmoid().round()[",
                    NO_GRADIENT,
                    "`Gate`, its last line: what is the slope of the function that comes last?",
                    "A step has a slope of zero everywhere: the gates could not learn.",
                ),
                Bug(
                    "batch",
                    "scores.sigmoid()[",
                    "scores.softmax(0)[",
                    BATCH_QUESTION,
                    "`Gate`, its last line: which axis does the function look along?",
                    "The gates of a clip depended on the other clips of the batch.",
                ),
            ),
            LEARNING_QUESTION,
        ),
    ),
    3,
    {"Model": ("LipNet", "VowelNet", "MouthNet"), "width": (8, 10, 12), "frames": (4, 5, 6)},
)

COOKING = Hunt(
    "cooking",
    (
        Piece(
            """\
class $Model(nn.Module):  # stirring, cutting, pouring: a transformer over tubes
    def __init__(self, classes):
        super().__init__()
        self.tubes = nn.Conv3d(3, $width, (2, 8, 8), stride=(2, 8, 8))
        self.place = nn.Parameter(torch.zeros(1, $tokens, $width))
        layer = nn.TransformerEncoderLayer($width, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear($width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        x = self.tubes(video.transpose(1, 2))
        tokens = x.flatten(2).transpose(1, 2) + self.place
        return self.head(self.encoder(tokens).mean(1))
""",
            (
                Bug(
                    "axes",
                    "x.flatten(2).transpose(1, 2)",
                    "x.reshape(len(x), -1, $width)",
                    "A token should hold all channels of one tube. Set every value of `x` to the "
                    "number of its channel, and print one token.",
                    "`forward`, where `tokens` is made",
                    "`reshape` cut maps into pieces: a token was a stretch of one channel.",
                ),
                Bug(
                    "batch",
                    "nn.TransformerEncoderLayer($width, 4, 32, batch_first=True)",
                    "nn.TransformerEncoderLayer($width, 4, 32)",
                    BATCH_QUESTION,
                    "`__init__`: which axis does attention look along by default?",
                    "Without `batch_first` every token looked at the same token of other clips.",
                ),
                Bug(
                    "learning",
                    "nn.Parameter(torch.zeros(1, $tokens, $width))",
                    "torch.zeros(1, $tokens, $width, requires_grad=True)",
                    "Count what `model.parameters()` has. Is everything there that should learn?",
                    "`__init__`: which attributes does a module register?",
                    "A plain tensor is not registered: no optimizer ever moved it.",
                ),
            ),
            LEARNING_QUESTION,
        ),
        TRAIN,
    ),
    3,
    {
        "Model": ("KitchenNet", "CookNet", "ActionNet"),
        "width": (16, 20, 24),
        "rate": ("2e-3", "3e-3", "5e-3"),
        "frames": (6,),
        "tokens": (18,),
    },
)

FALLS = Hunt(
    "falls",
    (
        PICK_MIDDLES,
        SPLIT_BY_NAME,
        Piece(
            """\
def stream(width):
    first = nn.Conv3d(3, width, 3, stride=(1, 2, 2), padding=1)
    second = nn.Conv3d(width, width, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


class $Model(nn.Module):  # did a person fall? one stream sees pictures, one sees motion
    def __init__(self, classes):
        super().__init__()
        self.$looks, self.$moves = stream($width), stream($width)
        self.head = nn.Linear(2 * $width, classes)

    def forward(self, video):  # [B, T, C, H, W]
        x = video.transpose(1, 2)
        looks = self.$looks(x).mean((2, 3, 4))
        moves = self.$moves(x.diff(dim=2)).mean((2, 3, 4))
        return self.head(torch.cat([looks, moves], dim=1))
""",
            (
                Bug(
                    "axes",
                    "video.transpose(1, 2)",
                    "video.reshape(len(video), 3, -1, *video.shape[3:])",
                    AXES_QUESTION,
                    "`forward`, its first line",
                    "The shape was right and the numbers were not: `reshape` moves no axis.",
                ),
                Bug(
                    "learning",
                    "torch.cat([looks, moves], dim=1)",
                    "torch.cat([looks, looks], dim=1)",
                    NO_GRADIENT,
                    "`forward`, its last line",
                    "One of the two streams was computed and never used.",
                ),
                Bug(
                    "batch",
                    "self.head(torch.cat([looks, moves], dim=1))",
                    "self.head(F.normalize(torch.cat([looks, moves], dim=1), dim=0))",
                    BATCH_QUESTION,
                    "`forward`, its last line: over which axis is the length taken?",
                    "The length was taken over the clips of the batch.",
                ),
            ),
            ("import torch", *LEARNING_QUESTION, "from torch.nn import functional as F"),
        ),
    ),
    3,
    {
        "Model": ("FallNet", "AlarmNet", "CareNet"),
        "looks": ("looks", "still", "appearance"),
        "moves": ("moves", "motion", "changes"),
        "width": (6, 8, 10),
        "frames": (4, 5, 6),
    },
)

HUNTS = (LIPS, COOKING, FALLS)
