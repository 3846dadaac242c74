"""What does training cost? Five questions, each with a baseline of the same run.

    python benchmarks/training.py recipe   # seconds to UAR 0.90, against torchvision's own recipe
    python benchmarks/training.py tricks   # the effect of each trick of lesson 04's recipe
    python benchmarks/training.py step     # a training step, against a plain torchvision loop
    python benchmarks/training.py gates    # the gates, against the bare backbone
    python benchmarks/training.py cost     # frames and pixels, against the smallest clip

All arms of a table run in this process, on the same clips with the same number of threads, and
take turns, so that other load on the machine affects all of them. A table gives medians, and the
ratio to its baseline. On a GPU, ``step`` adds bfloat16 to both arms, and with ``--compile``
torch.compile.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product
from pathlib import Path

import r3d_helpers  # noqa: F401 (first: torchvision may need it, see `_torchvision`)

# isort: split
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video import r3d_18
from torchvision.transforms import v2

from r3d_helpers import R3DEmotion, TrainConfig, Trainer, datasets, recommended
from r3d_helpers.doctor import SAMPLES
from r3d_helpers.metrics import score
from r3d_helpers.model import whiten_

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLASSES = 7


# --- recipe: seconds to a score ---------------------------------------------------------------


def recipe(args: argparse.Namespace) -> None:
    """Train both ways on the same people up to a target score on other people."""
    clips = datasets.ravdess(args.root)
    arms = {
        "torchvision": partial(torchvision_recipe, args.plain_epochs),
        "lesson 04": partial(our_recipe, Recipe()),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in arms}
    for seed in range(args.seeds):
        train, val, test = datasets.train_val_test(clips, seed=seed)
        sets = lesson_sets(train, val + test)
        for name, arm in arms.items():
            found[name].append(seconds_to(args.target, arm(seed, *sets)))
            print(f"seed {seed}, {name}: {found[name][-1][0]:.0f} s", flush=True)
    medians = {name: middle(results, 0) for name, results in found.items()}
    plain_epoch = middle(found["torchvision"], 2) / args.plain_epochs
    rows = [
        (
            name,
            " ".join(f"{seconds:.0f}" for seconds, _, _ in results),
            f"{medians[name]:.0f}",
            f"{medians[name] / medians['torchvision']:.2f}",
            f"{middle(results, 1):.3f}",
            f"{middle(results, 2) / plain_epoch:.1f}",
        )
        for name, results in found.items()
    ]
    head = ("recipe", f"seconds to UAR {args.target:.2f}, by seed", "median")
    table((*head, "ratio", "last UAR, median", "whole run, in plain epochs"), rows)


def seconds_to(target: float, scored: Iterator[tuple[float, float]]) -> tuple[float, float, float]:
    """Seconds to the first epoch at ``target`` (or infinity), the last UAR, seconds in all."""
    history = list(scored)
    reached = [seconds for seconds, uar in history if uar >= target]
    return min(reached, default=float("inf")), history[-1][1], history[-1][0]


@dataclass(frozen=True)
class Recipe:
    """The recipe of lesson 04, or one with a few changes."""

    lean: bool = True
    whiten: bool = True
    freeze: str = "stem"
    lr: float = 1e-3
    epochs: int = 3


def lesson_sets(
    train: list[datasets.Clip], test: list[datasets.Clip]
) -> tuple[datasets.ClipDataset, datasets.ClipDataset]:
    """Training and validation set of lesson 04, decoded before the time is measured."""
    shape = {"clip_len": 4, "size": 32, "reader": datasets.InMemory()}
    train_set = recommended.train_set(train, **shape, transform=v2.RandomHorizontalFlip())
    test_set = datasets.ClipDataset(test, **shape, classes=train_set.classes)
    for dataset in (train_set, test_set):
        list(dataset)
    return train_set, test_set


def our_recipe(
    recipe: Recipe, seed: int, train_set: Dataset, test_set: Dataset
) -> list[tuple[float, float]]:
    """Train in `Trainer`, checkpoints included: (seconds so far, UAR) by epoch."""
    torch.manual_seed(seed)
    model = recommended.model(CLASSES, clip_len=4, dropout=0.0, lean=recipe.lean)
    config = TrainConfig(
        epochs=recipe.epochs, freeze=recipe.freeze, lr=recipe.lr, seed=seed, progress=False
    )
    scored = []
    began = time.perf_counter()
    if recipe.whiten:
        videos = torch.stack([train_set[i][0] for i in range(0, len(train_set), 4)])
        whiten_(model.backbone.stem, videos)

    def note(record: dict) -> None:
        scored.append((time.perf_counter() - began, record["val_uar"]))

    with tempfile.TemporaryDirectory() as folder:
        Trainer(model, config, Path(folder, "run")).fit(train_set, test_set, after_epoch=note)
    return scored


def torchvision_recipe(
    epochs: int, seed: int, train_set: Dataset, test_set: Dataset
) -> Iterator[tuple[float, float]]:
    """The defaults of torchvision's references/video_classification/train.py, plain r3d_18."""
    torch.manual_seed(seed)
    model = r3d_18(num_classes=CLASSES).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(train_set, 24, shuffle=True, drop_last=True)
    steps, warmup = len(loader), 10
    milestones = [steps * (epoch - warmup) for epoch in (20, 30, 40)]
    schedule = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=steps * warmup),
            lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1),
        ],
        [steps * warmup],
    )
    began = time.perf_counter()
    for _ in range(epochs):
        model.train()
        for video, target in loader:
            loss = nn.functional.cross_entropy(model(to_backbone(video)), target.to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            answered = [(model(to_backbone(v)).cpu(), t) for v, t in DataLoader(test_set, 24)]
        logits, targets = (torch.cat(column) for column in zip(*answered, strict=True))
        yield time.perf_counter() - began, score(logits, targets).uar


def to_backbone(video: Tensor) -> Tensor:
    """``[B, T, C, H, W]`` to ``[B, C, T, H, W]``, on the device."""
    return video.to(DEVICE).permute(0, 2, 1, 3, 4)


# --- tricks: lesson 04's recipe without one of them -------------------------------------------


def tricks(args: argparse.Namespace) -> None:
    """Leave out one trick at a time; scored on people who were not used for any choice."""
    clips = datasets.ravdess(args.root)
    arms = {
        "lesson 04": Recipe(),
        "whole, not lean": Recipe(lean=False),
        "filters at random, trained": Recipe(whiten=False, freeze="none"),
        "whitened, but trained on": Recipe(freeze="none"),
        "learning rate 4e-4": Recipe(lr=4e-4),
        "lean alone: 7 epochs, 4e-4": Recipe(whiten=False, freeze="none", lr=4e-4, epochs=7),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for split in range(args.splits):
        train, _, test = datasets.train_val_test(clips, seed=split)
        sets = lesson_sets(train, test)
        for seed, (name, recipe) in product(range(args.seeds), arms.items()):
            seconds, uar = our_recipe(recipe, seed, *sets)[-1]
            found[name].append((seconds, uar))
            print(f"split {split}, seed {seed}, {name}: {uar:.3f}, {seconds:.0f} s", flush=True)
    baseline = middle(found["lesson 04"], 0)
    rows = [
        (
            name,
            " ".join(f"{uar:.3f}" for _, uar in results),
            f"{middle(results, 1):.3f}",
            f"{middle(results, 0) / baseline:.2f}",
        )
        for name, results in found.items()
    ]
    print(f"{args.splits} splits of the people, {args.seeds} seeds each")
    table(("recipe", "UAR by run", "median", "time, to the first line"), rows)


# --- step: Trainer against a plain loop -------------------------------------------------------


@dataclass(frozen=True)
class Switches:
    """The switches of both arms."""

    bfloat16: bool = False
    channels_last: bool = False
    compile: bool = False

    def __str__(self) -> str:
        on = ["channels-last"] * self.channels_last + ["compiled"] * self.compile
        return ", ".join(["bfloat16" if self.bfloat16 else "float32", *on])


def step(args: argparse.Namespace) -> None:
    """The same network with the same switches, in a plain loop and in `Trainer`."""
    settings = [Switches(), Switches(channels_last=True)]
    if DEVICE.type == "cuda":  # on CPUs bfloat16 gives wrong gradients for some shapes
        settings += [Switches(bfloat16=True), Switches(bfloat16=True, channels_last=True)]
    if args.compile:
        settings += [replace(settings[0], compile=True), replace(settings[-1], compile=True)]
    clips = noise(args.steps * args.batch_size, args.clip_len, args.size)
    rows = []
    for switches in settings:
        arms = {
            "plain": partial(plain_loop, args, switches, clips),
            "Trainer": partial(trainer_loop, args, switches, clips, lean=False),
            "Trainer, lean": partial(trainer_loop, args, switches, clips, lean=True),
        }
        seconds = in_turn(arms, args.rounds)
        for name, value in seconds.items():
            shown = f"{1000 * value:.1f}", f"{args.batch_size / value:.1f}"
            rows.append((switches, name, *shown, f"{value / seconds['plain']:.2f}"))
    print(f"a step of {args.batch_size} clips of {args.clip_len} x {args.size} x {args.size}")
    table(("switches", "loop", "ms a step", "clips a second", "ratio to plain"), rows)


def plain_loop(args: argparse.Namespace, switches: Switches, clips: TensorDataset) -> float:
    """As a tutorial writes it: seconds per step of the second epoch."""
    model = r3d_18(num_classes=CLASSES).to(DEVICE)
    if switches.channels_last:
        model.to(memory_format=torch.channels_last_3d)
    if switches.compile:
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for _ in range(2):
        began = time.perf_counter()
        for video, target in DataLoader(clips, args.batch_size, shuffle=True):
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=switches.bfloat16):
                logits = model(to_backbone(video))
                loss = nn.functional.cross_entropy(logits, target.to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
    return (time.perf_counter() - began) / args.steps


def trainer_loop(
    args: argparse.Namespace, switches: Switches, clips: TensorDataset, lean: bool
) -> float:
    """The same in `Trainer`, without its checkpoints: seconds per step of the second epoch."""
    model = R3DEmotion(CLASSES, clip_len=args.clip_len, se=None, dropout=0.0, lean=lean)
    config = TrainConfig(
        epochs=2,
        batch_size=args.batch_size,
        lr=1e-4,
        precision="bfloat16" if switches.bfloat16 else "float32",
        channels_last=switches.channels_last,
        progress=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, config, Path(folder, "run"))
        if switches.compile:
            trainer.model.compile()
        few = TensorDataset(*clips[:2])  # a short validation, which takes hardly any time
        return trainer.fit(clips, few)[-1]["seconds"] / args.steps


# --- gates and cost ---------------------------------------------------------------------------


def gates(args: argparse.Namespace) -> None:
    """Measure the cost of the gates beside the backbone alone."""
    places = {"none": None, "output": "output", "residual": "residual"}
    build = partial(R3DEmotion, CLASSES, clip_len=args.clip_len, dropout=0.0)
    models = {name: build(se=se).to(DEVICE) for name, se in places.items()}
    clips = noise(args.batch_size, args.clip_len, args.size)
    trained, asked = (
        in_turn({n: partial(f, args, m, clips) for n, m in models.items()}, args.rounds)
        for f in (train_steps, answers)
    )
    rows = [
        (
            name,
            f"{sum(p.numel() for p in model.parameters()):,}",
            f"{1000 * trained[name]:.1f}",
            f"{trained[name] / trained['none']:.3f}",
            f"{1000 * asked[name]:.1f}",
            f"{asked[name] / asked['none']:.3f}",
        )
        for name, model in models.items()
    ]
    print(f"{args.batch_size} clips, {args.clip_len} x {args.size} x {args.size}")
    table(("gates", "parameters", "ms a step", "ratio", "ms to answer", "ratio"), rows)


def cost(args: argparse.Namespace) -> None:
    """Measure the cost of frames and pixels, whole and lean."""
    sizes = [(clip_len, size) for size in args.sizes for clip_len in args.clip_lens]
    rows, baseline = [], None
    for clip_len, size in sizes:
        clips = noise(args.batch_size, clip_len, size)
        models = {
            lean: R3DEmotion(CLASSES, clip_len=clip_len, dropout=0.0, lean=lean).to(DEVICE)
            for lean in (False, True)
        }
        arms = {lean: partial(train_steps, args, model, clips) for lean, model in models.items()}
        seconds = in_turn(arms, args.rounds)
        baseline = baseline or seconds[False]
        rows.append(
            (
                clip_len,
                size,
                *(f"{gigaflops(model, clips):.1f}" for model in models.values()),
                *(f"{args.batch_size / value:.1f}" for value in seconds.values()),
                f"{seconds[False] / baseline:.2f}",
                f"{seconds[True] / seconds[False]:.2f}",
            )
        )
    print(f"steps of {args.batch_size} clips; GFLOP count forward and backward")
    head = ("frames", "pixels", "GFLOP a clip", "lean", "clips a second", "lean")
    table((*head, "time, to the first line", "time, lean to whole"), rows)


def train_steps(args: argparse.Namespace, model: nn.Module, clips: TensorDataset) -> float:
    """Seconds per step, after a first one that is not measured."""
    video, target = (tensor.to(DEVICE) for tensor in clips.tensors)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4, fused=True)
    for number in range(args.steps + 1):
        if number == 1:
            began = now()
        optimizer.zero_grad(set_to_none=False)
        nn.functional.cross_entropy(model(video), target).backward()
        optimizer.step()
    return (now() - began) / args.steps


@torch.no_grad()
def answers(args: argparse.Namespace, model: nn.Module, clips: TensorDataset) -> float:
    """Seconds per forward pass in evaluation mode, after a first one that is not measured."""
    video = clips.tensors[0].to(DEVICE)
    model.eval()(video)
    began = now()
    for _ in range(args.steps):
        model(video)
    return (now() - began) / args.steps


def gigaflops(model: nn.Module, clips: TensorDataset) -> float:
    """Floating-point operations of a forward and a backward pass, per clip."""
    video, target = (tensor.to(DEVICE) for tensor in clips.tensors)
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(model(video), target).backward()
    return counter.get_total_flops() / len(video) / 1e9


# --- what all of them use ---------------------------------------------------------------------


def noise(count: int, clip_len: int, size: int) -> TensorDataset:
    """Random clips, which take as long as others."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(count, clip_len, 3, size, size, generator=generator)
    return TensorDataset(video, torch.arange(count) % CLASSES)


def now() -> float:
    """The time in seconds, after the device has finished its work."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def in_turn(arms: dict, rounds: int) -> dict:
    """Run every arm once a round, and take the median of each."""
    seconds: dict = {name: [] for name in arms}
    for name, arm in chain.from_iterable(arms.items() for _ in range(rounds)):
        seconds[name].append(arm())
    return {name: statistics.median(values) for name, values in seconds.items()}


def middle(results: Sequence[tuple[float, ...]], column: int) -> float:
    """The median of one column."""
    return statistics.median(result[column] for result in results)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table that is Markdown as well."""
    lines = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("| " + " | ".join(cells) + " |")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(all: %(default)s)")
    commands = parser.add_subparsers(required=True)

    def command(function: Callable, **numbers: float) -> argparse.ArgumentParser:
        add = commands.add_parser(function.__name__, help=function.__doc__.splitlines()[0])
        add.set_defaults(run=function)
        for name, value in numbers.items():
            option = f"--{name.replace('_', '-')}"
            add.add_argument(option, type=type(value), default=value, help="(%(default)s)")
        return add

    one_step = {"clip_len": 4, "size": 32, "batch_size": 16, "steps": 10, "rounds": 5}
    for add in (
        command(recipe, seeds=5, target=0.9, plain_epochs=25),
        command(tricks, seeds=3, splits=2),
    ):
        add.add_argument("--root", type=Path, default=SAMPLES, help="(the samples)")
    command(step, **one_step).add_argument(
        "--compile", action="store_true", help="with torch.compile, too"
    )
    command(gates, **one_step)
    add = command(cost, batch_size=8, steps=3, rounds=3)
    add.add_argument("--clip-lens", type=int, nargs="+", default=[4, 8, 16])
    add.add_argument("--sizes", type=int, nargs="+", default=[32, 56, 112])

    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{args.threads} thread(s)"
    print(f"torch {torch.__version__} on {DEVICE.type}, {name}")
    with contextlib.suppress(KeyboardInterrupt):
        args.run(args)


if __name__ == "__main__":
    main()
