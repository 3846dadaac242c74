"""The command line: ``python -m r3d_helpers COMMAND``; ``--help`` lists the commands."""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import doctor, recommended
from ._extras import MissingExtraError
from .config import CHOICES, TrainConfig

if TYPE_CHECKING:  # imported late, so that `doctor` runs even if these imports fail
    from .apply.plan import CropOptions, Source

READERS = ("ravdess", "crema_d", "folder")
CONFIG_OPTIONS = {  # fields of TrainConfig, which has their types and defaults
    "epochs": "passes over the training set (%(default)s)",
    "batch_size": "clips per step, of all processes (%(default)s)",
    "micro_batch": "clips per forward pass (default: a process's share of the batch)",
    "lr": "highest learning rate (%(default)s)",
    "mix": "mix the clips of a batch (%(default)s)",
    "freeze": "do not train this stage and those before it (%(default)s)",
    "layer_decay": "factor on the learning rate, per stage (%(default)s)",
    "precision": "of training (%(default)s)",
    "channels_last": "use the memory layout for GPUs",
    "class_weights": "give rare classes a larger weight",
    "ema": "decay of the average of the weights, 0 for none (%(default)s)",
    "seed": "of split and training (%(default)s)",
    "num_workers": "processes that load clips (%(default)s)",
}
EXPERIMENT_OPTIONS = {
    "seeds": {"type": int, "help": "splits of the people"},
    "trials": {"type": int, "help": "settings tried for each split"},
    "epochs": {"type": int, "help": "of training, in each run"},
    "clip_len": {"type": int, "help": "frames per clip"},
    "size": {"type": int, "help": "pixels"},
    "lr": {"type": float, "help": "highest learning rate"},
    "settings": {"nargs": "+", "metavar": "NAME", "help": "only these settings, not all"},
}
EXPERIMENTS = {
    "se": (
        "compare places and starts of the gates",
        ("seeds", "epochs", "clip_len", "size", "lr"),
    ),
    "clip-size": (
        "compare clip lengths, frame sizes and samplers",
        ("seeds", "epochs", "lr"),
    ),
    "augmentation": (
        "compare augmentations of the training clips",
        ("seeds", "epochs", "clip_len", "size", "lr", "settings"),
    ),
    "tuning": (
        "search for better settings, and compare with the default ones",
        ("seeds", "trials", "epochs", "clip_len", "size"),
    ),
}


