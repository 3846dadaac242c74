"""The row of memory: it says what torch does, and works with mouse, finger and keys."""

import re

import pytest
import torch

from r3d_helpers.classroom.memory import RowOfMemory, ball

WAYS = {
    "permute": lambda x: x.permute(0, 2, 1, 3, 4),
    "view": lambda x: x.view(1, 3, x.shape[1], *x.shape[3:]),
}


@pytest.fixture(scope="module")
def row():
    return RowOfMemory(WAYS)


def test_each_number_is_read_from_the_cell_that_is_named(row):
    """Without it: the widget shows another result than torch gives."""
    numbers = ball().flatten()
    for name, way in WAYS.items():
        seen = way(ball())[0].transpose(0, 1)  # [T, C, H, W]
        assert numbers[row.reads[name]].equal(seen)
        assert row.reads[name].flatten().unique().tolist() == [*range(36)]


def test_what_is_said_of_a_number(row):
    said = row.pixel("view", 0, "green", 1, 0)
    assert said == (
        "view: frame 0, green, row 1, column 0 is read from cell 15: frame 0, blue, row 1, "
        "column 0. It should be cell 9."
    )
    assert row.pixel("permute", 1, "red", 0, 2).endswith("read from cell 20, and that is right.")
    assert row.cell("view", 15).endswith("view reads it as frame 0, green, row 1, column 0.")
    assert row.cell("permute", 15).endswith("and permute reads it there.")
    assert row.frame("view", 1).endswith(
        "its red is the green of frame 0, its green is the red of frame 1, its blue is the blue of "
        "frame 1."
    )


def test_what_is_said_of_a_way(row):
    """The steps are torch's strides, where nothing has been copied."""
    for name, way in WAYS.items():
        _, c, t, h, w = way(ball()).stride()
        assert f"next: T {t}, C {c}, H {h}, W {w}." in row.way(name)
    assert "frame 0 reads cells 0 to 17" in row.way("permute")
    assert "frame 0 reads cells 0 to 5, 12 to 17 and 24 to 29" in row.way("view")
    assert "Every number is where it belongs." in row.way("permute")
    assert "24 of 36 numbers are not where they belong." in row.way("view")


def test_a_frame_of_several_sources_names_them_all():
    video = torch.zeros(1, 2, 3, 2, 2, dtype=torch.uint8)

    def late(x):  # by one number
        return x.flatten().roll(1).view(x.shape).permute(0, 2, 1, 3, 4)

    halves = RowOfMemory({"late": late}, video)
    assert "its green is the red of frame 0 and the green of frame 0" in halves.frame("late", 0)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (lambda x: x, r"'odd' gives \[1, 2, 3, 2, 3\], expected \[1, 3, 2, 2, 3\]"),
        (lambda x: 0 * WAYS["view"](x), "'odd' does not read every cell once"),
    ],
)
def test_a_way_that_cannot_be_shown_is_named(way, words):
    with pytest.raises(ValueError, match=words):
        RowOfMemory({"odd": way})


@pytest.mark.parametrize("shape", [(1, 1, 3, 2, 2), (2, 2, 3, 2, 2), (1, 2, 2, 2, 2), (2, 3, 2, 2)])
def test_a_video_that_cannot_be_shown_is_named(shape):
    with pytest.raises(ValueError, match=r"expected a video \[1, T, 3, H, W\], got \["):
        RowOfMemory(WAYS, torch.zeros(shape, dtype=torch.uint8))


def test_the_words_are_there_without_a_script(row):
    """Without it: without scripts there is no text, and nbval compares nothing."""
    bundle = row._repr_mimebundle_()
    assert bundle["text/plain"].splitlines() == [row.way("permute"), row.way("view")]
    for name in WAYS:
        assert f"<p>{row.way(name)}</p>" in bundle["text/html"].partition("<script>")[0]


# In a browser


@pytest.fixture(scope="module")
def memory(chromium, row):
    """The widget alone on a page of a phone, with nothing to wait for."""
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_content(row._repr_mimebundle_()["text/html"])
    page.trouble = []
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    yield page
    assert page.trouble == []
    context.close()


def marked(page, group):
    """The numbers that are marked in the row, or in a frame."""
    cells = page.get_by_role("group", name=group, exact=True).locator("[data-marked]")
    return [int(text) for text in cells.all_inner_texts()]


