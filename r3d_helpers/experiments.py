"""The long runs behind the lessons: resumable, one CSV row per finished run.

A result file begins with comment lines: the command that makes it and the versions it was made
with. Give the same command again after an interruption: finished runs are kept, the one that was
stopped goes on from its last epoch. Give it a second time meanwhile, in another terminal, and the
two share the runs that are left.
"""

import csv
import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from platform import python_version
from statistics import mean, stdev

import torch
import torchvision
from filelock import FileLock, Timeout
from torchvision.transforms import v2
from tqdm.auto import tqdm

from . import augment, datasets, evaluation, sampler
from .datasets import Clip
from .model import R3DEmotion
from .trainer import TrainConfig, Trainer, score

SE_SETTINGS = (
    {"se": "none", "se_init": "default"},
    {"se": "output", "se_init": "default"},
    {"se": "output", "se_init": "identity"},
    {"se": "residual", "se_init": "default"},
    {"se": "residual", "se_init": "identity"},
)
CLIP_SIZES = (  # a cross, not a grid
    {"clip_len": 4, "size": 32, "sampling": "uniform"},
    {"clip_len": 8, "size": 32, "sampling": "uniform"},
    {"clip_len": 16, "size": 32, "sampling": "uniform"},
    {"clip_len": 32, "size": 32, "sampling": "uniform"},
    {"clip_len": 4, "size": 48, "sampling": "uniform"},
    {"clip_len": 8, "size": 32, "sampling": "dense"},
)
AUGMENTATIONS = (
    *("none", "mirror", "light", "strong"),
    *("flicker", "reverse", "speed", "mixup", "cutmix"),  # light, and this
)
STRIDE = 2  # of dense sampling, frames
VIEWS = 3  # clips of one video to average over


@dataclass(frozen=True)
class Recipe:
    """What a run depends on besides the clips; as it stands, lesson 04's.

    Attributes:
        seed: which people are trained, validated and tested on, and the start.
        start: another start for the same split; None is that of ``seed``.
        test_fraction: share of the people to test on.
        val_fraction: share of the other people to validate on.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        sampling: ``"uniform"``: from the whole video; ``"dense"``: every second frame.
        augment: one of `AUGMENTATIONS`.
        se: as in `R3DEmotion`, with ``"none"`` for None.
        se_init: as in `R3DEmotion`.
        dropout: as in `R3DEmotion`.
        epochs: as in `TrainConfig`.
        lr: as in `TrainConfig`.
        weight_decay: as in `TrainConfig`.
        warmup: as in `TrainConfig`.

    Raises:
        ValueError: an unknown ``sampling`` or ``augment``; the others are checked where they go.
    """

    seed: int = 0
    start: int | None = None
    test_fraction: float = 0.2
    val_fraction: float = 0.15
    clip_len: int = 4
    size: int = 32
    sampling: str = "uniform"
    augment: str = "mirror"
    se: str = "output"
    se_init: str = "identity"
    dropout: float = 0.0
    epochs: int = 7
    lr: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.1

    def __post_init__(self) -> None:
        known = {"sampling": ("uniform", "dense"), "augment": AUGMENTATIONS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}"
                )


