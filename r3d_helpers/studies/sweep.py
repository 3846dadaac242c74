"""Many runs with one result file: resumable, one CSV row per finished run, shared by processes.

A result file starts with comment lines: the command that makes it and the versions it was made
with. After an interruption, give the same command again: finished runs are kept, and the one that
was stopped resumes after its last epoch. Give the same command in a second terminal, and both
processes share the remaining runs.
"""

import csv
import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from platform import python_version

import torch
import torchvision
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from ..files import make_folder, writing

_LONGEST = 60  # letters of the result file's name in the folder's name


def sweep(
    path: Path,
    grid: Sequence[Mapping],
    one: Callable[[Mapping, Path], Mapping[str, float | str]],
    *,
    command: str,
    work: Path,
) -> list[dict[str, str]]:
    """Make every run of ``grid`` that ``path`` does not hold yet, and return all rows.

    Several processes may do this at once: each run is made by one of them, and all return when the
    last run is finished.

    Args:
        path: the result file, rewritten after each run.
        grid: settings; all have the same names.
        one: makes one run in its own folder, which is kept if the run is stopped, and returns the
            values for the row.
        command: written into the file; must be the same when the file is continued.
        work: folder for the runs in progress; only empty lock files are left in it.

    Raises:
        ValueError: ``path`` was made by another command, or there is nothing to run.
    """
    if not grid:
        raise ValueError("nothing to run: seeds, trials and settings must be 1 or more")
    # Separate folders: no command must resume the runs of another command or another file.
    which = os.fsencode(f"{path.resolve()} {command}")
    work = work / f"{path.stem[:_LONGEST]}-{zlib.crc32(which):08x}"
    names = [{key: str(value) for key, value in setting.items()} for setting in grid]

    def finished() -> set[int]:
        return {_place(names, row) for row in _rows(path, command)}

    def note(number: int, noted: Mapping[str, float | str]) -> None:
        with FileLock(work / "rows.lock"):
            rows = [*_rows(path, command), {**names[number], **_text(noted)}]
            _write(path, sorted(rows, key=partial(_place, names)), command)

    todo = [number for number in range(len(grid)) if number not in finished()]
    make_folder(path.parent)
    make_folder(work)
    try:
        with FileLock(work / "rows.lock"):
            pass
    except OSError as error:
        raise OSError(
            f"{work}: files cannot be locked on this drive ({error.strerror}); name another --work"
        ) from error
    with tqdm(total=len(grid), initial=len(grid) - len(todo), unit="run") as bar:
        # First the runs that no process is making; then wait for those of other processes, and
        # make them here if their process has died.
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


def command_of(name: str, **options: float) -> str:
    """The command line that goes into a result file."""
    words = [f"--{option.replace('_', '-')} {value:g}" for option, value in options.items()]
    return " ".join(["python -m r3d_helpers experiment", name, *words])


def _rows(path: Path, command: str) -> list[dict[str, str]]:
    """The rows that ``command`` has already written; a file of another command is an error."""
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
    """The number of a row's setting; after all others if it has none."""
    found = (number for number, name in enumerate(names) if name.items() <= row.items())
    return next(found, len(names))


def _write(path: Path, rows: Sequence[Mapping[str, str]], command: str) -> None:
    with writing(path) as file:
        versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        # With another instruction set or number of threads, the same seed gives other results.
        cpu = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"
        file.write(f"# {command}\n# Python {python_version()}, {versions}, {cpu}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _text(noted: Mapping[str, float | str]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else f"{v:.4g}" for k, v in noted.items()}
