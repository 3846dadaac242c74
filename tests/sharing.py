"""What `make test` begins with and keeps in one process, and what `make check` leaves out."""

import functools
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = (  # in this order, so that no process is still busy when the other has nothing left
    "tests/test_browser.py",
    "notebooks/04_train_the_fixed_model.ipynb",
    "tests/test_book.py",
    "tests/test_scale.py",
    "tests/test_hunts.py",
    "tests/test_doctor.py",
    "notebooks/13_scale_out.ipynb",
    "tests/test_main.py",
    "notebooks/03_bug_redundant_lstm.ipynb",
    "notebooks/08_clip_size.ipynb",
    "tests/test_model_lean.py",
    "tests/test_model.py",
    "tests/test_tuning.py",
    "notebooks/02_bug_se_access.ipynb",
    "tests/test_disks.py",
    "notebooks/10_tuning.ipynb",
    "tests/test_checks.py",
    "tests/test_decoder.py",
    "tests/test_fuzz_video.py",
    "tests/test_benchmarks.py",
    "tests/test_bugs.py",
    "tests/test_export.py",
    "tests/test_workshop.py",
    "notebooks/01_bug_permute.ipynb",
    "notebooks/06_review_hooks_and_weights.ipynb",
)
SLOW = {  # what trains the real network, or starts processes
    *LONGEST,
    "tests/test_cache.py",
    "tests/test_copies.py",
    "tests/test_docs.py",
    "tests/test_experiments.py",
    "tests/test_extras.py",
    "tests/test_parallel.py",
    "tests/test_timetable.py",
    "tests/test_trained.py",
}


@functools.cache
def group(file):
    """What runs in one process: a file, and with a notebook those that load what it trains."""
    if not file.startswith("notebooks/"):
        return file
    metadata = json.loads((ROOT / file).read_text(encoding="utf-8"))["metadata"]
    first, *_ = metadata.get("lesson", {}).get("after", [None])
    return group(f"notebooks/{first}.ipynb") if first else file


def slow(file):
    """Whether `make check` leaves a file out: every lesson, and what `SLOW` names."""
    return file in SLOW or not file.startswith("tests/")
