"""Train, evaluate, stop, go on: one loop, read from top to bottom.

A run is a folder. ``last.safetensors`` holds all that is needed to go on, ``best.safetensors``
the model with the best validation score, ``history.csv`` one row per epoch.
"""

import copy
import csv
import json
import math
import os
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_recall,
)
from torchvision.transforms import v2
from tqdm.auto import tqdm

from .model import STAGES, R3DEmotion


@dataclass(frozen=True)
class TrainConfig:
    """How to train; every number is checked when the object is made.

    Attributes:
        epochs: passes over the training set.
        batch_size: clips per step, however many processes share them.
        micro_batch: clips per forward pass, over which batch norm takes its statistics; None: a
            process's whole share of the step. Smaller ones need less memory; gradients and
            statistics are averaged over the step. Where it is given, each clip draws by itself,
            and a run does not depend on how many processes share it (but for dropout and mixing).
        lr: highest learning rate of AdamW, reached after the warm-up.
        weight_decay: AdamW's, on weights but not on biases and norms.
        warmup: share of all steps in which the learning rate rises linearly; then it falls to
            zero along a cosine.
        label_smoothing: share of the target spread evenly over all classes.
        class_weights: weight each class in the loss by how rare it is.
        mix: ``"none"``, or ``"mixup"`` (Zhang et al. 2018) or ``"cutmix"`` (Yun et al. 2019):
            each clip of a batch is blended with, or gets a box from, its neighbour, the same in
            every frame, and its target is shared accordingly.
        freeze: ``"none"``, or the last stage of the backbone, counted from the input, that is not
            trained: ``"stem"``, ``"layer1"`` ... ``"layer4"``. Its batch norms keep their
            statistics.
        layer_decay: factor on the learning rate from each stage to the one before it, the head
            having the full rate; 1 is the same rate everywhere.
        clip_grad: largest norm of the gradient; 0 does not clip.
        precision: ``"float32"``, or ``"bfloat16"`` for the forward and backward pass under
            autocast. The latter is checked before it is trusted, see `Trainer.fit`.
        channels_last: keep weights and feature maps with the channel as the innermost axis, which
            is what a GPU's tensor cores want; pays with ``precision="bfloat16"``.
        ema: decay per step of an exponential moving average of the weights, which is then what
            is validated and kept; 0 keeps none.
        seed: of shuffling, sampling, augmentation and dropout; not of the model's first weights,
            which exist before.
        num_workers: processes that load data; 0 loads in this one.
        progress: show a progress bar.
    """

    epochs: int = 10
    batch_size: int = 16
    micro_batch: int | None = None
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.05
    class_weights: bool = False
    mix: str = "none"
    freeze: str = "none"
    layer_decay: float = 1.0
    clip_grad: float = 1.0
    precision: str = "float32"
    channels_last: bool = False
    ema: float = 0.0
    seed: int = 0
    num_workers: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        at_least = {"epochs": 1, "batch_size": 1, "weight_decay": 0, "clip_grad": 0}
        for name, least in {**at_least, "num_workers": 0}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be {least} or more, got {getattr(self, name)!r}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0, got {self.lr!r}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must lie in (0, 1], got {self.layer_decay!r}")
        micro = self.micro_batch
        if micro is not None and (micro < 1 or self.batch_size % micro):
            raise ValueError(
                f"micro_batch must divide batch_size, {self.batch_size}, got {micro!r}"
            )
        choices = {
            "precision": ("float32", "bfloat16"),
            "mix": ("none", "mixup", "cutmix"),
            "freeze": ("none", *STAGES),
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Scores:
    """How well a model does on a set of clips. Every share lies in [0, 1].

    Attributes:
        uar: unweighted average recall: the mean over classes of the share found. Chance is one
            over the number of classes, however unequal they are.
        war: weighted average recall, that is, accuracy: the share of clips that are right.
        f1: the mean over classes of F1.
        confusion: ``[K, K]`` int64, clips by true class (row) and predicted class (column).
        loss: mean cross-entropy.

    Means over classes leave out a class that no clip has.
    """

    uar: float
    war: float
    f1: float
    confusion: Tensor
    loss: float


class Trainer:
    """Fit a model to clips, keep what is needed to go on, and score it.

    Uses a CUDA GPU where there is one, else the CPU; in float32 unless the configuration asks for
    less. Started by ``torchrun`` or ``accelerate launch``, the processes share the work.

    Args:
        model: the model to train, in place.
        config: how.
        out_dir: the run's folder; `fit` makes it.

    Attributes:
        history: one record per finished epoch, as in ``history.csv``.
    """

    def __init__(self, model: R3DEmotion, config: TrainConfig, out_dir: str | os.PathLike) -> None:
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.model = model.to(self.accelerator.device)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last_3d)
        self.config = config
        self.out_dir = Path(out_dir)
        self.history: list[dict] = []
        self._resumed: tuple[dict[str, Tensor], dict] | None = None

    @property
    def last(self) -> Path:
        """The checkpoint that `resume` goes on from."""
        return self.out_dir / "last.safetensors"

    @property
    def best(self) -> Path:
        """The model with the best validation score, for `load`."""
        return self.out_dir / "best.safetensors"

    def fit(
        self,
        train_set: Dataset,
        val_set: Dataset,
        *,
        after_epoch: Callable[[dict], None] | None = None,
    ) -> list[dict]:
        """Train, and leave the model with the weights of the best validation epoch.

        Best is the highest UAR on ``val_set``, of equals the lowest loss. Keep your test
        subjects out of both sets.

        Args:
            train_set: items ``(video [T, C, H, W] float, label int)``.
            val_set: likewise, of other subjects.
            after_epoch: called with each new record, once it is saved; what it raises ends the
                run, which can be resumed.

        Returns:
            One record per epoch: ``epoch``, ``lr``, ``train_loss``, ``val_loss``, ``val_uar``,
            ``val_war``, ``val_f1``, ``seconds``.

        Raises:
            FileExistsError: ``out_dir`` already holds a run.
            ValueError: the sets fit neither the model nor each other nor the resumed run.
            OSError: too little disk space for the checkpoints.
            FloatingPointError: loss or gradient is not finite; the last checkpoint stands. Or, at
                the start, a gradient in the lower precision is not the one in float32: some
                processors compute it wrongly for some shapes, without a word.
        """
        self._check_sets(train_set, val_set)
        self._check_folder()
        self._prepare(train_set, val_set)
        if min(self._micro_batch, len(train_set)) == 1:
            self._check_lone_clip(train_set)
        if self.config.precision != "float32":
            self._check_gradients(train_set)
        if self._resumed is None:
            self._save()
        else:
            self._restore(self._resumed)
            self._resumed = None  # stopped again, it must be resumed again
        steps = self.about["steps_per_epoch"]
        with tqdm(
            total=self.config.epochs * steps,
            initial=len(self.history) * steps,
            unit="step",
            disable=not (self.config.progress and self.accelerator.is_main_process),
        ) as bar:
            for epoch in range(len(self.history), self.config.epochs):
                began = time.perf_counter()
                loss, rate = self._train_epoch(epoch, bar)
                scores = self._evaluate(self._averaged, val_set)
                self.history.append(
                    {
                        "epoch": epoch + 1,
                        "lr": rate,
                        "train_loss": loss,
                        "val_loss": scores.loss,
                        "val_uar": scores.uar,
                        "val_war": scores.war,
                        "val_f1": scores.f1,
                        "seconds": time.perf_counter() - began,
                    }
                )
                bar.set_postfix(val_uar=f"{scores.uar:.2f}")
                if _best_epoch(self.history) == epoch + 1:
                    self._write(self.best, self._averaged.state_dict())
                self._save()
                if after_epoch is not None:
                    after_epoch(self.history[-1])
        self.accelerator.wait_for_everyone()
        self.model.load_state_dict(_read(self.best)[0])
        return self.history

    def evaluate(self, dataset: Dataset) -> Scores:
        """Score the model as it is, on items as `fit` takes them."""
        return self._evaluate(self.model, dataset)

    def predict(self, dataset: Dataset) -> tuple[Tensor, Tensor]:
        """Return the logits ``[N, K]`` float32 and the labels ``[N]`` int64, in order."""
        return self._predict(self.model, dataset)

    @classmethod
    def resume(cls, out_dir: str | os.PathLike) -> "Trainer":
        """Rebuild a run from its folder; call `fit` with the same sets to go on.

        On the same CPU with the same number of threads it ends in the same weights, bit for bit,
        as a run that was never stopped.

        Raises:
            FileNotFoundError: no run in ``out_dir``.
            ValueError: its checkpoint cannot be read.
        """
        path = Path(out_dir) / "last.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{out_dir}: no run to resume, {path.name} is not there")
        tensors, meta = _read(path)
        model = R3DEmotion(**meta["model"])
        model.load_state_dict(_below("model", tensors))
        trainer = cls(model, TrainConfig(**meta["train"]), out_dir)
        trainer.history = meta["history"]
        trainer._resumed = tensors, meta
        return trainer

    def _prepare(self, train_set: Dataset, val_set: Dataset) -> None:
        """Make what only training needs: loader, optimiser, average, loss."""
        config = self.config
        self.shuffle = torch.Generator()
        count = len(train_set)
        if count > config.batch_size:
            count -= count % config.batch_size  # batch norm dislikes a rest of one
        alone = config.micro_batch is None and self.accelerator.num_processes == 1
        loader = DataLoader(
            train_set if alone else _DrawnByItself(train_set),
            self._micro_batch,
            sampler=RandomSampler(train_set, num_samples=count, generator=self.shuffle),
            generator=self.shuffle,
            num_workers=config.num_workers,
        )
        self._freeze()
        optimizer = torch.optim.AdamW(self._groups(), fused=True)
        self.wrapped, self.optimizer, self.loader = self.accelerator.prepare(
            self.model, optimizer, loader
        )
        if self.accelerator.num_processes > 1:  # batch norm's are averaged after each epoch
            self.wrapped.broadcast_buffers = False
        self.ema = None
        if config.ema:
            average = get_ema_multi_avg_fn(config.ema)
            self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        self.criterion = nn.CrossEntropyLoss(
            self._class_weights(train_set), label_smoothing=config.label_smoothing
        )
        self.about = {
            "model": self.model.config,
            "train": asdict(config),
            "classes": getattr(train_set, "classes", None),
            "size": getattr(train_set, "size", None),
            "subjects": sorted(_subjects(train_set) | _subjects(val_set)),
            "clips": [len(train_set), len(val_set)],
            "crop": asdict(crop) if (crop := getattr(train_set, "crop", None)) else None,
            "steps_per_epoch": len(self.loader) // self._micro_batches,
        }

    def _train_epoch(self, epoch: int, bar: tqdm) -> tuple[float, float]:
        """One pass over the training set: the mean loss and the last learning rate."""
        # Every epoch has its own seed, so going on needs no generator's state.
        seed = random.Random(f"{self.config.seed} {epoch}").getrandbits(32)
        set_seed(seed, device_specific=True)
        self.shuffle.manual_seed(seed)
        if isinstance(drawn := self.loader.dataset, _DrawnByItself):
            drawn.seed = seed
        steps = self.about["steps_per_epoch"]
        losses = []
        self.wrapped.train()
        self._freeze()
        batches = iter(self.loader)
        for step in range(epoch * steps, (epoch + 1) * steps):
            rate = self._rate(step, self.config.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            loss = self._backward(islice(batches, self._micro_batches))
            norm = self.accelerator.clip_grad_norm_(
                self.wrapped.parameters(), self.config.clip_grad or math.inf
            )
            self._check_finite(epoch, step, rate, loss=loss, gradient=norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update_parameters(self.model)
            losses.append(loss.item())
            bar.update()
        for statistic in _statistics(self.model, self.ema):
            statistic.copy_(self.accelerator.reduce(statistic, "mean"))
        return sum(losses) / len(losses), rate

    def _backward(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Gather the gradient of one step from its micro-batches; the mean loss."""
        self.optimizer.zero_grad(set_to_none=False)  # 133 MB kept are quicker than new ones
        count = self._micro_batches
        total = torch.zeros((), device=self.accelerator.device)
        with _averaging(_statistics(self.model) if count > 1 else [], count) as next_one:
            for number, (video, target) in enumerate(batches, start=1):
                video, target = self._mix(video, target)
                last = number == count
                with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                    with self._autocast(self.config.precision):
                        loss = self.criterion(self.wrapped(video), target) / count
                    self.accelerator.backward(loss)
                total += loss.detach()
                next_one()
        return self.accelerator.reduce(total, "mean")

    def _mix(self, video: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Blend the clips of a batch: targets ``[B]`` become shares ``[B, K]``."""
        if self.config.mix == "none":
            return video, target
        how = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[self.config.mix]
        pictures = video.flatten(1, 2)  # [B, T*C, H, W]: one draw for all frames
        pictures, target = how(num_classes=self.model.config["num_classes"])(pictures, target)
        return pictures.view_as(video), target

    def _autocast(self, precision: str) -> torch.autocast:
        """Accelerate's own cannot differ between two trainers of one process."""
        on = precision == "bfloat16"
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=on)

    @torch.no_grad()
    def _check_lone_clip(self, train_set: Dataset) -> None:
        """Batch norm cannot train on one value per channel: layer4 has no more for a tiny clip."""
        video = train_set[0][0].to(self.accelerator.device)
        try:
            copy.deepcopy(self.model).train()(video[None])
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"batch norm cannot train on a batch of one clip [T, C, H, W] = "
                f"{list(video.shape)}: give batch_size and the training set 2 clips or more, or "
                "use larger frames"
            ) from error

    def _check_gradients(self, train_set: Dataset) -> None:
        """Compare the gradients of one batch in both precisions, on a copy of the model."""
        device = self.accelerator.device
        items = [train_set[i] for i in range(min(self.config.batch_size, len(train_set)))]
        video = torch.stack([item[0] for item in items]).to(device)
        target = torch.tensor([int(item[1]) for item in items], device=device)

        def gradients(precision: str) -> dict[str, Tensor]:
            model = copy.deepcopy(self.model).train()
            with torch.random.fork_rng():
                torch.manual_seed(self.config.seed)  # dropout drops the same
                with self._autocast(precision):
                    loss = self.criterion(model(video), target)
            loss.backward()
            named = model.named_parameters()
            return {name: p.grad for name, p in named if p.ndim > 1 and p.grad is not None}

        lower = gradients(self.config.precision)
        for name, right in gradients("float32").items():
            error = ((lower[name] - right).norm() / right.norm()).item()
            # Rounding alone costs about a third in the first layers; a wrong kernel, all of it.
            if right.any() and not error < 0.5:
                raise FloatingPointError(
                    f"in {self.config.precision} the gradient of {name} is wrong by "
                    f"{error:.0%} of its size on this machine: train in float32"
                )

    @property
    def _micro_batch(self) -> int:
        """Clips per forward pass."""
        share = self.config.batch_size // self.accelerator.num_processes
        return self.config.micro_batch or max(1, share)

    @property
    def _micro_batches(self) -> int:
        """Forward passes per step, in this process."""
        together = self._micro_batch * self.accelerator.num_processes
        if self.config.batch_size % together:
            raise ValueError(
                f"batch_size {self.config.batch_size} is no multiple of {together}: "
                f"{self.accelerator.num_processes} processes with {self._micro_batch} clips each"
            )
        return self.config.batch_size // together

    def _freeze(self) -> None:
        if self.config.freeze == "none":
            return
        for name in STAGES[: STAGES.index(self.config.freeze) + 1]:
            self.model.backbone.get_submodule(name).requires_grad_(False).eval()

    def _groups(self) -> list[dict]:
        """AdamW's groups: with weight decay or without, and by stage where the rate differs."""
        groups: dict[tuple[bool, float], dict] = {}
        for decays in (True, False):
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad and (parameter.ndim > 1) == decays:
                    scale = self.config.layer_decay ** _stages_above(name)
                    decay = self.config.weight_decay if decays else 0.0
                    group = {"params": [], "scale": scale, "weight_decay": decay}
                    groups.setdefault((decays, scale), group)["params"].append(parameter)
        return list(groups.values())

    @property
    def _averaged(self) -> nn.Module:
        """The weights to validate and keep."""
        return self.model if self.ema is None else self.ema.module

    def _evaluate(self, model: nn.Module, dataset: Dataset) -> Scores:
        logits, targets = self._predict(model, dataset)
        return score(logits, targets)

    @torch.no_grad()
    def _predict(self, model: nn.Module, dataset: Dataset) -> tuple[Tensor, Tensor]:
        loader = self.accelerator.prepare(
            DataLoader(dataset, self._micro_batch, num_workers=self.config.num_workers)
        )
        was_training = model.training
        model.eval()
        batches = [
            self.accelerator.gather_for_metrics((model(video), target)) for video, target in loader
        ]
        model.train(was_training)
        logits, targets = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
        return logits, targets

    def _rate(self, step: int, num_steps: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        warmup = max(1, round(self.config.warmup * num_steps))
        if step < warmup:
            return self.config.lr * (step + 1) / warmup
        return self.config.lr * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup))) / 2

    def _class_weights(self, train_set: Dataset) -> Tensor | None:
        """``[K]``: as often as all classes are on average, over as often as this one is."""
        if not self.config.class_weights:
            return None
        targets = getattr(train_set, "targets", None) or [int(label) for _, label in train_set]
        counts = torch.bincount(torch.tensor(targets), minlength=self.model.config["num_classes"])
        return (len(targets) / len(counts) / counts.clamp(min=1)).to(self.accelerator.device)

    def _check_sets(self, train_set: Dataset, val_set: Dataset) -> None:
        classes = getattr(train_set, "classes", None)
        if classes is not None and len(classes) != self.model.config["num_classes"]:
            raise ValueError(
                f"the model has {self.model.config['num_classes']} classes, the training set "
                f"{len(classes)}: {classes}"
            )
        if (other := getattr(val_set, "classes", classes)) != classes:
            raise ValueError(
                f"training and validation set number their classes differently ({classes} and "
                f"{other}): give both the same `classes`"
            )
        passes = self._micro_batches * self.accelerator.num_processes
        if len(train_set) < self.config.batch_size and passes > 1:
            raise ValueError(
                f"the training set has {len(train_set)} clips, fewer than one step of batch_size "
                f"{self.config.batch_size}: lower it"
            )
        if both := sorted(_subjects(train_set) & _subjects(val_set)):
            warnings.warn(
                f"subjects {both} are in training and validation set: the score says nothing "
                "about people the model has never seen; use datasets.split_by_subject",
                stacklevel=3,
            )

    def _check_folder(self) -> None:
        if self._resumed is None and (self.last.exists() or self.best.exists()):
            raise FileExistsError(
                f"{self.out_dir} already holds a run: go on with it (--resume, Trainer.resume), or "
                "choose another folder"
            )
        self.accelerator.wait_for_everyone()
        self.out_dir.mkdir(parents=True, exist_ok=True)
        size = sum(p.numel() * p.element_size() for p in self.model.parameters())
        # last (weights and two moments), its successor before it is moved, and best
        needed = size * (8 if self.config.ema else 7) + 100e6
        if (free := shutil.disk_usage(self.out_dir).free) < needed:
            raise OSError(
                f"{self.out_dir}: the checkpoints need {needed / 1e9:.1f} GB, and only "
                f"{free / 1e9:.1f} GB are free: make room or choose another folder"
            )

    def _check_finite(self, epoch: int, step: int, rate: float, **values: Tensor) -> None:
        for name, value in values.items():
            if not torch.isfinite(value):
                raise FloatingPointError(
                    f"the {name} became {value.item()} in epoch {epoch + 1}, step {step + 1}, at "
                    f"learning rate {rate:.2g}. {self.last} keeps the epoch before. Lower lr, or "
                    "look for non-finite values in the videos"
                )

    def _save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        if self.ema is not None:
            tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        self._write(self.last, tensors)
        self._write_history()

    def _restore(self, resumed: tuple[dict[str, Tensor], dict]) -> None:
        tensors, saved = resumed
        for name in ("classes", "size", "subjects", "clips", "crop", "steps_per_epoch"):
            if self.about[name] != saved.get(name):
                raise ValueError(
                    f"{self.out_dir}: the run was begun with {name} {saved.get(name)}, not "
                    f"{self.about[name]}: go on with the same sets"
                )
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer", tensors).items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.ema is not None:
            self.ema.load_state_dict(_below("ema", tensors))
        self._write_history()

    def _write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint beside its place, then move it there: it is whole at any moment."""
        if not self.accelerator.is_main_process:
            return
        about = json.dumps({**self.about, "history": self.history})
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        # A folder, for safetensors has temporary files of its own, which a kill leaves behind.
        folder = self.out_dir / "part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        part = folder / path.name
        save_file(tensors, part, metadata={"r3d_helpers": about})
        part.chmod(0o644)  # safetensors writes for its owner alone
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        folder.rmdir()

    def _write_history(self) -> None:
        if not (self.accelerator.is_main_process and self.history):
            return
        part = self.out_dir / "history.part"
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.history[0])
            writer.writeheader()
            writer.writerows(self.history)
        part.replace(self.out_dir / "history.csv")


def load(
    path: str | os.PathLike, classes: Sequence[str] | None = None, **changes: float
) -> tuple[R3DEmotion, dict]:
    """Load a trained model, as it is or to be trained further on other labels.

    Args:
        path: a run's ``best.safetensors``, or the folder of a run or of `export.hub`.
        classes: None keeps the head. Other label names rebuild it: a label that both sets know
            keeps its weights, the others start at random.
        changes: another ``clip_len``, ``dropout`` or ``lean``, see `R3DEmotion.adapted`.

    Returns:
        The model in evaluation mode, and what was saved beside it: ``classes`` (names in the
        order of the logits that it was saved with), ``size`` (pixels), ``crop`` (settings of
        `FaceCrop`, or None), ``subjects`` (those it was trained or validated on), ``history``, and
        the two configurations, ``model`` and ``train``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a checkpoint, or changes that it cannot follow.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
        path = path if path.exists() else path.with_name("best.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    tensors, meta = _read(path)
    model = R3DEmotion(**meta["model"])
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path}: no trained model; load best.safetensors of a run") from error
    if changes:
        model = model.adapted(**changes)
    if classes is not None:
        _rebuild_head(model, meta["classes"] or [], list(classes))
    return model.eval(), {"crop": None, **meta}


