"""The command line: ``python -m r3d_helpers COMMAND``; ``--help`` lists the commands."""

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import doctor, recommended
from .config import CHOICES, TrainConfig

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


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the list of all options."""

    def error(self, message: str) -> NoReturn:
        """Exit with this message, and name the command's ``--help``."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command and its options; exit with an error if one is not known."""
    parser = Parser(prog="python -m r3d_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_commands(commands)
    if argv[:1] == ["faces"]:  # of version 1.0
        parser.error("faces is now `python -m r3d_helpers.classroom.actors`, same options")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        command = commands.choices[args.command]
        known = re.findall(r"--[a-z-]+", command.format_usage())
        close = difflib.get_close_matches(unknown[0], known, 1, cutoff=0.8)
        meant = f", did you mean {close[0]}?" if close else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
    return args


def _add_commands(commands: argparse._SubParsersAction) -> None:

    add = commands.add_parser("doctor", help="check this machine and say what to fix")
    add.add_argument("--room", action="store_true", help="for a course: one line, with Jupyter")

    add = commands.add_parser("describe", help="count the clips of a folder, and read each of them")
    _source_arguments(add)
    _crop_arguments(add, ("error", "centre"))

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

    add = commands.add_parser("evaluate", help="score a trained model on subjects it has not seen")
    _data_arguments(add)
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    add.add_argument("--all", action="store_true", help="also use the subjects of its training")
    add.add_argument("--views", type=int, default=1, help="clips per video (%(default)s)")

    add = commands.add_parser("predict", help="print a trained model's predictions over time")
    add.add_argument("videos", type=Path, nargs="+", help="video files")
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    _crop_arguments(add, ("error", "centre"))
    add.add_argument("--window", type=float, default=3.0, help="its seconds (%(default)s)")
    add.add_argument("--step", type=float, default=1.0, help="seconds to the next (%(default)s)")
    add.add_argument("--out", type=Path, help="write every window's probabilities to this CSV file")
    add.add_argument("--figures", type=Path, help="draw time line and Grad-CAM into this folder")

    add = commands.add_parser("export", help="write a trained model for use elsewhere")
    add.add_argument("format", choices=("hub", "onnx", "torch"), help="what to write")
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    add.add_argument("--out", type=Path, required=True, help="file; for the hub a folder")

    add = commands.add_parser("guard", help="check a video model for faults that no loss shows")
    add.add_argument("model", metavar="MODULE:FACTORY", help="function that returns the model")
    add.add_argument("--shape", default="2,16,3,112,112", help="of a video (%(default)s)")
    add.add_argument("--layout", choices=("BTCHW", "BCTHW"), default="BTCHW", help="(%(default)s)")
    add.add_argument("--seed", type=int, default=0, help="of weights and clips (%(default)s)")

    add = commands.add_parser("experiment", help="make or resume the long runs behind a lesson")
    _experiment_arguments(add)


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
