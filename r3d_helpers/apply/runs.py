"""What the commands `train`, `evaluate` and `predict` do, without the command line."""

import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import checkpoint, datasets, parallel, preflight, recommended, video
from ..checkpoint import Metadata
from ..config import TrainConfig
from ..datasets import Clip
from ..files import check_writable, make_folder, writing
from ..model import R3DEmotion
from ..names import alike, composed, counted, distinct, printable
from ..trainer import Trainer
from . import evaluation, explain, overview
from .card import model_card
from .crops import FaceCrop, NoFaceError
from .plan import CropOptions, Plan, Shape, Source

NO_FACE = "--no-face skip leaves them out, --no-face centre cuts to the middle"


def train(plan: Plan) -> None:
    """Train, score on the test subjects, and write model cards.

    Raises:
        ValueError, OSError, FloatingPointError: as `Trainer.fit`, and as `usable`.
        VideoError: a clip cannot be read, and was not tried before.
    """
    folders = [plan.out]
    if plan.folds is not None:
        folders = [plan.out / f"fold-{number}" for number in range(1, plan.folds + 1)]
    if not plan.resume:
        for folder in folders:  # `fit` checks it too, but only after all clips are read
            preflight.check_unused(folder)
    shape = plan.shape()
    process = parallel.process()
    with process.main_process_first():  # it fills the cache for the others
        clips = usable(plan.source, shape)
    classes = sorted({clip.label for clip in clips})
    if plan.folds is None:
        splits = [datasets.train_val_test(clips, seed=plan.seed)]
    else:
        splits = [
            (*datasets.split_by_subject(rest, 0.15, plan.seed), test)
            for rest, test in datasets.subject_folds(clips, plan.folds)
        ]
    for out, split in zip(folders, splits, strict=True):
        if not (plan.resume and plan.folds and (out / "predictions.csv").exists()):
            _fit(plan, out, shape, *split, classes)
    if plan.folds and is_main_process():
        print(f"\nall {plan.folds} folds together:")
        print(evaluation.pooled([out / "predictions.csv" for out in folders], plan.views))
    process.destroy_process_group()


def _fit(
    plan: Plan,
    out: Path,
    shape: Shape,
    train: Sequence[Clip],
    val: Sequence[Clip],
    test: Sequence[Clip],
    classes: Sequence[str],
) -> None:
    """Train one run, score it on ``test``, and write its model card."""
    train_set = shape.dataset(train, recommended.train_set, classes=classes, augment=plan.augment)
    val_set, test_set = (shape.dataset(part, classes=classes) for part in (val, test))
    if plan.resume and not (plan.folds and not (out / "last.safetensors").exists()):
        run = _resumed(plan, out)
    else:
        torch.manual_seed(plan.seed)
        run = Trainer(plan.model.build(classes, shape.clip_len, plan.start), plan.config, out)
    if is_main_process():
        for part, purpose in ((train, "train"), (val, "validate"), (test, "test")):
            print(f"{people(part)} to {purpose}")
        if names := preflight.absent(test_set):
            _say(f"warning: no clip of {names} in the test set: the score leaves it out")
    run.fit(train_set, val_set)
    logits, targets = evaluation.predict(run, test_set, plan.views)
    if is_main_process():
        subjects = [clip.subject for clip in test]
        tested = evaluation.report(logits, targets, subjects, classes, plan.views)
        with writing(out / "README.md") as file:
            file.write(model_card(run.metadata, tested, str(plan.source)))
        evaluation.write_predictions(out / "predictions.csv", test_set, logits)
        print(tested)  # last: if the console fails, the files are written already
        if plan.folds:  # the fold is finished and will not be resumed: free 400 MB
            run.last.unlink()


def people(clips: Sequence[Clip], shown: int = 12) -> str:
    """Number of clips, and who is seen in them."""
    names = sorted({clip.subject for clip in clips})
    more = [f"{len(names) - shown} more"] if len(names) > shown else []
    who = f"{counted(len(names), 'subject')} ({', '.join([*names[:shown], *more])})"
    return printable(f"{counted(len(clips), 'clip')} of {who}")