class Stopped(Exception):
    """Raised on SIGTERM, sent by torchrun after another process died, or by a scheduler."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for a failed check, 2 for a bad argument."""
    parser = argparse.ArgumentParser(prog="python -m r3d_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    add = commands.add_parser("doctor", help="check this machine and say what to fix")
    add.add_argument("--room", action="store_true", help="for a course: one line, with Jupyter")
    add.set_defaults(run=lambda args: doctor.room() if args.room else doctor.main())

    add = commands.add_parser("describe", help="count the clips of a folder, and read each of them")
    _source_arguments(add)
    _crop_arguments(add, ("error", "centre"))
    add.set_defaults(run=_describe)

    add = commands.add_parser("train", help="train on a folder of clips, or resume a run")
    _data_arguments(add)
    add.add_argument("--out", type=Path, required=True, help="the run's folder")
    add.add_argument(
        "--resume",
        action="store_true",
        help="resume the run in --out; repeat the other arguments as they were",
    )
    add.add_argument("--folds", type=int, help="cross-validate: one run per fold of the subjects")
    add.add_argument("--views", type=int, default=1, help="clips per test video (%(default)s)")
    add.add_argument("--from", dest="start", type=Path, help="fine-tune this checkpoint")
    add.add_argument("--clip-len", type=int, help="frames per clip (16, or as in --from)")
    add.add_argument("--size", type=int, help="pixels (112, or as in --from)")
    add.add_argument(
        "--se", choices=("output", "residual", "none"), help="where the gates sit (output)"
    )
    add.add_argument("--se-init", choices=("default", "identity"), help=f"({recommended.SE_INIT})")
    add.add_argument("--dropout", type=float, help="(0.5, or as in --from)")
    add.add_argument(
        "--lean",
        action=argparse.BooleanOptionalAction,
        help="leave out kernel slices that no frame reaches (--lean, or as in --from)",
    )
    add.add_argument("--weights", help="KINETICS400_V1, or a file (default: random)")
    add.add_argument("--augment", choices=("none", "light", "strong"), default=recommended.AUGMENT)
    for name, about in CONFIG_OPTIONS.items():
        flag, default = f"--{name.replace('_', '-')}", getattr(TrainConfig, name)
        if isinstance(default, bool):
            add.add_argument(flag, action="store_true", help=about)
        else:
            kind = int if default is None else type(default)
            choices = CHOICES.get(name)
            add.add_argument(flag, type=kind, choices=choices, default=default, help=about)
    add.set_defaults(run=_train)

    add = commands.add_parser("evaluate", help="score a trained model on subjects it has not seen")
    _data_arguments(add)
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    add.add_argument("--all", action="store_true", help="also use the subjects of its training")
    add.add_argument("--views", type=int, default=1, help="clips per video (%(default)s)")
    add.set_defaults(run=_evaluate)

    add = commands.add_parser("predict", help="print a trained model's predictions over time")
    add.add_argument("videos", type=Path, nargs="+", help="video files")
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    _crop_arguments(add, ("error", "centre"))
    add.add_argument("--window", type=float, default=3.0, help="its seconds (%(default)s)")
    add.add_argument("--step", type=float, default=1.0, help="seconds to the next (%(default)s)")
    add.add_argument("--out", type=Path, help="write every window's probabilities to this CSV file")
    add.add_argument("--figures", type=Path, help="draw time line and Grad-CAM into this folder")
    add.set_defaults(run=_predict)

    add = commands.add_parser("export", help="write a trained model for use elsewhere")
    add.add_argument("format", choices=("hub", "onnx", "torch"), help="what to write")
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    add.add_argument("--out", type=Path, required=True, help="file; for the hub a folder")
    add.set_defaults(run=_export)

    add = commands.add_parser("guard", help="check a video model for faults that no loss shows")
    add.add_argument("model", metavar="MODULE:FACTORY", help="function that returns the model")
    add.add_argument("--shape", default="2,16,3,112,112", help="of a video (%(default)s)")
    add.add_argument("--layout", choices=("BTCHW", "BCTHW"), default="BTCHW", help="(%(default)s)")
    add.add_argument("--seed", type=int, default=0, help="of weights and clips (%(default)s)")
    add.set_defaults(run=_guard)

    add = commands.add_parser("experiment", help="make or resume the long runs behind a lesson")
    _experiment_arguments(add)

    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["faces"]:  # of version 1.0
        parser.error("faces is now `python -m r3d_helpers.classroom.actors`, same options")
    args = parser.parse_args(argv)
    errors: list[type[Exception]] = [ValueError, OSError, FloatingPointError, MissingExtraError]
    if args.command != "doctor":
        from .video import VideoError

        errors.append(VideoError)
    try:
        return args.run(args)
    except BrokenPipeError:  # the reader of a pipe has ended
        raise
    except tuple(errors) as error:
        return _refused(f"{_last_line(error)}{_way_out(args, error)}")
    except (RuntimeError, Stopped, KeyboardInterrupt) as error:
        return _refused(_why_stopped(args, error))


def _refused(reason: str) -> int:
    """Print in one line why a command ends; return the exit status."""
    from .names import printable

    print(printable(f"error: {reason}"), file=sys.stderr)
    return 2


def _source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=Path, help="folder of videos")
    parser.add_argument("--reader", choices=READERS, default="ravdess", help="(%(default)s)")
    parser.add_argument("--channel", choices=("speech", "song"), help="of RAVDESS (speech)")


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    _source_arguments(parser)
    _crop_arguments(parser, ("error", "centre", "skip"))
    parser.add_argument("--cache", type=Path, help="folder to keep decoded clips in")
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="leave unreadable clips out, and say which"
    )


def _crop_arguments(parser: argparse.ArgumentParser, no_face: Sequence[str]) -> None:
    parser.add_argument(
        "--crop", choices=("none", "face"), help="cut to the face (none, or as in the checkpoint)"
    )
    parser.add_argument("--no-face", choices=no_face, default="error", help="(%(default)s)")
    parser.add_argument("--margin", type=float, help="around the face, of its size (0.3)")
    parser.add_argument(
        "--face-model", help="ONNX file of OpenCV's FaceDetectorYN; a Haar cascade without"
    )


def _experiment_arguments(parser: argparse.ArgumentParser) -> None:
    experiments = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, (about, options) in EXPERIMENTS.items():
        add = experiments.add_parser(name, help=about)
        add.add_argument("--root", type=Path, default=doctor.SAMPLES, help="samples (%(default)s)")
        add.add_argument(
            "--out", type=Path, help=f"result file (results/{name}.csv in the samples)"
        )
        add.add_argument(
            "--work", type=Path, default="runs", help="for runs in progress (%(default)s)"
        )
        for option in options:
            flag = f"--{option.replace('_', '-')}"
            # Suppressed, so that the experiment's own default is used.
            add.add_argument(flag, default=argparse.SUPPRESS, **EXPERIMENT_OPTIONS[option])
        add.set_defaults(run=_experiment)


def _describe(args: argparse.Namespace) -> int:
    from .apply import overview
    from .apply.plan import Source

    clips = Source(args.root, args.reader, channel=args.channel).clips()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a clip that is cut short is listed as doubtful
        print(overview.describe(clips, crop=_crop(args).resolve(None), progress=True))
    return 0


