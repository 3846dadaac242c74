"""The few commands: ``python -m r3d_helpers doctor | faces | train | evaluate | experiment``."""

import argparse
import sys
from functools import partial
from pathlib import Path

from . import doctor

READERS = ("ravdess", "crema_d", "folder")
EXPERIMENT_OPTIONS = {
    "seeds": {"type": int, "help": "splits of the people"},
    "trials": {"type": int, "help": "settings tried for each split"},
    "epochs": {"type": int, "help": "of training, in each run"},
    "clip_len": {"type": int, "help": "frames per clip"},
    "size": {"type": int, "help": "pixels"},
    "lr": {"type": float, "help": "highest learning rate"},
    "settings": {"nargs": "+", "metavar": "NAME", "help": "some of the settings, instead of all"},
}
EXPERIMENTS = {
    "se": (
        "where the gates sit and how they start",
        ("seeds", "epochs", "clip_len", "size", "lr"),
    ),
    "clip-size": (
        "how many frames, how large, sampled how",
        ("seeds", "epochs", "lr"),
    ),
    "augmentation": (
        "what to change in the clips that are trained on",
        ("seeds", "epochs", "clip_len", "size", "lr", "settings"),
    ),
    "tuning": (
        "what a search for better settings brings",
        ("seeds", "trials", "epochs", "clip_len", "size"),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for a failed check, 2 for a bad argument."""
    parser = argparse.ArgumentParser(prog="python -m r3d_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("doctor", help="check this machine and say what to mend").set_defaults(
        run=lambda _: doctor.main()
    )

    add = commands.add_parser("faces", help="draw the sample videos again, frame for frame")
    add.add_argument("--out", type=Path, default=doctor.SAMPLES, help="folder (%(default)s)")
    add.add_argument("--actors", type=int, default=60, help="1 to 99 (%(default)s)")
    add.add_argument("--takes", type=int, default=2, help="clips per emotion (%(default)s)")
    add.add_argument("--seed", type=int, default=0, help="other actors (%(default)s)")
    add.set_defaults(run=_faces)

    add = commands.add_parser("train", help="train on a folder of clips, or go on with a run")
    _data_arguments(add)
    add.add_argument("--out", type=Path, required=True, help="the run's folder")
    add.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out; repeat the other arguments as they were",
    )
    add.add_argument("--seed", type=int, default=0, help="of split and training (%(default)s)")
    add.add_argument("--clip-len", type=int, default=16, help="frames per clip (%(default)s)")
    add.add_argument("--size", type=int, default=112, help="pixels (%(default)s)")
    add.add_argument("--se", choices=("output", "residual", "none"), default="output")
    add.add_argument("--se-init", choices=("default", "identity"), default="identity")
    add.add_argument("--dropout", type=float, default=0.5, help="(%(default)s)")
    add.add_argument("--weights", help="KINETICS400_V1, or a file; random without")
    add.add_argument("--augment", choices=("none", "light", "strong"), default="light")
    add.add_argument("--mix", choices=("none", "mixup", "cutmix"), default="none")
    add.add_argument("--epochs", type=int, default=10, help="(%(default)s)")
    add.add_argument("--batch-size", type=int, default=16, help="(%(default)s)")
    add.add_argument("--lr", type=float, default=6e-4, help="(%(default)s)")
    add.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    add.add_argument("--class-weights", action="store_true", help="weight rare classes more")
    add.add_argument("--ema", type=float, default=0.0, help="decay, 0 for none (%(default)s)")
    add.add_argument("--num-workers", type=int, default=0, help="loading processes (%(default)s)")
    add.set_defaults(run=_train)

    add = commands.add_parser("evaluate", help="score a trained model on subjects it has not seen")
    _data_arguments(add)
    add.add_argument("--checkpoint", type=Path, required=True, help="a run's best.safetensors")
    add.add_argument("--all", action="store_true", help="also the subjects it was trained with")
    add.set_defaults(run=_evaluate)

    add = commands.add_parser("experiment", help="make the long runs behind a lesson, or go on")
    _experiment_arguments(add)

    args = parser.parse_args(argv)
    # Imported late, so that `doctor` runs where these cannot be.
    errors: tuple[type[Exception], ...] = (ValueError, OSError, FloatingPointError)
    if args.command != "doctor":
        from .video import VideoError

        errors = (*errors, VideoError)
    try:
        return args.run(args)
    except errors as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=Path, help="folder of videos")
    parser.add_argument("--reader", choices=READERS, default="ravdess", help="(%(default)s)")


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
            # Left out, the experiment's own default holds.
            add.add_argument(flag, default=argparse.SUPPRESS, **EXPERIMENT_OPTIONS[option])
        add.set_defaults(run=_experiment)


def _faces(args: argparse.Namespace) -> int:
    from . import faces

    paths = faces.generate(args.out, actors=args.actors, takes=args.takes, seed=args.seed)
    print(f"{len(paths)} videos in {args.out}")
    return 0


def _train(args: argparse.Namespace) -> int:
    import torch

    from . import augment, datasets, model, sampler, trainer

    clips = getattr(datasets, args.reader)(args.root)
    train, val, test = datasets.train_val_test(clips, seed=args.seed)
    print(f"{len(train)} clips to train, {len(val)} to validate, {len(test)} to test")
    shape = {"clip_len": args.clip_len, "size": args.size}
    train_set = datasets.ClipDataset(
        train,
        **shape,
        sampler=partial(sampler.jitter, generator=None),
        transform=augment.preset(args.augment),
        classes=sorted({clip.label for clip in clips}),
    )
    val_set = datasets.ClipDataset(val, **shape, classes=train_set.classes)
    if args.resume:
        run = trainer.Trainer.resume(args.out)
    else:
        torch.manual_seed(args.seed)
        net = model.R3DEmotion(
            len(train_set.classes),
            clip_len=args.clip_len,
            se=None if args.se == "none" else args.se,
            se_init=args.se_init,
            dropout=args.dropout,
            weights=args.weights,
        )
        config = trainer.TrainConfig(
            epochs=args.epochs,
            batch_size=args.batch_size,
            lr=args.lr,
            precision=args.precision,
            class_weights=args.class_weights,
            mix=args.mix,
            ema=args.ema,
            seed=args.seed,
            num_workers=args.num_workers,
        )
        run = trainer.Trainer(net, config, args.out)
    run.fit(train_set, val_set)
    test_set = datasets.ClipDataset(test, **shape, classes=train_set.classes)
    _report(run.evaluate(test_set), test_set)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from . import datasets, trainer

    net, about = trainer.load(args.checkpoint)
    clips = getattr(datasets, args.reader)(args.root)
    if not args.all:
        clips = [clip for clip in clips if clip.subject not in about["subjects"]]
        if not clips:
            raise ValueError(f"{args.root}: the model was trained with all its subjects; see --all")
    dataset = datasets.ClipDataset(
        clips, clip_len=net.clip_len, size=about["size"], classes=about["classes"]
    )
    config = trainer.TrainConfig(**about["train"])
    _report(trainer.Trainer(net, config, args.checkpoint.parent).evaluate(dataset), dataset)
    return 0


def _experiment(args: argparse.Namespace) -> int:
    import torch

    from . import experiments, tuning

    if args.root != doctor.SAMPLES and args.out is None:
        raise ValueError("results of other clips than the samples: name their file with --out")
    # The same numbers with any number of cores; another process serves another core.
    torch.set_num_threads(1)
    path = args.out or doctor.SAMPLES / "results" / f"{args.name}.csv"
    given = {name: value for name, value in vars(args).items() if name in EXPERIMENT_OPTIONS}
    room = tuning if args.name == "tuning" else experiments
    make = getattr(room, args.name.replace("-", "_"))
    rows = make(args.root, path, work=args.work, **given)
    print(f"{len(rows)} runs in {path}")
    return 0


def _report(scores: "trainer.Scores", dataset: "datasets.ClipDataset") -> None:  # noqa: F821
    subjects = len({clip.subject for clip in dataset.clips})
    print(f"{len(dataset)} clips of {subjects} subjects: ", end="")
    print(f"UAR {scores.uar:.3f}, WAR {scores.war:.3f}, F1 {scores.f1:.3f}")
    for name, row in zip(dataset.classes, scores.confusion.tolist(), strict=True):
        print(f"  {name:<12}" + "".join(f"{count:>5}" for count in row))


if __name__ == "__main__":
    sys.exit(main())
