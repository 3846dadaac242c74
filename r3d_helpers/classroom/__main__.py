"""Tables of what learners have done: ``python -m r3d_helpers.classroom progress | class | hunt``.

``progress [FILE]`` shows a learner's own table. ``class FOLDER`` makes a table from a folder with
such a file of each learner, and lists what was most often guessed wrong. ``hunt NAME NUMBER``
shows the bugs in the program of the learner with that number.
"""

import argparse
import sys
from pathlib import Path

from . import hunts, progress, survey

PLACES = (".", "playground", "notebooks")  # where a learner's file may be, from this folder


def main(argv: list[str] | None = None) -> int:
    """Print a table; the exit status is 1 if there is nothing to show."""
    parser = argparse.ArgumentParser(prog="python -m r3d_helpers.classroom")
    commands = parser.add_subparsers(dest="command", required=True)
    mine = commands.add_parser("progress", help="what you guessed and solved")
    mine.add_argument(
        "file", nargs="?", type=Path, help="your progress.json; found without, if it is near"
    )
    ours = commands.add_parser("class", help="a table of a folder of such files")
    ours.add_argument("folder", type=Path, help="with a file.json for each learner")
    hunt = commands.add_parser("hunt", help="the bugs in a learner's program")
    hunt.add_argument("name", help="of the hunt, such as gait")
    hunt.add_argument("seed", nargs="?", type=int, default=0, help="the learner's number")
    args = parser.parse_args(argv)
    try:
        if args.command == "class":
            print(survey.of(args.folder))
        elif args.command == "hunt":
            print(hunts.answer(hunts.case(args.name, args.seed)))
        else:
            path = args.file or _found()
            if not path.exists():
                raise progress.DamagedError(f"{path}: there is no such file")
            print(progress.table(progress.read(path)))
    except (progress.DamagedError, survey.EmptyError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _found() -> Path:
    found = [path for place in PLACES if (path := Path(place, progress.FILE)).exists()]
    if not found:
        raise progress.DamagedError(
            f"no {progress.FILE} in {', '.join(PLACES)}: it is written with the first guess in a "
            "learner's copy; give its path if it is elsewhere"
        )
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