def _train(args: argparse.Namespace) -> int:
    from .apply import runs
    from .apply.plan import ModelOptions, Plan

    signal.signal(signal.SIGTERM, _stop)
    plan = Plan(
        source=_source(args),
        out=args.out,
        model=ModelOptions(args.se, args.se_init, args.dropout, args.lean, args.weights),
        config=TrainConfig(**{name: getattr(args, name) for name in CONFIG_OPTIONS}),
        clip_len=args.clip_len,
        size=args.size,
        crop=_crop(args),
        cache=args.cache,
        augment=args.augment,
        seed=args.seed,
        start=args.start,
        resume=args.resume,
        folds=args.folds,
        views=args.views,
    )
    runs.train(plan)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from .apply import runs

    runs.evaluate(
        *(args.checkpoint, _source(args), _crop(args)),
        cache=args.cache,
        views=args.views,
        everybody=args.all,
    )
    return 0


def _predict(args: argparse.Namespace) -> int:
    from .apply import runs

    failed = runs.predict(
        *(args.checkpoint, args.videos, _crop(args)),
        window=args.window,
        step=args.step,
        out=args.out,
        figures=args.figures,
    )
    return 2 if failed else 0


def _export(args: argparse.Namespace) -> int:
    from .apply import export

    if args.format == "hub":
        print(f"{export.hub(args.checkpoint, args.out)}: model.safetensors, config.json, README.md")
        return 0
    write = export.onnx if args.format == "onnx" else export.torch_program
    error = write(args.checkpoint, args.out)
    print(f"{args.out}: logits differ from the model's by {error:.1e} at most")
    return 0


def _guard(args: argparse.Namespace) -> int:
    import importlib

    import torch

    from . import guards

    module, _, factory = args.model.partition(":")
    sizes = args.shape.split(",")
    if not (module and factory and all(size.strip().isdigit() for size in sizes)):
        raise ValueError("give MODULE:FACTORY, and a --shape such as 2,16,3,112,112")
    sys.path.insert(0, "")  # modules in the current folder, too
    torch.manual_seed(args.seed)
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{args.model}: {error}") from error
    video = torch.randn([int(size) for size in sizes])
    report = guards.check(make(), video, layout=args.layout, seed=args.seed)
    print(report)
    return 0 if report.ok else 1


def _experiment(args: argparse.Namespace) -> int:
    import torch

    from .studies import experiments, tuning

    if args.root != doctor.SAMPLES and args.out is None:
        raise ValueError("with another --root than the samples, name the result file with --out")
    # The same numbers on any number of cores; start another process to use another core.
    torch.set_num_threads(1)
    path = args.out or doctor.SAMPLES / "results" / f"{args.name}.csv"
    given = {name: value for name, value in vars(args).items() if name in EXPERIMENT_OPTIONS}
    module = tuning if args.name == "tuning" else experiments
    make = getattr(module, args.name.replace("-", "_"))
    rows = make(args.root, path, work=args.work, **given)
    print(f"{len(rows)} runs in {path}")
    return 0


def _crop(args: argparse.Namespace) -> "CropOptions":
    from .apply.plan import CropOptions

    return CropOptions(args.crop, args.no_face, args.margin, args.face_model)


def _source(args: argparse.Namespace) -> "Source":
    from .apply.plan import Source

    skips = args.skip_unreadable, args.no_face == "skip"
    return Source(args.root, args.reader, *skips, args.channel)


def _way_out(args: argparse.Namespace, error: Exception) -> str:
    """The option that leaves out a clip that cannot be used; "" if the command has none."""
    if not hasattr(args, "skip_unreadable"):
        return ""
    from .apply.crops import NoFaceError
    from .video import VideoError

    if isinstance(error, NoFaceError):
        return "; --no-face skip leaves such clips out"
    return "; --skip-unreadable leaves such clips out" if isinstance(error, VideoError) else ""


def _last_line(error: Exception) -> str:
    """The message of an error, without the traceback of a data loader's worker."""
    said = str(error).strip()
    if " in DataLoader worker process " in said:
        said = said.splitlines()[-1].partition(": ")[2]
    return said or type(error).__name__


def _stop(*_: object) -> None:
    raise Stopped


def _why_stopped(args: argparse.Namespace, error: BaseException) -> str:
    reason = "told to stop"
    if isinstance(error, RuntimeError):
        from . import parallel

        if machine := parallel.trouble(error):
            return machine
        if not parallel.lost_connection(error):
            raise error
        reason = "another process has ended"
    kept = "nothing is saved yet"
    if getattr(args, "out", None) and any(args.out.rglob("last.safetensors")):
        kept = "the epochs that are finished are saved: give the same command again with --resume"
    return f"{reason}; {kept}; if a process had an error of its own, it is shown above"


if __name__ == "__main__":
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    # A letter that the console's encoding does not have is printed by its code.
    if sys.stdout is not None:  # closed by some schedulers
        sys.stdout.reconfigure(errors="backslashreplace")  # pyrefly: ignore[missing-attribute]
    try:
        status = main()
        print(end="", flush=True)
    except BrokenPipeError:  # the reader has ended, such as `| head`
        # pyrefly: ignore[missing-attribute]
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
