"""Numbers agree: text with cells, lessons with each other, and both with the samples."""

import re
from pathlib import Path

import lessons
import pytest

from r3d_helpers import R3DEmotion, datasets
from tools import notebooks

ROOT = Path(__file__).parents[1]
LESSONS = [path.stem for path in sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))]

# Three digits or a point: smaller numbers are everywhere, and agree by chance.
NUMBER = r"(?<![\w.,/#-])(?:\d[\d,]*\.\d+|\d{1,3}(?:,\d{3})+|\d{3,})(?![\w/]|\.\d)"

# Said in a lesson and printed by no cell of it, with where it comes from.
ELSEWHERE = {
    "01_bug_permute": {"512": "the schematic of the channels"},
    "03_bug_redundant_lstm": {"1.10": "a version of torch", "1.11": "a version of torch"},
    "04_train_the_fixed_model": {
        "0.05": "the recommended training",
        "0.14": "one in seven",
        "0.62": "docs/maintain/benchmarks.md",
        "0.67": "docs/maintain/benchmarks.md",
        "1.95": "ln 7",
        "112": "the published fix",
    },
    "06_review_hooks_and_weights": {"3.13": "a version of Python"},
    "07_review_short_clips_and_gates": {"0.9": "a made-up training, in a question"},
    "08_clip_size": {"840": "lesson 00"},
    "09_augmentation": {"290": "250 and 40"},
    "10_tuning": {
        "0.0002": "twice 0.0001",
        "0.86": "a made-up search, in a question",
        "0.93": "a made-up search, in a question",
        "0.95": "a wrong option",
    },
    "11_your_own_videos": {
        "100": "95 % in whole draws",
        "1001": "a name of CREMA-D",
        "4.0": "a licence",
    },
    "12_explanations": {"100": "a whole in %", "112": "the published fix"},
    "13_scale_out": {"2.13": "a version of torch", "4.0": "a licence"},
}


def prose(notebook):
    """Its text without code, the targets of links, and the years of papers."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.sub(r",\s+\d{4}\]", "]", re.sub(r"\]\([^)]*\)", "]", text))


def printed(notebook):
    """Every number that its cells have in their code or print."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts.append(cell.source.replace("_", ""))
            for output in cell.outputs:
                texts.append("".join(output.get("text", "")) + output.get("evalue", ""))
                texts.append("".join(output.get("data", {}).get("text/plain", "")))
    return {plain(number) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", "\n".join(texts))}


def plain(number):
    return number.replace(",", "")


def unfounded(said, known):
    return {plain(number) for number in re.findall(NUMBER, said)} - known


@pytest.mark.parametrize("name", LESSONS)
def test_a_number_of_the_prose_is_one_that_a_cell_prints(name):
    """Without it: a cell prints another number now, and the sentence below it is wrong."""
    notebook = lessons.load(name)
    elsewhere = set(ELSEWHERE.get(name, ()))
    known = printed(notebook)
    assert not elsewhere & known, "is printed now"
    assert unfounded(prose(notebook), known) == elsewhere


@pytest.mark.parametrize("name", LESSONS)
def test_a_wrong_number_is_found(name):
    """One number of the prose at a time gets another last digit."""
    notebook = lessons.load(name)
    known = printed(notebook) | set(ELSEWHERE.get(name, ()))
    said = prose(notebook)
    numbers = list(re.finditer(NUMBER, f"{said} 0.12345"))
    found = 0
    for number in numbers:
        wrong = number[0][:-1] + str((int(number[0][-1]) + 3) % 10)
        found += bool(unfounded(f"{said} 0.12345"[: number.start()] + wrong, known))
    assert found >= 0.7 * len(numbers)


# --- what several pages say of the same samples and the same model ------------------------------


def weights(**options):
    return f"{sum(p.numel() for p in R3DEmotion(7, clip_len=4, **options).parameters()):,}"


@pytest.fixture(scope="module")
def truth():
    clips = datasets.ravdess(ROOT / "data_samples")
    train, val, test = datasets.train_val_test(clips)
    return {
        r"\b(8\d\d) clips": str(len(clips)),
        r"\b(\d\d) people\b(?= leak|;| in all)|clips of (6\d) people": "60",
        r"\b11 to (4\d)\b": "41",  # frames, of all files; test_samples looks at every third
        r"\b(5\d\d) clips of 41": str(len(train)),
        r"\b(\d+) clips of 7 people": str(len(val)),
        r"\b(\d+) clips of 12 people": str(len(test)),
        r"\b(33,2\d\d,\d{3})\b": weights(),
        r"\b(1\d,\d{3},\d{3}) parameters": weights(lean=True),
        r"\b(3\d) million (?:weights|parameters)": weights()[:2],
    }


def test_pages_say_the_same_of_the_samples_and_the_model(truth):
    """Without it: one page says 41 frames and another 45."""
    pages = [ROOT / "README.md", ROOT / "data_samples" / "README.md"]
    texts = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in pages}
    for name in LESSONS:
        cells = lessons.load(name).cells
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        shown = "\n".join("".join(output.get("text", "")) for output in outputs)
        texts[name] = "\n".join(c.source for c in cells if c.cell_type == "markdown") + shown
    for pattern, right in truth.items():
        hits = [
            (name, next(filter(None, found.groups())))
            for name, text in texts.items()
            for found in re.finditer(pattern, re.sub(r"\s+", " ", text))
        ]
        assert hits, pattern
        assert {said for _, said in hits} == {right}, (pattern, hits)
