"""Lessons 08 to 10: enough runs for each answer, some of them live, and a recommendation."""

import itertools
import re

import lessons
import pytest

from r3d_helpers import doctor
from r3d_helpers.studies import sweep

FILES = {
    "08_clip_size": ("clip-size", ("clip_len", "size", "sampling")),
    "09_augmentation": ("augmentation", ("augment",)),
    "10_tuning": ("tuning", ("settings",)),
}


def prose(name):
    return "\n\n".join(c.source for c in lessons.load(name).cells if c.cell_type == "markdown")


@pytest.mark.parametrize("name", FILES)
def test_three_splits_or_more_stand_behind_every_setting(name):
    """Without it: lessons 08 to 10 give advice from a single run."""
    file, setting = FILES[name]
    rows = sweep.read(doctor.SAMPLES / "results" / f"{file}.csv")
    rows.sort(key=lambda row: [row[key] for key in setting])
    for _, group in itertools.groupby(rows, lambda row: [row[key] for key in setting]):
        seeds = [row["seed"] for row in group]
        assert len(seeds) == len(set(seeds)) >= 3


@pytest.mark.parametrize("name", FILES)
def test_the_page_shows_the_command_that_made_the_file(name):
    file, _ = FILES[name]
    command = (doctor.SAMPLES / "results" / f"{file}.csv").read_text().splitlines()[0]
    outputs = [o for c in lessons.load(name).cells for o in c.get("outputs", ())]
    assert any(command in o.get("text", "") for o in outputs)


@pytest.mark.parametrize("name", FILES)
def test_it_says_what_it_recommends_and_how_sure_it_is(name):
    headings = re.findall(r"^## (.+)$", prose(name), re.MULTILINE)
    assert headings[-4:] == ["A slice, live", "What we recommend", "Exercise", "To remember"]
    advice = prose(name).partition("## What we recommend")[2].partition("\n## ")[0]
    assert re.search(r"\*\*(Sure|Likely)\*\*", advice)
    assert "**Open**" in advice


@pytest.mark.parametrize("name", FILES)
def test_the_slice_agrees_with_the_long_runs(name):
    """Without it: stored results that the program no longer reproduces."""
    live = lessons.stored_text(name, "slice")
    assert re.findall(r"(True|False)$", live, re.MULTILINE)
    assert "False" not in live


@pytest.mark.parametrize("name", FILES)
def test_a_difference_has_pairs_and_an_interval(name):
    """Without it: a lesson compares two means, and calls the higher one better."""
    source = "\n".join(c.source for c in lessons.load(name).cells if c.cell_type == "code")
    assert "compare.settings(" in source
    assert "stdev" not in source
    assert "how-sure.md" in prose(name)


@pytest.mark.parametrize("name", FILES)
def test_it_says_first_what_for_and_how_long(name):
    first = lessons.load(name).cells[0].source
    for words in ("**After this lesson you can**", "**Minutes:**", "**Before this:**"):
        assert words in first