@torch.no_grad()
def _rebuild_head(model: R3DEmotion, before: list[str], after: list[str]) -> None:
    head = nn.Linear(model.classifier.in_features, len(after))
    for row, name in enumerate(after):
        if name in before:
            head.weight[row] = model.classifier.weight[before.index(name)]
            head.bias[row] = model.classifier.bias[before.index(name)]
    model.classifier = head
    model.config["num_classes"] = len(after)


def score(logits: Tensor, targets: Tensor) -> Scores:
    """Compare logits ``[N, K]`` with labels ``[N]`` int64."""
    num_classes = logits.shape[1]
    predicted = logits.argmax(1)
    confusion = multiclass_confusion_matrix(predicted, targets, num_classes)
    present = confusion.sum(1) > 0  # torchmetrics' own mean counts a class that no clip has
    recall = multiclass_recall(predicted, targets, num_classes, average="none")
    f1 = multiclass_f1_score(predicted, targets, num_classes, average="none")
    return Scores(
        uar=recall[present].mean().item(),
        war=multiclass_accuracy(predicted, targets, num_classes, average="micro").item(),
        f1=f1[present].mean().item(),
        confusion=confusion,
        loss=nn.functional.cross_entropy(logits, targets).item(),
    )


class _DrawnByItself(Dataset):
    """What a clip draws depends on the epoch and the clip, not on who loads it, or when."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.seed = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(self.seed + index)
            return self.dataset[index]


def _statistics(*modules: nn.Module | None) -> list[Tensor]:
    """Batch norm's running means and variances."""
    return [b for m in modules if m is not None for b in m.buffers() if b.is_floating_point()]


@contextmanager
def _averaging(tensors: list[Tensor], count: int) -> Iterator[Callable[[], None]]:
    """Let each of ``count`` parts start from the same values, and leave the mean of their ends.

    Micro-batches one after the other then move the statistics as processes side by side do.
    """
    before = [tensor.clone() for tensor in tensors]
    means = [torch.zeros_like(tensor) for tensor in tensors]

    def next_one() -> None:
        for tensor, old, mean in zip(tensors, before, means, strict=True):
            mean += tensor / count
            tensor.copy_(old)

    yield next_one
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean)


def _stages_above(name: str) -> int:
    """How many stages lie between the parameter ``name`` and the logits; 0 for the head."""
    stage = name.removeprefix("backbone.").partition(".")[0]
    return len(STAGES) - STAGES.index(stage) if stage in STAGES else 0


def _subjects(dataset: Dataset) -> set[str]:
    return {clip.subject for clip in getattr(dataset, "clips", ())}


def _best_epoch(history: list[dict]) -> int:
    return max(history, key=lambda record: (record["val_uar"], -record["val_loss"]))["epoch"]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix += "."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, Tensor], dict]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return tensors, json.loads(file.metadata()["r3d_helpers"])
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a checkpoint of this package ({error})") from error