def numbers(page, group):
    buttons = page.get_by_role("group", name=group, exact=True).get_by_role("button")
    return buttons.filter(has_text=re.compile(r"^\d+$"))


def said(page):
    return page.get_by_role("status").inner_text()


def test_a_way_is_chosen_with_the_arrows(memory, row):
    memory.get_by_role("radio", name="permute").press("ArrowRight")
    assert memory.get_by_role("radio", name="view").is_checked()
    assert said(memory) == row.way("view")
    for t in range(2):
        shown = [int(text) for text in numbers(memory, f"frame {t}").all_inner_texts()]
        assert shown == row.reads["view"][t].flatten().tolist()
    assert memory.get_by_text("≠ read as frame 0 green").is_visible()
    memory.get_by_role("radio", name="view").press("ArrowLeft")
    assert said(memory) == row.way("permute")
    assert memory.get_by_text("= read as frame 0 green").is_visible()


@pytest.mark.parametrize("hand", ["mouse", "finger", "keys"])
def test_a_pixel_leads_to_its_cell_and_back(memory, row, hand):
    """Without it: mouse, finger or keyboard does not work."""
    reach = {
        "mouse": lambda button: button.hover(),
        "finger": lambda button: button.tap(),
        "keys": lambda button: button.focus(),
    }[hand]
    memory.get_by_role("radio", name="view").check()
    reach(numbers(memory, "frame 0").nth(9))  # green, row 1, column 0
    assert said(memory) == row.pixel("view", 0, "green", 1, 0)
    assert marked(memory, "row of memory") == marked(memory, "frame 0") == [15]
    assert marked(memory, "frame 1") == []
    reach(numbers(memory, "row of memory").nth(20))
    assert said(memory) == row.cell("view", 20)
    assert marked(memory, "row of memory") == marked(memory, "frame 1") == [20]


def test_the_arrows_walk_through_the_row_and_the_pixels(memory, row):
    memory.get_by_role("radio", name="view").check()
    numbers(memory, "row of memory").first.focus()
    for key, at in [("ArrowRight", 1), ("ArrowDown", 7), ("End", 35), ("ArrowRight", 35)]:
        memory.keyboard.press(key)
        assert said(memory) == row.cell("view", at)
    memory.keyboard.press("Home")
    memory.keyboard.press("Shift+Tab")  # one stop for the whole row
    assert memory.evaluate("document.activeElement.type") == "radio"
    numbers(memory, "frame 0").first.focus()
    memory.keyboard.press("ArrowDown")
    assert said(memory) == row.pixel("view", 0, "red", 1, 0)


def test_a_frame_shows_all_that_it_reads(memory, row):
    memory.get_by_role("radio", name="view").check()
    memory.get_by_role("button", name="Read frame 1").press("Enter")
    assert said(memory) == row.frame("view", 1)
    assert sorted(marked(memory, "row of memory")) == sorted(
        row.reads["view"][1].flatten().tolist()
    )
    assert marked(memory, "frame 0") == []


def test_the_picture_has_the_colours_of_the_cells(memory, row):
    memory.get_by_role("radio", name="view").check()
    seen = memory.get_by_role("img", name="frame 0 in its colours").locator("div")
    colour = "e => getComputedStyle(e).backgroundColor.match(/\\d+/g).map(Number)"
    pixels = [pixel.evaluate(colour) for pixel in seen.all()]
    expected = WAYS["view"](ball())[0, :, 0].flatten(1).T.tolist()  # [H*W, C]
    assert pixels == expected


def test_it_fits_a_phone(memory):
    assert memory.evaluate("document.documentElement.scrollWidth") <= 390
    box = numbers(memory, "row of memory").first.bounding_box()
    assert min(box["width"], box["height"]) >= 24  # WCAG's smallest target
    row, text, frame = (
        memory.locator(where).bounding_box()
        for where in ("[aria-label='row of memory']", "[role=status]", "[aria-label='frame 1']")
    )
    assert row["y"] < text["y"] < frame["y"]
    assert frame["y"] + frame["height"] - text["y"] < 500  # both on one screen
    planes = memory.locator("[aria-label='frame 0'] > div").last.locator("> div")
    assert len({plane.bounding_box()["y"] for plane in planes.all()}) == 1  # red, green, blue
