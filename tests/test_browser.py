"""Every lesson in a real JupyterLab and a real browser: Run All, then use every control.

nbval compares the numbers, on full runs. These tests check what a learner sees on the screen, so
there are few samples (one of each emotion by 24 people), and training is cut short: an epoch of 32
clips, five steps of a linear classifier (`lab.SHORT`). The scores that lessons then print are not
checked.
"""

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

import lab
import nbformat
import pytest

from r3d_helpers.classroom import widgets
from tools import notebooks

PATHS = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))
VIDEO = notebooks.ROOT / "data_samples/Actor_32/02-01-08-01-01-01-32.mp4"
EXPLORERS = {explorer.__name__ for explorer in widgets._Explorer.__subclasses__()}

EXPLORER = ".widget-vbox:has(> .widget-image)"
# What an image shows, whatever its address; nothing while it is loaded.
PIXELS = """image => {
    if (!image.complete) return null;
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL();
}"""
CHANGED = f"([image, before]) => ![null, before].includes(({PIXELS})(image))"


@pytest.fixture(scope="module")
def jupyterlab(chromium):
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        lab.serve(Path(home)) as server,
    ):
        yield lab.visit(chromium, *server)


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def lesson(request, jupyterlab):
    lesson = lab.Lesson(*jupyterlab, request.param.stem)
    yield lesson
    lesson.close()


def errors(cells):
    """The names of its errors, by cell."""
    found = {c["id"]: [o["ename"] for o in c["outputs"] if "ename" in o] for c in cells}
    return {cell: names for cell, names in found.items() if names}


def figures(cells):
    return [o for c in cells for o in c["outputs"] if "image/png" in o.get("data", {})]


def explorers(cells):
    """The names of the explorers that are shown, in order."""
    data = [o["data"] for c in cells for o in c["outputs"] if "data" in o]
    names = ["".join(d["text/plain"]).split("(")[0] for d in data if notebooks.WIDGET_VIEW in d]
    return [name for name in names if name in EXPLORERS]


def test_run_all_shows_the_expected_errors_and_no_other(lesson):
    """Without it: the tests are green, and learners see another error."""
    cells = lesson.cells()
    assert errors(cells) == errors(lesson.stored)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert lesson.page.locator(".jp-Dialog").count() == 0
    assert lesson.complaints == []


