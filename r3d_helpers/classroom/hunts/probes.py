"""Probes: test a program by its behaviour alone, and return complaints, or none if all is well.

A complaint says what happens, never where in the program.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ... import guards

CLASSES = 4
GUARDS = {"modes": "mode"}  # the family of a guard, if its name is another one
# These families can be checked only if the model returns an answer.
OF_THE_MODEL = ("answer", "axes", "time", "learning", "batch", "copies")


class Complaint(NamedTuple):
    """What a program does wrong; ``where`` is not shown, but two places are two complaints."""

    said: str
    where: str = ""


Complaints = dict[str, list[Complaint]]


class Clip(NamedTuple):
    """One clip, as a program's ``split`` gets it."""

    path: str
    label: str
    person: str


def model(made: nn.Module, shape: tuple[int, ...], weights: int) -> Complaints:
    """Check a model with the package's guards, and whether it still has all its weights.

    Args:
        made: the program's model.
        shape: of a clip, ``[T, C, H, W]``.
        weights: the number of weights in the correct program.
    """
    video = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    found: Complaints = {family: [] for family in (*OF_THE_MODEL, "mode", "parts")}
    targets = torch.tensor([0, CLASSES - 1])
    for finding in guards.check(made, video, targets).findings:
        family = GUARDS.get(finding.guard, finding.guard)
        if family == "learning" and _recurrent(made, finding.where):
            family = "time"  # a recurrent layer whose memory is never used
        found[family].append(Complaint(finding.message, finding.where))
    if sum(parameter.numel() for parameter in made.parameters()) < weights:
        found["parts"] = _said(
            "the model has fewer weights than it should have: a part was removed that should have "
            "been fixed."
        )
    return found


def _said(*complaints: str) -> list[Complaint]:
    return [Complaint(said) for said in complaints]


def _recurrent(made: nn.Module, where: str) -> bool:
    names = {name for name, part in made.named_modules() if isinstance(part, nn.RNNBase)}
    return any(where == name or where.startswith(f"{name}.") for name in names)


def learns(made: nn.Module, train: Callable | None, shape: tuple[int, ...]) -> Complaints:
    """Train briefly on clips whose class is their brightness; the loss must fall."""
    torch.manual_seed(0)
    labels = torch.arange(2 * CLASSES) % CLASSES
    level = 2 * labels.view(-1, 1, 1, 1, 1) - CLASSES
    videos = (level + torch.randn(len(labels), *shape) / 4).split(4)
    batches = list(zip(videos, labels.split(4), strict=True))
    before = _loss(made, batches)
    (train or _train)(made, batches, batches, 12)
    after = _loss(made, batches)
    fine = after < 0.95 * before
    said = () if fine else ("after a short training the loss is no lower than before.",)
    return {"learns": _said(*said)}


def _train(made: nn.Module, batches: list, test_batches: list, epochs: int) -> None:
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    made.train()
    for _ in range(epochs):
        for video, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(made(video), labels).backward()
            optimizer.step()


@torch.no_grad()
def _loss(made: nn.Module, batches: list) -> float:
    made.train()
    return sum(F.cross_entropy(made(video), labels).item() for video, labels in batches)


def frames(pick: Callable) -> Complaints:
    """Check that ``pick(num_frames, length)`` is in order, even, and reaches both ends."""
    for num_frames, length in ((15, 8), (30, 8), (16, 16), (5, 8), (15, 16), (9, 16)):
        said = f"{length} of {num_frames} frames are asked for, and "
        try:
            kept = [int(index) for index in pick(num_frames, length)]
        except Exception as error:
            return {"frames": _said(f"{said}the answer is {type(error).__name__}: {error}.")}
        if len(kept) != length:
            return {"frames": _said(f"{said}{len(kept)} come back.")}
        if not all(0 <= index < num_frames for index in kept):
            return {"frames": _said(f"{said}one of them is not in the video.")}
        if kept != sorted(kept):
            return {"frames": _said(f"{said}they come out of order.")}
        widest = max((b - a for a, b in pairwise(kept)), default=0)
        if num_frames <= length and (lost := set(range(num_frames)) - set(kept)):
            return {"frames": _said(f"a short video has frames that nobody sees: {said}{len(lost)} "
                               "never appear.")}  # fmt: skip
        if num_frames - kept[-1] > 1 + widest or num_frames - 1 - kept[-1] > num_frames / length:
            return {"frames": _said(f"{said}nothing after frame {kept[-1]} is ever seen.")}
        if kept[0] > num_frames / length:
            return {"frames": _said(f"{said}nothing before frame {kept[0]} is ever seen.")}
        if widest > num_frames / (length - 1) + 1:
            return {"frames": _said(f"{said}there is a gap of {widest} between two of them.")}
    return {"frames": []}


