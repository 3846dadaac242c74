"""Run a command: ``python -m r3d_helpers COMMAND``."""

import argparse
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import doctor, options
from ._extras import MissingExtraError
from .config import TrainConfig

if TYPE_CHECKING:  # imported late, so that `doctor` runs even if these imports fail
    from .apply.overview import Description
    from .apply.plan import CropOptions, Source


class Stopped(Exception):
    """Raised on SIGTERM, sent by torchrun after another process died, or by a scheduler."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for a failed check, 2 for a bad argument."""
    args = options.read(sys.argv[1:] if argv is None else argv)
    errors: list[type[Exception]] = [ValueError, OSError, FloatingPointError, MissingExtraError]
    if args.command != "doctor":
        from .video import VideoError

        errors.append(VideoError)
    try:
        return COMMANDS[args.command](args)
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


def _doctor(args: argparse.Namespace) -> int:
    return doctor.room() if args.room else doctor.main()


def _describe(args: argparse.Namespace) -> int:
    from .apply import overview
    from .apply.plan import Source

    clips = Source(args.root, args.reader, channel=args.channel).clips()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a clip that is cut short is listed as doubtful
        found = overview.describe(clips, crop=_crop(args).resolve(None), progress=True)
    print(found)
    print("\nnext:", *_next(args, found))
    return 0


def _next(args: argparse.Namespace, found: "Description") -> list[str]:
    """The command that trains on what `describe` found."""
    words = ["python -m r3d_helpers train", shlex.quote(str(args.root))]
    faceless = any(not face.enough for face in found.faces)
    no_face = "skip" if faceless and args.no_face == "error" else args.no_face
    for name in ("reader", "channel", "crop", "margin", "face_model"):
        if (value := getattr(args, name)) is not None:
            words.append(f"--{name.replace('_', '-')} {shlex.quote(str(value))}")
    if no_face != "error":
        words.append(f"--no-face {no_face}")
    if found.unreadable:
        words.append("--skip-unreadable")
    return [*words, "--out runs/mine"]


def _train(args: argparse.Namespace) -> int:
    from .apply import runs
    from .apply.plan import ModelOptions, Plan

    signal.signal(signal.SIGTERM, _stop)
    plan = Plan(
        source=_source(args),
        out=args.out,
        model=ModelOptions(args.se, args.se_init, args.dropout, args.lean, args.weights),
        config=TrainConfig(**{name: getattr(args, name) for name in options.CONFIG_OPTIONS}),
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
    error = write(args.checkpoint, args.out, progress=True)
    print(f"wrote {args.out}: logits differ from the model's by {error:.1e} at most")
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
    given = {
        name: value for name, value in vars(args).items() if name in options.EXPERIMENT_OPTIONS
    }
    module = tuning if args.name == "tuning" else experiments
    make = getattr(module, args.name.replace("-", "_"))
    rows = make(args.root, path, work=args.work, **given)
    print(f"{len(rows)} runs in {path}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "doctor": _doctor,
    "describe": _describe,
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "export": _export,
    "guard": _guard,
    "experiment": _experiment,
}


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
    from .video import VideoError

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
    said = [reason]
    if args.command == "train" and not any(args.out.rglob("*.safetensors")):
        said.append("nothing is saved yet")
    elif args.command == "train":
        for last in args.out.rglob("last.safetensors"):  # one; none between two folds
            history = last.with_name("history.csv")
            rows = len(history.read_text().splitlines()) - 1 if history.exists() else 0
            fold = f" of {last.parent.name}" if args.folds else ""
            said[0] += f", {rows} of {args.epochs} epochs{fold} are finished"
        again = "give the same command again with --resume"
        said.append(f"the epochs that are finished are saved: {again}")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        said.append("if a process had an error of its own, it is shown above")
    return "; ".join(said)


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
