"""Parts that several programs share: choosing frames, splitting people, training."""

from ..parts import Bug, Piece

ONE_AND_FIVE = "Ask `pick` for 8 of 15 frames, of 30, and of 5. Write down what nobody will see."
BOTH_SIDES = "Make a list of clips. Which people are in `train`, and which in `test`?"
WHICH_MODE = (
    "Let the model print `self.training` in `forward`, and train for two epochs. What should it be "
    "in each call?"
)

PICK_MIDDLES = Piece(
    """\
def pick(num_frames, length):  # which frames of a video make a clip
    return [(2 * i + 1) * num_frames // (2 * length) for i in range(length)]
""",
    (
        Bug(
            "frames",
            "[(2 * i + 1) * num_frames // (2 * length) for i in range(length)]",
            "[min(i, num_frames - 1) for i in range(length)]",
            ONE_AND_FIVE,
            "`pick`",
            "Only the beginning of a long video was ever seen.",
        ),
    ),
)

PICK_ENDS = Piece(
    """\
def pick(num_frames, length):  # which frames of a video make a clip
    places = torch.linspace(0, num_frames - 1, length)
    return places.round().int().tolist()
""",
    (
        Bug(
            "frames",
            """\
    places = torch.linspace(0, num_frames - 1, length)
    return places.round().int().tolist()
""",
            """\
    step = max(1, num_frames // length)
    return [min(i * step, num_frames - 1) for i in range(length)]
""",
            ONE_AND_FIVE,
            "`pick`",
            "The step was rounded down: 8 of 15 frames were the first 8.",
        ),
    ),
    ("import torch",),
)

PICK_SHORT = Piece(
    """\
def pick(num_frames, length):  # which frames of a video make a clip
    if num_frames < length:
        return [i * num_frames // length for i in range(length)]
    return [i * (num_frames - 1) // (length - 1) for i in range(length)]
""",
    (
        Bug(
            "frames",
            "        return [i * num_frames // length for i in range(length)]\n",
            """\
        repeats = length // num_frames + 1
        return [i // repeats for i in range(length)]
""",
            ONE_AND_FIVE,
            "`pick`, where a video is short",
            "Short videos lost their end: repeated first, cut afterwards.",
        ),
    ),
)

SPLIT_EVERY_FOURTH = Piece(
    """\
def split(clips):  # each has a path, a label and a person
    people = sorted({clip.person for clip in clips})
    held_out = set(people[::4])
    test = [clip for clip in clips if clip.person in held_out]
    return [clip for clip in clips if clip not in test], test
""",
    (
        Bug(
            "people",
            """\
    people = sorted({clip.person for clip in clips})
    held_out = set(people[::4])
    test = [clip for clip in clips if clip.person in held_out]
""",
            "    test = clips[::4]\n",
            BOTH_SIDES,
            "`split`",
            "Clips were held out, not people: most people of the test were seen in training.",
        ),
    ),
)

SPLIT_SHUFFLED = Piece(
    """\
def split(clips):  # each has a path, a label and a person
    people = sorted({clip.person for clip in clips})
    random.Random(0).shuffle(people)
    seen = people[len(people) // 4 :]
    train = [clip for clip in clips if clip.person in seen]
    return train, [clip for clip in clips if clip.person not in seen]
""",
    (
        Bug(
            "people",
            """\
    people = sorted({clip.person for clip in clips})
    random.Random(0).shuffle(people)
    seen = people[len(people) // 4 :]
    train = [clip for clip in clips if clip.person in seen]
    return train, [clip for clip in clips if clip.person not in seen]
""",
            """\
    clips = sorted(clips)
    random.Random(0).shuffle(clips)
    return clips[len(clips) // 4 :], clips[: len(clips) // 4]
""",
            BOTH_SIDES,
            "`split`",
            "Clips were shuffled, not people: the same people were on both sides.",
        ),
    ),
    ("import random",),
)

SPLIT_BY_NAME = Piece(
    """\
def split(clips):
    train, test = [], []
    for clip in clips:  # its path is person-label-take.mp4
        person, label, take = clip.path.removesuffix(".mp4").split("-")
        (test if int(person) % 3 == 0 else train).append(clip)
    return train, test
""",
    (
        Bug(
            "people",
            "(test if int(person) % 3 == 0 else train)",
            "(test if int(take) % 3 == 0 else train)",
            BOTH_SIDES,
            "`split`: which of the three parts of a name decides?",
            "The take decided the side of a clip, and every person has all takes.",
        ),
    ),
)

TRAIN = Piece(
    """\
def evaluate(model, batches):
    model.eval()
    with torch.no_grad():
        right = [model(video).argmax(1) == labels for video, labels in batches]
    return torch.cat(right).float().mean().item()


def train(model, batches, test_batches, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=$rate)
    for epoch in range(epochs):
        model.train()
        for video, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(video), labels).backward()
            optimizer.step()
        print(f"epoch {epoch}: {evaluate(model, test_batches):.2f} right")
""",
    (
        Bug(
            "mode",
            "    for epoch in range(epochs):\n        model.train()\n",
            "    model.train()\n    for epoch in range(epochs):\n",
            WHICH_MODE,
            "`train`: what has `evaluate` left behind when the second epoch begins?",
            "From the second epoch on the model was trained in evaluation mode.",
        ),
        Bug(
            "mode",
            "def evaluate(model, batches):\n    model.eval()\n    with torch.no_grad():\n",
            "def evaluate(model, batches):\n    with torch.no_grad():\n",
            WHICH_MODE,
            "`evaluate`: does `no_grad` change the mode?",
            "The model was evaluated in training mode: dropout was on, batch norms used the batch.",
        ),
    ),
    ("import torch", "from torch.nn import functional as F"),
)

EVALUATE = Piece(
    """\
def evaluate(model, batches):
    model.eval()
    right = total = 0
    for video, labels in batches:
        right += int((model(video).argmax(1) == labels).sum())
        total += len(labels)
    return right / total
""",
    (
        Bug(
            "mode",
            "def evaluate(model, batches):\n    model.eval()\n    right = total = 0",
            "def evaluate(model, batches):\n    right = total = 0",
            "Ask `evaluate` twice about the same model and the same clips. Are the numbers equal?",
            "`evaluate`: in which mode is the model?",
            "`evaluate` did not set the mode, and after training the model is in training mode.",
        ),
    ),
)