def people(split: Callable) -> Complaints:
    """Check that ``split(clips)`` puts every person on one side, and uses every clip once."""
    clips = [
        Clip(f"{person:02}-{label}-{take}.mp4", label, f"{person:02}")
        for label in ("left", "right", "stop")
        for person in range(1, 13)
        for take in (1, 2, 3, 4)
    ]
    by_person = sorted(clips, key=lambda clip: clip.person)
    for given in (clips, by_person, clips[::-1]):
        try:
            train, test = (list(part) for part in split(list(given)))
            (trained, tested) = ({clip.person for clip in part} for part in (train, test))
        except Exception as error:
            return {"people": _said(f"`split` raises {type(error).__name__}: {error}.")}
        if not train or not test:
            empty = "training" if not train else "test"
            return {"people": _said(f"the {empty} set has no clip.")}
        if both := trained & tested:
            return {"people": _said(_shared(len(both)))}
        if len(train) + len(test) != len(given) or {*train, *test} != set(given):
            return {"people": _said("not every clip is in exactly one of the two sets.")}
        if len({clip.label for clip in test}) < 3 or len({clip.label for clip in train}) < 3:
            return {"people": _said("one of the two sets has no clip of a label of the other.")}
        if len(tested) > len(trained):
            return {"people": _said("most people are held out, and few are left to learn from.")}
    return {"people": []}


def _shared(count: int) -> str:
    return "the same people are on both sides." if count > 1 else "one person is on both sides."


class _Spy(nn.Module):
    """Records the mode in every call; its answer is the brightness of a clip, as a class."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(CLASSES))
        self.calls: list[tuple[bool, bool]] = []  # whether a training clip, whether in train mode

    def forward(self, video: Tensor) -> Tensor:
        level = video.flatten(1).amax(1)
        self.calls.append((bool((level < CLASSES).all()), self.training))
        return F.one_hot(level.round().long() % CLASSES, CLASSES) + self.shift


def modes(space: Mapping[str, object]) -> Complaints:
    """Check the modes in which ``train`` and ``evaluate`` run, and the result of ``evaluate``."""
    train, evaluate = space.get("train"), space.get("evaluate")
    seen, unseen = _levels(0, (0, 1, 2, 3)), _levels(CLASSES, (0, 1, 2, 3, 2))
    spy, complaints, counts = _Spy(), [], []
    if callable(train):
        start = spy.shift.detach().clone()
        train(spy, seen, unseen, 3)
        trained = [training for training_set, training in spy.calls if training_set]
        if not trained or spy.shift.equal(start):
            counts.append("training moves no weight.")
        elif not trained[0]:
            complaints.append("the model is trained in evaluation mode, from the beginning.")
        elif not all(trained):
            complaints.append("after some time the model is trained in evaluation mode.")
        evaluated = [training for training_set, training in spy.calls if not training_set]
        if any(evaluated):
            complaints.append("the model is evaluated in training mode.")
    if callable(evaluate):
        spy = _Spy().train()
        told = evaluate(spy, unseen)
        if not spy.calls:
            counts.append("evaluation never calls the model.")
        if any(training for _, training in spy.calls):
            complaints.append("the model is evaluated in training mode.")
        if not isinstance(told, int | float) or abs(told - 0.8) > 1e-6:
            counts.append("4 of 5 answers are right, and `evaluate` does not say 0.8.")
    return {"mode": _said(*dict.fromkeys(complaints)), "counts": _said(*counts)}


def _levels(shift: int, levels: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """Clips of one brightness each, in batches of four; the fifth has a wrong label."""
    video = torch.tensor(levels).view(-1, 1, 1, 1, 1).float() + shift
    labels = torch.tensor(levels) if len(levels) == 4 else torch.tensor([*levels[:-1], 0])
    return list(zip(video.split(4), labels.split(4), strict=True))