def train(
    recipe: Recipe,
    clips: Sequence[Clip],
    folder: str | os.PathLike,
    *,
    after_epoch: Callable[[dict], None] | None = None,
) -> tuple[Trainer, list[datasets.ClipDataset]]:
    """Train once, or go on with the run in ``folder``.

    Args:
        recipe: how.
        clips: all clips; the split is made here.
        folder: the run's.
        after_epoch: see `Trainer.fit`; after an interruption it gets the earlier epochs again.

    Returns:
        The trainer, with the best weights; and the test people's clips, not looked at yet, as
        `score_views` takes them.
    """
    train, val, test = datasets.train_val_test(
        clips, recipe.test_fraction, recipe.val_fraction, recipe.seed
    )
    shape = {
        "clip_len": recipe.clip_len,
        "size": recipe.size,
        "classes": sorted({clip.label for clip in clips}),
        "in_memory": True,
    }
    views = _views(recipe.sampling)
    train_set = datasets.ClipDataset(
        train, **shape, sampler=_random_sampler(recipe), transform=_transform(recipe.augment)
    )
    val_set = datasets.ClipDataset(val, **shape, sampler=views[VIEWS // 2])
    start = recipe.seed if recipe.start is None else recipe.start
    if Path(folder, "last.safetensors").exists():
        trainer = Trainer.resume(folder)
        for record in trainer.history if after_epoch else ():
            after_epoch(record)
    else:
        torch.manual_seed(start)
        model = R3DEmotion(
            len(shape["classes"]),
            clip_len=recipe.clip_len,
            se=None if recipe.se == "none" else recipe.se,
            se_init=recipe.se_init,
            dropout=recipe.dropout,
            lean=True,  # the same training but for rounding, in less time
        )
        config = TrainConfig(
            epochs=recipe.epochs,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            warmup=recipe.warmup,
            mix=recipe.augment if recipe.augment in ("mixup", "cutmix") else "none",
            seed=start,
            progress=False,
        )
        trainer = Trainer(model, config, folder)
    trainer.fit(train_set, val_set, after_epoch=after_epoch)
    return trainer, [datasets.ClipDataset(test, **shape, sampler=view) for view in views]


def score_views(trainer: Trainer, views: Sequence[datasets.ClipDataset]) -> dict[str, float]:
    """Score the middle one of several clips per video, and the average of their probabilities.

    Returns:
        ``val_uar`` of the best epoch, ``test_uar`` and ``test_war`` of one clip per video,
        ``views_uar`` of the average, and ``train_loss`` of the last epoch.
    """
    answers = [trainer.predict(view) for view in views]
    targets = answers[0][1]
    one = score(answers[len(views) // 2][0], targets)
    together = score(evaluation.average([logits for logits, _ in answers]), targets)
    return {
        "val_uar": max(record["val_uar"] for record in trainer.history),
        "test_uar": one.uar,
        "test_war": one.war,
        "views_uar": together.uar,
        "train_loss": trainer.history[-1]["train_loss"],
    }


def se(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[Mapping[str, str]] = SE_SETTINGS,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = 7,
    clip_len: int = 4,
    size: int = 32,
    lr: float = 4e-4,
) -> list[dict[str, str]]:
    """Compare where the gates sit and how they start, on people never seen.

    Each seed is another split of the people and another start, the same for all settings; the
    budget is that of lesson 04.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `SE_SETTINGS` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command.
    """
    options = {"epochs": epochs, "clip_len": clip_len, "size": size, "lr": lr}
    command = command_of("se", seeds=seeds, **options)
    return _compare(root, path, settings, seeds, options, command=command, work=work)


def clip_size(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[Mapping[str, str | int]] = CLIP_SIZES,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = 5,
    lr: float = 6e-4,
) -> list[dict[str, str]]:
    """Compare clip lengths, sizes and ways of sampling, on people never seen.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `CLIP_SIZES` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command.
    """
    options = {"epochs": epochs, "lr": lr}
    command = command_of("clip-size", seeds=seeds, **options)
    return _compare(root, path, settings, seeds, options, command=command, work=work)


def augmentation(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[str] = AUGMENTATIONS,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = 15,
    clip_len: int = 4,
    size: int = 32,
    lr: float = 4e-4,
) -> list[dict[str, str]]:
    """Compare augmentations where they are needed: with few people to learn from.

    Three fifths of the people are tested on, which makes the scores finer, and a third of the
    others is validated on.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `AUGMENTATIONS` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command, or an unknown setting.
    """
    options = {"epochs": epochs, "clip_len": clip_len, "size": size, "lr": lr}
    command = command_of("augmentation", seeds=seeds, **options)
    if tuple(settings) != AUGMENTATIONS:
        command = " ".join([command, "--settings", *settings])
    options |= {"test_fraction": 0.6, "val_fraction": 0.33}
    named = [{"augment": name} for name in settings]
    return _compare(root, path, named, seeds, options, command=command, work=work)


def _compare(
    root: str | os.PathLike,
    path: str | os.PathLike,
    settings: Sequence[Mapping],
    seeds: int,
    options: Mapping,
    *,
    command: str,
    work: str | os.PathLike,
) -> list[dict[str, str]]:
    """Every setting with every seed."""
    clips = datasets.ravdess(root)

    def one(setting: Mapping, folder: Path) -> dict[str, float]:
        return score_views(*train(Recipe(**options, **setting), clips, folder))

    for setting in settings:  # rather now than after hours
        Recipe(**options, **setting)
    grid = [{**setting, "seed": seed} for seed in range(seeds) for setting in settings]
    return sweep(Path(path), grid, one, command=command, work=Path(work))


def sweep(
    path: Path,
    grid: Sequence[Mapping],
    one: Callable[[Mapping, Path], Mapping[str, float | str]],
    *,
    command: str,
    work: Path,
) -> list[dict[str, str]]:
    """Make every run of ``grid`` that ``path`` does not hold yet, and return all rows.

    Several processes may do so at once: each run is made by one of them, and all return when the
    last run is finished.

    Args:
        path: the result file, rewritten after each run.
        grid: settings; all have the same names.
        one: makes one run in a folder of its own, which is kept if it is stopped, and returns
            what to note.
        command: goes into the file, and must be the same when it is continued.
        work: folder for the runs in progress; only empty locks are left in it.

    Raises:
        ValueError: ``path`` was made by another command, or there is nothing to run.
    """
    if not grid:
        raise ValueError("nothing to run: seeds, trials and settings must be 1 or more")
    # Two commands must not go on with each other's runs, nor one with those for another file.
    work = work / f"{path.stem}-{zlib.crc32(f'{path.resolve()} {command}'.encode()):08x}"
    names = [{key: str(value) for key, value in setting.items()} for setting in grid]

    def finished() -> set[int]:
        return {_place(names, row) for row in _rows(path, command)}

    def note(number: int, noted: Mapping[str, float | str]) -> None:
        with FileLock(work / "rows.lock"):
            rows = [*_rows(path, command), {**names[number], **_text(noted)}]
            _write(path, sorted(rows, key=partial(_place, names)), command)

    todo = [number for number in range(len(grid)) if number not in finished()]
    path.parent.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(grid), initial=len(grid) - len(todo), unit="run") as bar:
        # First what nobody else is at; then wait for the others, and take over from the dead.
        for blocking in (False, True):
            for number in list(todo):
                folder = work / "-".join(names[number].values())
                # The system frees a lock whose process dies.
                with suppress(Timeout), FileLock(f"{folder}.lock", blocking=blocking):
                    if number not in finished():
                        note(number, one(grid[number], folder))
                        shutil.rmtree(folder, ignore_errors=True)
                    todo.remove(number)
                    bar.update()
    return _rows(path, command)


def read(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a result file, all values as text."""
    lines = Path(path).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@dataclass(frozen=True)
class Gain:
    """How much better one setting is than another, pair by pair.

    Attributes:
        pairs: the difference on each split of the people.
        mean: of the pairs.
        error: the standard error of the mean. With three pairs, 95 % certainty takes 4.3 of them.
    """

    pairs: tuple[float, ...]
    mean: float
    error: float

    def __str__(self) -> str:
        pairs = " ".join(f"{pair:+.3f}" for pair in self.pairs)
        return f"{pairs}, mean {self.mean:+.3f}, standard error {self.error:.3f}"


def gain(scores: Sequence[float], others: Sequence[float]) -> Gain:
    """Compare two settings on the same splits of the people, in the same order.

    Raises:
        ValueError: fewer than two pairs, or scores without a partner.

    >>> print(gain([0.8, 0.9], [0.7, 0.6]))
    +0.100 +0.300, mean +0.200, standard error 0.100
    """
    if len(scores) != len(others) or len(scores) < 2:
        raise ValueError(
            f"a comparison needs 2 pairs or more, got {len(scores)} and {len(others)} scores"
        )
    pairs = tuple(score - other for score, other in zip(scores, others, strict=True))
    return Gain(pairs, mean(pairs), stdev(pairs) / len(pairs) ** 0.5)


def _rows(path: Path, command: str) -> list[dict[str, str]]:
    """What ``command`` has already written; it must not touch another's file."""
    if not path.exists():
        return []
    made_by = path.read_text().splitlines()[0]
    if made_by != f"# {command}":
        raise ValueError(
            f"{path} was made by another command ({made_by.lstrip('# ')}): delete it or name "
            "another file"
        )
    return read(path)


def _place(names: Sequence[Mapping[str, str]], row: Mapping[str, str]) -> int:
    """Which of the settings a row belongs to; behind them all, if to none."""
    found = (number for number, name in enumerate(names) if name.items() <= row.items())
    return next(found, len(names))


def _write(path: Path, rows: Sequence[Mapping[str, str]], command: str) -> None:
    part = path.with_suffix(".tmp")
    with part.open("w", newline="") as file:
        versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        # The same seed ends elsewhere with another instruction set or number of threads.
        cpu = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"
        file.write(f"# {command}\n# Python {python_version()}, {versions}, {cpu}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def _text(noted: Mapping[str, float | str]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else f"{v:.4g}" for k, v in noted.items()}


def command_of(name: str, **options: float) -> str:
    """The command line that goes into a result file."""
    words = [f"--{option.replace('_', '-')} {value:g}" for option, value in options.items()]
    return " ".join(["python -m r3d_helpers experiment", name, *words])


def _random_sampler(recipe: Recipe) -> Callable[[int, int], list[int]]:
    """What training samples with."""
    if recipe.sampling == "dense":
        return _random_dense
    jitter = partial(sampler.jitter, generator=None)
    return augment.Speed(jitter) if recipe.augment == "speed" else jitter


def _random_dense(num_frames: int, clip_len: int) -> list[int]:
    room = max(0, num_frames - (clip_len - 1) * STRIDE - 1)
    start = int(torch.randint(room + 1, ()))
    return sampler.dense(num_frames, clip_len, stride=STRIDE, start=start)


def _views(sampling: str) -> list[Callable[[int, int], list[int]]]:
    """`VIEWS` samplers for testing; the middle one is what a single clip is sampled with."""

    def dense(num_frames: int, clip_len: int, view: int) -> list[int]:
        return sampler.multi(num_frames, clip_len, stride=STRIDE, num_clips=VIEWS)[view]

    if sampling == "uniform":
        return evaluation.views(VIEWS)
    return [partial(dense, view=view) for view in range(VIEWS)]


def _transform(name: str) -> v2.Transform:
    """One of `AUGMENTATIONS`, as far as it concerns one clip."""
    light = augment.preset("light")
    others = {
        "mirror": v2.RandomHorizontalFlip(),
        # Wrong on purpose: every frame is drawn for itself.
        "flicker": v2.Lambda(lambda frames: torch.stack([light(frame) for frame in frames])),
        "reverse": v2.Compose([light, augment.Reverse()]),
    }
    if name in others:
        return others[name]
    return augment.preset(name) if name in augment.PRESETS else light
