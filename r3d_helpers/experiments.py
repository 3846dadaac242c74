"""The long runs behind the lessons: resumable, one CSV row per finished run.

A result file begins with comment lines: the command that makes it and the versions it was made
with. Give the same command again after an interruption: finished runs are kept, the one that was
stopped goes on from its last epoch.
"""

import csv
import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from platform import python_version

import torch
import torchvision
from torchvision.transforms import v2
from tqdm.auto import tqdm

from . import datasets, sampler
from .model import R3DEmotion
from .trainer import TrainConfig, Trainer

SE_SETTINGS = (
    {"se": "none", "se_init": "default"},
    {"se": "output", "se_init": "default"},
    {"se": "output", "se_init": "identity"},
    {"se": "residual", "se_init": "default"},
    {"se": "residual", "se_init": "identity"},
)


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
        One row per run: the setting, ``seed``, ``val_uar``, ``test_uar`` and ``test_war``.

    Raises:
        ValueError: ``path`` holds the results of another command.
    """
    clips = datasets.ravdess(root)
    config = TrainConfig(epochs=epochs, lr=lr, progress=False)

    def one(setting: Mapping, folder: Path) -> dict[str, float]:
        seed = setting["seed"]
        train, val, test = datasets.train_val_test(clips, seed=seed)
        shape = {"clip_len": clip_len, "size": size, "classes": sorted({c.label for c in clips})}
        train_set = datasets.ClipDataset(
            train,
            **shape,
            sampler=partial(sampler.jitter, generator=None),
            transform=v2.RandomHorizontalFlip(),
        )
        if (folder / "last.safetensors").exists():
            trainer = Trainer.resume(folder)
        else:
            torch.manual_seed(seed)
            model = R3DEmotion(
                len(train_set.classes),
                clip_len=clip_len,
                se=None if setting["se"] == "none" else setting["se"],
                se_init=setting["se_init"],
                dropout=0.0,
            )
            trainer = Trainer(model, config, folder)
        history = trainer.fit(train_set, datasets.ClipDataset(val, **shape))
        scores = trainer.evaluate(datasets.ClipDataset(test, **shape))
        return {
            "val_uar": max(record["val_uar"] for record in history),
            "test_uar": scores.uar,
            "test_war": scores.war,
        }

    command = f"experiment se --seeds {seeds} --epochs {epochs} --clip-len {clip_len} --size {size}"
    grid = [{**setting, "seed": seed} for seed in range(seeds) for setting in settings]
    command = f"python -m r3d_helpers {command} --lr {lr:g}"
    return sweep(Path(path), grid, one, command=command, work=Path(work))


def sweep(
    path: Path,
    grid: Sequence[Mapping],
    one: Callable[[Mapping, Path], Mapping[str, float]],
    *,
    command: str,
    work: Path,
) -> list[dict[str, str]]:
    """Make every run of ``grid`` that ``path`` does not hold yet, and return all rows.

    Args:
        path: the result file, rewritten after each run.
        grid: settings; all have the same names.
        one: makes one run in a folder of its own, which is kept if it is stopped, and returns
            what to note.
        command: goes into the file, and must be the same when it is continued.
        work: folder for the run in progress.

    Raises:
        ValueError: ``path`` was made by another command.
    """
    rows = []
    if path.exists():
        made_by = path.read_text().splitlines()[0]
        if made_by != f"# {command}":
            raise ValueError(
                f"{path} was made by another command ({made_by.lstrip('# ')}): delete it or name "
                "another file"
            )
        rows = read(path)
    # Two commands must not go on with each other's runs.
    work = work / f"{path.stem}-{zlib.crc32(command.encode()):08x}"
    path.parent.mkdir(parents=True, exist_ok=True)
    for setting in tqdm(grid, unit="run"):
        name = {key: str(value) for key, value in setting.items()}
        if any(name.items() <= row.items() for row in rows):
            continue
        folder = work / "-".join(name.values())
        noted = {key: f"{value:.4f}" for key, value in one(setting, folder).items()}
        rows.append({**name, **noted})
        _write(path, rows, command)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    return rows


def read(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a result file, all values as text."""
    lines = Path(path).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _write(path: Path, rows: Sequence[Mapping[str, str]], command: str) -> None:
    part = path.with_suffix(".tmp")
    with part.open("w", newline="") as file:
        versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        # The same seed ends elsewhere with another instruction set.
        cpu = torch.backends.cpu.get_cpu_capability()
        file.write(f"# {command}\n# Python {python_version()}, {versions}, {cpu}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
