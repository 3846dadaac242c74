"""Train and evaluate, with checkpoints from which a stopped run resumes exactly.

A run is a folder. ``last.safetensors`` holds all that is needed to resume, ``best.safetensors``
the model with the best validation score, ``history.csv`` one row per epoch. They are written after
each epoch, ``last`` also before the first, and no file is ever half written. A run that is killed
loses only its current epoch: `Trainer.resume` reads ``last``, and `Trainer.fit` starts that epoch
again. Each epoch has its own random seed, so the result is the same.
"""

import math
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision.transforms import v2
from tqdm.auto import tqdm

from . import _moved, checkpoint, parallel, preflight
from .checkpoint import Metadata
from .config import CHOICES, STAGES, TrainConfig
from .files import make_folder, remove_parts
from .metrics import Scores, best_epoch, score
from .model import R3DEmotion
from .optim import class_weights, load_state, parameter_groups, state_of

__getattr__ = _moved.names(__name__, load="checkpoint.load")


class Trainer:
    """Fit a model to clips, save what is needed to resume, and score it.

    Uses a CUDA GPU where there is one, else the CPU (Apple's GPU is not used); in float32 unless
    the configuration asks for less. Started by ``torchrun`` or ``accelerate launch``, the processes
    share the work; the answers given to ``accelerate config`` are not used.

    Args:
        model: the model to train, in place.
        config: how to train.
        out_dir: the run's folder; `fit` creates it.

    Attributes:
        history: one record per finished epoch, as in ``history.csv``.
    """

    def __init__(self, model: R3DEmotion, config: TrainConfig, out_dir: str | os.PathLike) -> None:
        self.accelerator = parallel.accelerator()
        self.model = model.to(self.accelerator.device)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last_3d)
        self.config = config
        self.out_dir = Path(out_dir)
        self.history: list[dict] = []
        self._resumed: tuple[dict[str, Tensor], Metadata] | None = None

    @property
    def last(self) -> Path:
        """The checkpoint that `resume` reads."""
        return self.out_dir / "last.safetensors"

    @property
    def best(self) -> Path:
        """The model with the best validation score, for `checkpoint.load`."""
        return self.out_dir / "best.safetensors"

    @property
    def metadata(self) -> Metadata:
        """What the checkpoints hold besides tensors; there once `fit` was called."""
        return replace(self._metadata, history=list(self.history))

    def fit(
        self,
        train_set: Dataset,
        val_set: Dataset,
        *,
        after_epoch: Callable[[dict], None] | None = None,
    ) -> list[dict]:
        """Train, and leave the model with the weights of the best validation epoch.

        The best epoch has the highest UAR on ``val_set``; of equal ones, the lowest loss. Keep
        your test subjects out of both sets.

        Args:
            train_set: items ``(video [T, C, H, W] float, label int)``.
            val_set: likewise, of other subjects.
            after_epoch: called with each new record, once it is saved; an error in it ends the
                run, which can be resumed.

        Returns:
            One record per epoch: ``epoch``, ``lr``, ``train_loss``, ``val_loss``, ``val_uar``,
            ``val_war``, ``val_f1``, ``seconds``.

        Raises:
            FileExistsError: ``out_dir`` already holds a run.
            ValueError: the sets do not fit the model, each other, or the resumed run.
            OSError: too little disk space for the checkpoints.
            FloatingPointError: loss or gradient is not finite; the last checkpoint stays. Or this
                processor computes gradients in the lower precision wrongly, as some do.
        """
        self._check(train_set, val_set)
        self._prepare(train_set, val_set)
        self._try(train_set)
        if self._resumed is None:
            self._save()  # so that a run killed in its first epoch can be resumed, too
        else:
            self._restore(*self._resumed)
            self._resumed = None  # after another stop, `resume` must read the checkpoint again
        kept = self.model if self.ema is None else self.ema.module  # validated and saved as best
        steps = self.metadata.steps_per_epoch
        note = parallel.device_note() or "training"
        with tqdm(
            desc=note,
            total=self.config.epochs * steps,
            initial=len(self.history) * steps,
            unit="step",
            disable=not (self.config.progress and self.accelerator.is_main_process),
        ) as bar:
            for epoch in range(len(self.history), self.config.epochs):
                bar.set_description(f"{note}, epoch {epoch + 1} of {self.config.epochs}")
                began = time.perf_counter()
                loss, rate = self._train_epoch(epoch, bar)
                scores = self._evaluate(kept, val_set)
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
                if best_epoch(self.history)["epoch"] == epoch + 1:
                    self._write(self.best, kept.state_dict())
                self._save()  # last: a run killed before this repeats the epoch
                if after_epoch is not None:
                    after_epoch(self.history[-1])
        self.accelerator.wait_for_everyone()
        self.model.load_state_dict(checkpoint.read(self.best)[0])
        return self.history

    def evaluate(self, dataset: Dataset) -> Scores:
        """Score the model as it is, on items as `fit` takes them."""
        return self._evaluate(self.model, dataset)

    def predict(self, dataset: Dataset) -> tuple[Tensor, Tensor]:
        """Return the logits ``[N, K]`` float32 and the labels ``[N]`` int64, in order."""
        return self._predict(self.model, dataset)

    @classmethod
    def resume(cls, out_dir: str | os.PathLike) -> "Trainer":
        """Rebuild a run from its folder; call `fit` with the same sets to continue.

        On the same CPU with the same number of threads the final weights are the same, bit for
        bit, as those of a run that was never stopped.

        Raises:
            FileNotFoundError: no run in ``out_dir``.
            ValueError: its checkpoint cannot be read.
        """
        path = Path(out_dir) / "last.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{out_dir}: no run to resume, {path.name} is not there")
        tensors, metadata = checkpoint.read(path)
        model = R3DEmotion(**metadata.model)
        model.load_state_dict(checkpoint.below("model", tensors))
        trainer = cls(model, metadata.train, out_dir)
        trainer.history = list(metadata.history)
        trainer._resumed = tensors, metadata
        return trainer

    # --- before the first step ---

    def _check(self, train_set: Dataset, val_set: Dataset) -> None:
        """Check what can be checked before anything is created."""
        num_processes = self.accelerator.num_processes
        preflight.check_batch(self.config.batch_size, self._micro_batch, num_processes)
        several = self._micro_batches * num_processes > 1
        least = self.config.batch_size if several else 0
        preflight.check_sets(train_set, val_set, self.model.config["num_classes"], least)
        if self._resumed is None:
            preflight.check_unused(self.out_dir)
        self.accelerator.wait_for_everyone()
        make_folder(self.out_dir)
        if self.accelerator.is_main_process:
            remove_parts(self.out_dir)
        # `last` has the weights, AdamW's two moments and maybe an average, and is there twice
        # while it is replaced; `best` has weights.
        preflight.check_space(self.out_dir, self.model, copies=9 if self.config.ema else 7)

    def _prepare(self, train_set: Dataset, val_set: Dataset) -> None:
        """Create what only training needs: loader, optimiser, average, loss."""
        config = self.config
        self.shuffle = torch.Generator()
        count = len(train_set)
        if count > config.batch_size:
            count -= count % config.batch_size  # batch norm cannot train on one clip left over
        alone = config.micro_batch is None and self.accelerator.num_processes == 1
        loader = DataLoader(
            train_set if alone else parallel.SeedPerClip(train_set),
            self._micro_batch,
            sampler=RandomSampler(train_set, num_samples=count, generator=self.shuffle),
            generator=self.shuffle,
            num_workers=config.num_workers,
        )
        self._freeze()
        groups = parameter_groups(self.model, config.weight_decay, config.layer_decay)
        optimizer = torch.optim.AdamW(groups, fused=True)
        self.wrapped, self.optimizer, self.loader = self.accelerator.prepare(
            self.model, optimizer, loader
        )
        if self.accelerator.num_processes > 1:  # batch norm's are averaged after each epoch
            self.wrapped.broadcast_buffers = False
        self.ema = None
        if config.ema:
            average = get_ema_multi_avg_fn(config.ema)
            self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        weights = None
        if config.class_weights:
            num_classes = self.model.config["num_classes"]
            weights = class_weights(train_set, num_classes).to(self.accelerator.device)
        self.criterion = nn.CrossEntropyLoss(weights, label_smoothing=config.label_smoothing)
        self._metadata = Metadata(
            model=self.model.config,
            train=config,
            classes=getattr(train_set, "classes", None),
            size=getattr(train_set, "size", None),
            crop=getattr(train_set, "crop", None),
            subjects=sorted(preflight.subjects(train_set) | preflight.subjects(val_set)),
            clips=(len(train_set), len(val_set)),
            steps_per_epoch=len(self.loader) // self._micro_batches,
        )

    def _try(self, train_set: Dataset) -> None:
        """Try a first step on a copy of the model, in the cases where it is known to fail."""
        device = self.accelerator.device
        if min(self._micro_batch, len(train_set)) == 1:
            preflight.check_lone_clip(self.model, train_set[0][0].to(device))
        if self.config.precision != "float32":
            count = min(self.config.batch_size, len(train_set))
            video, target = default_collate([train_set[i] for i in range(count)])
            preflight.check_gradients(
                *(self.model, self.criterion, video.to(device), target.to(device)),
                *(self.config.precision, self._autocast, self.config.seed),
            )

    # --- one epoch, one step ---

    def _train_epoch(self, epoch: int, bar: tqdm) -> tuple[float, float]:
        """One pass over the training set: the mean loss and the last learning rate."""
        # Every epoch has its own seed, so resuming needs no state of a generator.
        seed = random.Random(f"{self.config.seed} {epoch}").getrandbits(32)
        set_seed(seed, device_specific=True)
        self.shuffle.manual_seed(seed)
        if isinstance(drawn := self.loader.dataset, parallel.SeedPerClip):
            drawn.seed = seed
        steps = self.metadata.steps_per_epoch
        losses = []
        self.wrapped.train()
        self._freeze()
        batches = iter(self.loader)
        for step in range(epoch * steps, (epoch + 1) * steps):
            rate = self._rate(step, self.config.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            loss = self._backward(islice(batches, self._micro_batches))
            # An infinite limit clips nothing and still gives the norm.
            limit = self.config.clip_grad or math.inf
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
            self._check_finite(epoch, step, rate, loss=loss, gradient=norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update_parameters(self.model)
            losses.append(loss.item())
            bar.update()
        # Each process has batch norm statistics of its own clips: use their mean from here on.
        for statistic in parallel.statistics(self.model, self.ema):
            statistic.copy_(self.accelerator.reduce(statistic, "mean"))
        return sum(losses) / len(losses), rate

    def _backward(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Sum the gradient of one step over its micro-batches; return the mean loss."""
        self.optimizer.zero_grad(set_to_none=False)  # faster than allocating 133 MB again
        count = self._micro_batches
        total = torch.zeros((), device=self.accelerator.device)
        statistics = parallel.statistics(self.model) if count > 1 else []
        with parallel.averaging(statistics, count) as next_one:
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
        """Mix the clips of a batch: targets ``[B]`` become shares ``[B, K]``."""
        if self.config.mix == "none":
            return video, target
        how = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[self.config.mix]
        pictures = video.flatten(1, 2)  # [B, T*C, H, W]: one draw for all frames
        pictures, target = how(num_classes=self.model.config["num_classes"])(pictures, target)
        return pictures.view_as(video), target

    def _autocast(self, precision: str) -> torch.autocast:
        """Not Accelerate's autocast, which two trainers in one process have to share."""
        on = precision == "bfloat16"
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=on)

    def _rate(self, step: int, num_steps: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        warmup = max(1, round(self.config.warmup * num_steps))
        if step < warmup:
            return self.config.lr * (step + 1) / warmup
        return self.config.lr * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup))) / 2

    def _check_finite(self, epoch: int, step: int, rate: float, **values: Tensor) -> None:
        for name, value in values.items():
            if not torch.isfinite(value):
                raise FloatingPointError(
                    f"the {name} became {value.item()} in epoch {epoch + 1}, step {step + 1}, at "
                    f"learning rate {rate:.2g}. {self.last} still holds the epoch before. Lower "
                    "lr, or look for non-finite values in the videos"
                )

    def _freeze(self) -> None:
        for name in STAGES[: CHOICES["freeze"].index(self.config.freeze)]:  # none, or up to one
            self.model.backbone.get_submodule(name).requires_grad_(False).eval()

    @property
    def _micro_batch(self) -> int:
        """Clips per forward pass."""
        share = self.config.batch_size // self.accelerator.num_processes
        return self.config.micro_batch or max(1, share)

    @property
    def _micro_batches(self) -> int:
        """Forward passes per step, in this process."""
        return self.config.batch_size // (self._micro_batch * self.accelerator.num_processes)

    # --- scores ---

    def _evaluate(self, model: nn.Module, dataset: Dataset) -> Scores:
        return score(*self._predict(model, dataset))

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

    # --- on disk ---

    def _save(self) -> None:
        """Write all that is needed to resume."""
        parts = {"model": self.model.state_dict(), "optimizer": state_of(self.optimizer)}
        if self.ema is not None:
            parts["ema"] = self.ema.state_dict()
        self._write(self.last, checkpoint.join(parts))
        self._write_history()

    def _restore(self, tensors: Mapping[str, Tensor], saved: Metadata) -> None:
        """Read back what `_save` wrote; `resume` has loaded the model already."""
        preflight.check_same(self.out_dir, self.metadata, saved)
        load_state(self.optimizer, checkpoint.below("optimizer", tensors))
        if self.ema is not None:
            self.ema.load_state_dict(checkpoint.below("ema", tensors))
        self._write_history()

    def _write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        if self.accelerator.is_main_process:
            checkpoint.write(path, tensors, self.metadata)

    def _write_history(self) -> None:
        if self.accelerator.is_main_process and self.history:
            checkpoint.write_history(self.out_dir / "history.csv", self.history)
