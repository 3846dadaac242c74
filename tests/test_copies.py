"""The learner's copies: they hold no answers, and a learner's work is never overwritten."""

import json
import os
import shutil

import lessons
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from r3d_helpers.classroom import checks, course, progress
from tools import copies, lab, notebooks

PATHS = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))
FOLD = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"


def write(folder, name, *more, secret="7"):
    """A lesson with an exercise."""
    cells = [
        new_markdown_cell("# A lesson\n\nRead."),
        new_code_cell("checks.seven(...)", metadata={"tags": ["exercise-seven"]}),
        new_markdown_cell(FOLD.format(secret), metadata={"tags": ["solution"]}),
        *map(new_markdown_cell, more),
    ]
    cells[1].outputs, cells[1].execution_count = [new_output("stream", text="Not yet")], 1
    widgets = {notebooks.WIDGET_STATE: {"state": {}}}
    about = {"lesson": {"order": 0}, "widgets": widgets, "kernelspec": {"name": "python3"}}
    about["kernelspec"]["display_name"] = "Python 3"
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=about), folder / f"{name}.ipynb")


def read(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def edit(path, text):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = text
    nbformat.write(notebook, path)


@pytest.fixture
def shelf(tmp_path):
    """Two lessons, and the learner's folder with a copy of each."""
    for name in ("00_one", "01_two"):
        write(tmp_path / "notebooks", name)
    assert copies.renew(tmp_path / "notebooks", tmp_path / "mine") == []
    return tmp_path


def test_a_copy_has_neither_outputs_nor_solutions(shelf):
    """Without it: learners see the answers."""
    copy = nbformat.read(shelf / "mine" / "00_one.ipynb", as_version=4)
    assert [cell.source for cell in copy.cells] == ["# A lesson\n\nRead.", "checks.seven(...)"]
    assert copy.cells[1].outputs == []
    assert copy.cells[1].execution_count is None
    assert set(copy.metadata) == {"kernelspec", "lesson"}


def test_the_solution_is_kept_for_those_who_ask(shelf, monkeypatch):
    monkeypatch.chdir(shelf / "mine")
    html = progress.solution("seven")
    assert "<pre>" in html
    assert "7" in html
    assert "details" not in html
    assert progress.solution("eight") == ""


def test_nothing_happens_where_nothing_is_new(shelf):
    before = {path: path.stat().st_mtime_ns for path in (shelf / "mine").glob("*.ipynb")}
    assert copies.renew(shelf / "notebooks", shelf / "mine") == []
    assert before == {path: path.stat().st_mtime_ns for path in (shelf / "mine").glob("*.ipynb")}


def test_an_update_brings_what_is_new_and_renews_what_nobody_changed(shelf):
    write(shelf / "notebooks", "00_one", "More to read.")
    write(shelf / "notebooks", "02_three")
    ran = nbformat.read(shelf / "mine" / "00_one.ipynb", as_version=4)
    ran.cells[1].outputs = [new_output("stream", text="Not attempted")]  # to run it is no work
    nbformat.write(ran, shelf / "mine" / "00_one.ipynb")
    assert copies.renew(shelf / "notebooks", shelf / "mine") == []
    assert "More to read." in read(shelf / "mine" / "00_one.ipynb")
    assert (shelf / "mine" / "02_three.ipynb").exists()


def test_an_update_leaves_what_somebody_changed(shelf):
    """Without it: a learner's work is lost after `git pull`."""
    mine = shelf / "mine" / "00_one.ipynb"
    edit(mine, "# My notes")
    kept = mine.read_bytes()
    for number, name in enumerate(("00_one-new", "00_one-new", "00_one-new-2")):
        write(shelf / "notebooks", "00_one", f"version {number}")
        (line,) = copies.renew(shelf / "notebooks", shelf / "mine")
        assert line == f"00_one.ipynb is your work and stays; the new one is {name}.ipynb"
        assert mine.read_bytes() == kept
        assert f"version {number}" in read(shelf / "mine" / f"{name}.ipynb")
        assert copies.renew(shelf / "notebooks", shelf / "mine") == []  # said once
        if number == 1:
            edit(shelf / "mine" / f"{name}.ipynb", "# My notes on the new one")
    assert read(shelf / "mine" / "00_one-new.ipynb")[0] == "# My notes on the new one"


def test_a_new_one_that_was_thrown_away_does_not_come_back(shelf):
    edit(shelf / "mine" / "00_one.ipynb", "# My notes")
    write(shelf / "notebooks", "00_one", "More to read.")
    copies.renew(shelf / "notebooks", shelf / "mine")
    (shelf / "mine" / "00_one-new.ipynb").unlink()
    assert copies.renew(shelf / "notebooks", shelf / "mine") == []
    assert not (shelf / "mine" / "00_one-new.ipynb").exists()


def test_a_copy_that_is_missing_comes_back(shelf):
    """The guide says so: delete what is broken, and give `make lab` again."""
    (shelf / "mine" / "00_one.ipynb").unlink()
    copies.renew(shelf / "notebooks", shelf / "mine")
    assert read(shelf / "mine" / "00_one.ipynb")[0].startswith("# A lesson")


@pytest.mark.parametrize("content", ["no notebook", "{}", '{"nbformat": 4}'])
def test_what_is_no_notebook_any_more_counts_as_work(shelf, content):
    (shelf / "mine" / "00_one.ipynb").write_text(content)
    write(shelf / "notebooks", "00_one", "More to read.")
    assert len(copies.renew(shelf / "notebooks", shelf / "mine")) == 1
    assert (shelf / "mine" / "00_one.ipynb").read_text() == content


@pytest.mark.parametrize("record", [None, "", "[1]", "{"])
def test_without_a_record_everything_counts_as_work(shelf, record):
    made = shelf / "mine" / progress.HIDDEN / copies.MADE
    made.unlink() if record is None else made.write_text(record)
    edit(shelf / "mine" / "00_one.ipynb", "# My notes")
    assert len(copies.renew(shelf / "notebooks", shelf / "mine")) == 1
    assert read(shelf / "mine" / "00_one.ipynb")[0] == "# My notes"
    assert not (shelf / "mine" / "01_two-new.ipynb").exists()  # it is as published


def test_a_copy_cut_short_leaves_the_old_one(shelf, monkeypatch):
    write(shelf / "notebooks", "00_one", "More to read.")
    before = (shelf / "mine" / "00_one.ipynb").read_bytes()

    def fail(notebook, path):
        path.write_text("half a noteb")
        raise OSError("no space left")

    monkeypatch.setattr(nbformat, "write", fail)
    with pytest.raises(OSError, match="no space left"):
        copies.renew(shelf / "notebooks", shelf / "mine")
    assert (shelf / "mine" / "00_one.ipynb").read_bytes() == before


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_solution_is_a_tagged_cell_of_its_own(path):
    """Without it: the tag is forgotten, and the solution is in every learner's copy."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", ()) or "<summary>Solution" in cell.source:
            assert cell.metadata.tags == ["solution"]
            assert cell.source.startswith("<details>")
            assert cell.source.endswith("</details>")
    found = copies.answers(notebook)
    assert set(found) <= {*checks.__all__, *(hunt.name for hunt in course.HUNTS)}
    assert len(found) == sum("<summary>Solution" in cell.source for cell in notebook.cells)
    for _, code in lessons.solutions(path.stem).values():
        first = code.split()[1].split("(")[0]
        assert any(first in html for html in found.values())


def test_make_lab_opens_the_first_lesson_with_the_book_behind_a_link(tmp_path):
    copies.renew(notebooks.NOTEBOOKS, tmp_path, lab.BOOK)
    first = read(tmp_path / lab.FIRST)[0]
    assert f"[This lesson in the book]({lab.BOOK}/notebooks/00_meet_the_clip.html)" in first
    assert f"--LabApp.default_url=/lab/tree/playground/{lab.FIRST}" in lab.command()
    # JupyterLab's server has at /static/book what is in build/book.
    assert f"--ServerApp.extra_static_paths=['{notebooks.BUILD}']" in lab.command()
    assert lab.BOOK == "/static/book"
    record = json.loads((tmp_path / progress.HIDDEN / copies.MADE).read_text())
    assert sorted(record) == [path.name for path in PATHS]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no root")
@pytest.mark.parametrize("user", [0, 1000])
def test_root_may_open_the_lab(monkeypatch, user):
    """Without it: in a container set-up takes minutes, and then Jupyter refuses to start."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("--allow-root" in lab.command()) == (user == 0)


def test_the_book_is_made_again_after_a_change(tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    (tmp_path / "README.md").touch()
    page = tmp_path / "index.html"
    assert lab._is_old(page)
    shutil.copy(PATHS[0], tmp_path)
    page.touch()
    assert not lab._is_old(page)
    (tmp_path / PATHS[0].name).touch()
    assert lab._is_old(page)