def _resumed(plan: Plan, out: Path) -> Trainer:
    run = Trainer.resume(out)
    for name in sorted(set(TrainConfig.__dataclass_fields__) - {"num_workers"}):
        if (begun := getattr(run.config, name)) != (asked := getattr(plan.config, name)):
            raise ValueError(
                f"{out}: the run was begun with {name} {begun}, not {asked}: "
                "repeat the options as they were, or choose another --out"
            )
    return run


def usable(
    source: Source,
    shape: Shape,
    without: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> list[Clip]:
    """List the clips to use, and name on stderr what is left out.

    Args:
        source: where they come from, and what may be left out.
        shape: how to read them, if reading has to be tried.
        without: subjects to leave out.
        classes: the labels that clips may have; None: any.

    Raises:
        ValueError: clips cannot be read, and ``source`` does not allow to leave them out; or no
            clip is left.
    """
    clips = source.clips()
    for line in clips.told():
        _say(f"left out, {line}")
    groups = [*alike(c.subject for c in clips), *alike(c.label for c in clips)]
    for line in overview.told_alike(groups, clips):
        _say(f"perhaps the same, and counted as different: {line}; {overview.RENAME}")
    seen = sorted({clip.subject for clip in clips}.intersection(map(composed, without)))
    clips = [clip for clip in clips if clip.subject not in seen]
    if not clips:
        raise ValueError(f"{source.root}: the model was trained with all its subjects; see --all")
    if seen:
        _say(
            f"left out, because the model was trained or chosen with subjects of these names: "
            f"{', '.join(seen)}; --all keeps them"
        )
    if not (shape.cache or shape.crop or source.skip_unreadable or source.skip_no_face):
        return clips
    fetch = shape.dataset(clips, classes=classes).fetch
    good, bad = overview.readable(clips, fetch, progress=is_main_process())
    faceless = [error for _, error in bad if isinstance(error, NoFaceError)]
    unreadable = [error for _, error in bad if not isinstance(error, NoFaceError)]
    wrong = []
    for errors, skip, what in (
        (unreadable, source.skip_unreadable, "unreadable: --skip-unreadable leaves them out"),
        (faceless, source.skip_no_face, f"without a clear face: {NO_FACE}"),
    ):
        for error in errors:
            _say(f"left out: {error}" if skip else str(error))
        if errors and not skip:
            wrong.append(f"{len(errors)} of {counted(len(clips), 'clip')} {what}")
    if wrong:
        raise ValueError(f"{source.root}: {'; '.join(wrong)}")
    if not good:
        raise ValueError(f"{source.root}: no clip is left")
    return [clip for clip, _ in good]


def evaluate(
    path: Path,
    source: Source,
    crop: CropOptions,
    *,
    cache: Path | None = None,
    views: int = 1,
    everybody: bool = False,
) -> None:
    """Print a checkpoint's score on subjects that it has not seen, or on ``everybody``."""
    net, metadata = checkpoint.load(path)
    shape = Shape(net.clip_len, _frame_size(path, metadata), crop.resolve(metadata.crop), cache)
    without = () if everybody else metadata.subjects
    clips = usable(source, shape, without, metadata.classes)
    dataset = shape.dataset(clips, classes=metadata.classes)
    folder = path if path.is_dir() else path.parent
    run = Trainer(net, metadata.train, folder)
    tested = evaluation.evaluate(run, dataset, views)
    if is_main_process():
        print(tested)


def predict(
    path: Path,
    videos: Sequence[Path],
    crop: CropOptions,
    *,
    window: float = 3.0,
    step: float = 1.0,
    out: Path | None = None,
    figures: Path | None = None,
) -> int:
    """Print a checkpoint's predictions for videos, window by window.

    Args:
        path: the checkpoint.
        videos: their paths; one that cannot be read does not stop the others.
        crop: how to cut to the face.
        window: seconds that the model sees at once.
        step: seconds from one window to the next.
        out: CSV file for every window's probabilities.
        figures: folder for time lines and Grad-CAM.

    Returns:
        The number of videos that could not be read or drawn.

    Raises:
        OSError: ``out`` or ``figures`` cannot be written.
    """
    if figures is not None:
        from . import plots  # noqa: F401 (if it fails, fail before the first video)
    net, metadata = checkpoint.load(path)
    size, face = _frame_size(path, metadata), crop.resolve(metadata.crop)
    if out is not None:
        check_writable(out)
    if figures is not None:
        make_folder(figures)
    rows, failed = [], 0
    try:
        for video_path, name in zip(videos, distinct(videos), strict=True):
            try:
                line = explain.timeline(
                    net, video_path, size=size, window=window, step=step, crop=face
                )
            except (video.VideoError, OSError) as error:
                hint = "; --no-face centre" if isinstance(error, NoFaceError) else ""
                _say(f"error: {error}{hint}")
                failed += 1
                continue
            rows += [
                [video_path, f"{begin:.3f}", f"{end:.3f}", *row]
                for begin, end, row in zip(
                    line.begin, line.end, line.probabilities.tolist(), strict=True
                )
            ]
            _print_answers(video_path, line, metadata.classes)
            if figures is not None and not _drawn(
                figures / name, video_path, net, metadata, line, face
            ):
                failed += 1
    finally:  # write the finished videos even after an error
        if out is not None:
            with writing(out) as file:
                # pyrefly: ignore[not-iterable]
                header = ["path", "begin", "end", *metadata.classes]
                csv.writer(file).writerows([header, *rows])
    return failed


def _print_answers(path: Path, line: explain.Timeline, classes: Sequence[str]) -> None:
    print(printable(f"{path}, {line.end[-1]:.1f} s; by chance {1 / len(classes):.3f}"))
    for share, name in sorted(zip(line.overall.tolist(), classes, strict=True), reverse=True):
        print(printable(f"  {name:<12}{share:6.3f}"))
    if len(line.begin) > 1:
        shown = 0.0
        for begin, end, row in zip(line.begin, line.end, line.probabilities, strict=True):
            if begin > shown:
                print(f"  {shown:6.1f} to {begin:6.1f} s  no new frame")
            share, best = row.max(0)
            print(printable(f"  {begin:6.1f} to {end:6.1f} s  {classes[best]:<12}{share:6.3f}"))
            shown = end


def _drawn(stem: Path, path: Path, *what: Any) -> bool:  # noqa: ANN401 (as `_draw` takes)
    """Whether a video's figures could be drawn; an error does not stop the other videos."""
    try:
        _draw(stem, path, *what)
    except Exception as error:
        _say(f"error: {path}: cannot be drawn ({error})")
        return False
    return True


def _draw(
    stem: Path,
    path: Path,
    net: R3DEmotion,
    metadata: Metadata,
    line: explain.Timeline,
    crop: FaceCrop | None,
) -> None:
    """Draw the time line of a video, and Grad-CAM of the window with the highest probability."""
    from . import plots

    classes = metadata.classes
    files = [stem.with_name(f"{stem.name}-{what}.png") for what in ("timeline", "cam")]
    plots.save(plots.timeline(line, classes, title=path.name), files[0])
    surest, target = divmod(int(line.probabilities.argmax()), len(classes))
    begin, end = line.begin[surest], line.end[surest]
    clip = explain.clip_at(net, path, begin, end, size=metadata.size, crop=crop)
    layer = "layer3"
    cam = explain.grad_cam(net, datasets.normalize(clip), target, layer)
    title = f"Bright: what speaks for {classes[target]}, {begin:.1f} to {end:.1f} s ({layer})"
    plots.save(plots.heat(clip, {layer: cam}, title=title), files[1])
    print(printable(f"  drawn: {', '.join(map(str, files))}"))


def _frame_size(path: Path, metadata: Metadata) -> int:
    if not (metadata.size and metadata.classes):
        raise ValueError(f"{path}: states no frame size: it was trained without ClipDataset")
    return metadata.size


def is_main_process() -> bool:
    """Whether this process prints: the only one, or the first of those started by torchrun."""
    return os.environ.get("RANK", "0") == "0"


def _say(line: str) -> None:
    if is_main_process():
        print(printable(line), file=sys.stderr)