def test_tracebacks_are_red_and_figures_are_seen(lesson):
    names = [name for names in errors(lesson.stored).values() for name in names]
    printed = lesson.page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
    tracebacks = printed.filter(has_text="Traceback (most recent call last)").all()
    for traceback, name in zip(tracebacks, names, strict=True):
        assert name in traceback.text_content()
        colour = traceback.evaluate("element => getComputedStyle(element).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
        assert red > max(green, blue)
    pictures = lesson.page.locator(".jp-RenderedImage img")
    assert pictures.count() == len(figures(lesson.stored))
    assert all(pictures.evaluate_all("images => images.map(image => image.naturalWidth > 0)"))


def test_every_control_answers_to_keyboard_and_mouse(lesson):
    """Without it: a widget that only its author can use."""
    shown = lesson.page.locator(EXPLORER)
    assert shown.count() == len(explorers(lesson.stored))
    for explorer in shown.all():
        cell = lesson.page.locator(".jp-CodeCell").filter(has=explorer)
        sliders = explorer.get_by_role("slider").all()
        for control in [*explorer.locator("select, button").all(), *sliders]:
            cell.focus()
            tab_to(control)
            with changing(explorer):
                move(control)
        for slider in sliders:
            with changing(explorer):
                click_other_end(slider)
    assert lesson.complaints == []


def tagged(cells, tag):
    return [cell for cell in cells if tag in cell["metadata"].get("tags", ())]


def test_a_guess_is_kept_and_answered(lesson):
    """Without it: a learner without a mouse cannot guess, or the answer never comes."""
    asked = lesson.page.locator(".widget-vbox:has(> .widget-toggle-buttons)")
    assert asked.count() == len(tagged(lesson.stored, "guess"))
    for number, replied in enumerate(tagged(lesson.cells(), "reply")):
        assert "No guess yet" in replied["outputs"][0]["text"]
        asked.nth(number).get_by_role("button", name="b").press("Space")
        asked.nth(number).get_by_text("Kept: b.").wait_for()
        cell = lesson.page.locator(".jp-CodeCell").filter(has_text=replied["source"])
        cell.locator(".jp-InputPrompt").click()
        lesson.page.keyboard.press("Shift+Enter")
        cell.get_by_text("You said b, ").wait_for()
    assert lesson.complaints == []


def test_films_play(lesson):
    films = [o for c in lesson.stored for o in c["outputs"] if "r3d-film" in str(o.get("data"))]
    players = lesson.page.locator(".r3d-film")
    assert players.count() == len(films)
    for player in players.all():
        player.scroll_into_view_if_needed()
        player.get_by_role("button", name="Pause").press("Enter")
        player.get_by_role("button", name="Play").wait_for()


def test_the_row_of_memory_answers(lesson):
    """Without it: JupyterLab uses the arrow keys to go to another cell."""
    rows = lesson.page.locator(".r3d-memory")
    assert rows.count() == str(lesson.stored).count('<div class="r3d-memory">')
    for row in rows.all():
        row.get_by_role("radio", name="permute").press("ArrowRight")
        assert row.get_by_role("radio", name="view").is_checked()
        row.get_by_label("row of memory").get_by_role("button").first.press("ArrowRight")
        assert row.get_by_role("status").inner_text().startswith("Cell 1 is frame 0, red")
        row.get_by_role("button", name="Read frame 1").click()
        assert "frame 1: its red is the green of frame 0" in row.get_by_role("status").inner_text()
    assert lesson.complaints == []


def test_every_explorer_is_met_in_a_lesson():
    lessons = [lab.code_cells(nbformat.read(path, as_version=4)) for path in PATHS]
    assert {name for cells in lessons for name in explorers(cells)} == EXPLORERS


@contextmanager
def changing(explorer):
    """What is done inside must change the explorer's text and its picture."""
    from playwright.sync_api import expect

    text, picture = explorer.locator(".widget-html-content"), explorer.locator(".widget-image")
    words, pixels = text.text_content(), picture.evaluate(PIXELS)
    yield
    expect(text).not_to_have_text(words, timeout=120_000)
    explorer.page.wait_for_function(lab.IDLE)
    explorer.page.wait_for_function(CHANGED, arg=[picture.element_handle(), pixels])


def tab_to(control):
    for _ in range(4):  # past the cell's own button and a slider's number
        control.page.keyboard.press("Tab")
        if control.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the Tab key does not lead to {control}")


def move(control):
    """With the keyboard: a slider to an end, a menu to the next entry; a button gets a video."""
    press = control.page.keyboard.press
    if control.get_attribute("role") == "slider":
        for key in ("ArrowLeft", "Home") if at_end(control) else ("ArrowRight", "End"):
            press(key)
    elif control.evaluate("element => element.matches('select')"):
        last = control.evaluate("menu => menu.selectedIndex === menu.length - 1")
        for key in ("Space", "ArrowUp" if last else "ArrowDown", "Enter"):
            press(key)
    else:
        upload(control)


def upload(button, tries=3):
    """Open the file dialog with the Space bar, which a busy browser may miss, and give a video."""
    from playwright.sync_api import TimeoutError

    try:
        with button.page.expect_file_chooser(timeout=20_000) as chooser:
            button.page.keyboard.press("Space")
    except TimeoutError:
        if tries == 1:
            raise
        button.focus()
        upload(button, tries - 1)
    else:
        chooser.value.set_files(VIDEO)


def click_other_end(slider):
    """With the mouse."""
    track = slider.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]")
    end = track.bounding_box()["width"] - 1
    track.click(position={"x": 1 if at_end(slider) else end, "y": 2})


def at_end(slider):
    return slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
