"""Films and schematics: films can be stopped, and colours are never needed to read a drawing."""

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from colorspacious import cspace_convert
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from r3d_helpers.classroom import circuits, films, schematics


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, bundle by bundle."""
    bundles = []
    monkeypatch.setattr(films, "display", lambda data, raw: bundles.append(data))
    return bundles


def moving(num_frames=13, height=12, width=14):
    """Frame ``t`` is a plain colour of its own."""
    shades = torch.arange(num_frames, dtype=torch.uint8) * 9 + 20
    return shades.view(-1, 1, 1, 1).expand(-1, 3, height, width).contiguous()


def test_the_still_has_every_frame_where_the_player_looks_for_it():
    """Without it: the film shows other frames than the tensor has."""
    frames = moving()
    picture, where = films._still({"one": frames, "two": 255 - frames}, frames.shape)
    pixels = np.asarray(picture)
    for number, film in enumerate((frames, 255 - frames)):
        for t in range(13):
            x = t % where["across"] * where["w"]
            y = where["tops"][number] + t // where["across"] * where["h"]
            tile = pixels[y : y + where["h"], x : x + where["w"]]
            assert (tile == int(film[t, 0, 0, 0])).all(), (number, t)
    assert (where["width"], where["height"]) == picture.size


def test_a_film_is_a_picture_and_a_script_without_one(shown):
    """Without it: without scripts there is no picture, or every film is stored twice."""
    films.play({"right": moving(), "view": 255 - moving()}, fps=8)
    picture, player = shown
    assert set(picture) == {"image/png", "text/plain"}
    assert Image.open(io.BytesIO(picture["image/png"])).width > 8 * films.SMALLEST / 2
    assert len(player["text/html"]) < 5000
    assert "FILM" not in player["text/html"].replace("Films", "")
    assert '"fps": 8' in player["text/html"]


def test_the_printed_code_is_that_of_the_pixels(shown):
    """Without it: nbval does not compare films."""
    other = moving()
    other[3, 1, 2, 5] += 1
    for frames in (moving(), moving(), other):
        films.play({"one": frames})
    said = [data["text/plain"] for data in shown[::2]]
    assert said[0] == said[1] != said[2]
    assert said[0].startswith("film of 13 frames, 14 x 12 pixels: one ")


@pytest.mark.parametrize(
    ("width", "shown"), [(14, 168), (56, 168), (112, 224), (160, 160), (224, 224)]
)
def test_a_film_is_large_enough(width, shown):
    frames = moving(2, 8, width)
    assert films._still({"": frames}, frames.shape)[1]["shown"] == shown


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "at least one by name"),
        ({"a": moving().float()}, "film 'a': expected uint8 .* got torch.float32"),
        ({"a": moving()[:, :1]}, r"got torch.uint8 \[13, 1, 12, 14\]"),
        ({"a": moving()[0]}, r"got torch.uint8 \[3, 12, 14\]"),
        ({"a": moving(), "b": moving(12)}, r"film 'b' is \[12, .* the first is \[13, "),
        ({"a": moving(0)}, "at least one frame"),
    ],
)
def test_what_cannot_be_played_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        films.play(wrong)


def test_a_channel_is_held_in_time_and_space():
    """Without it: two steps are shown as sixteen different ones."""
    like = torch.zeros(8, 3, 12, 14, dtype=torch.uint8)
    channel = torch.arange(2 * 3 * 7.0).view(2, 3, 7)
    film = films.of_channel(channel, like)
    assert film.shape == like.shape
    assert film[:4].equal(film[:1].expand(4, -1, -1, -1))
    assert (int(film.min()), int(film.max())) == (0, 255)
    assert film[4, 0, ::4, ::2].flatten().diff().min() > 0
    assert films.of_channel(torch.ones(1, 1, 1), like).unique().tolist() == [128]


# In a browser


def page_of(chromium, shown, **options):
    """A page with a film of 13 frames at 20 a second, as the book has it."""
    import base64

    films.play({"up": moving(), "down": 255 - moving()}, fps=20)
    still = base64.b64encode(shown[0]["image/png"]).decode()
    page = chromium.new_context(viewport={"width": 390, "height": 844}, **options).new_page()
    page.set_content(
        f'<p>above</p><div><img alt="two films" src="data:image/png;base64,{still}"></div>'
        f"{shown[1]['text/html']}"
    )
    return page


def frame(page):
    return page.locator(".r3d-film span").inner_text()


def test_a_film_plays_pauses_and_ends(chromium, shown):
    page = page_of(chromium, shown)
    page.wait_for_function(
        "document.querySelector('.r3d-film span')?.textContent.startsWith('frame 3')"
    )
    page.get_by_role("button", name="Pause").click()
    stopped = frame(page)
    page.wait_for_timeout(200)
    assert frame(page) == stopped
    page.get_by_role("checkbox", name="loop").press("Space")
    page.get_by_role("button", name="Play").press("Enter")
    page.wait_for_function(
        "document.querySelector('.r3d-film span').textContent === 'frame 12 (0 to 12)'"
    )
    page.get_by_role("button", name="Play", exact=True).wait_for()  # it has stopped by itself
    page.get_by_role("slider", name="frame").press("Home")
    assert frame(page) == "frame 0 (0 to 12)"
    page.get_by_role("button", name="Next").click()
    assert frame(page) == "frame 1 (0 to 12)"
    page.context.close()


def test_the_screens_show_the_frame_that_is_named(chromium, shown):
    page = page_of(chromium, shown, reduced_motion="reduce")
    page.get_by_role("slider", name="frame").fill("11")
    middle = "c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data][0]"
    seen = [canvas.evaluate(middle) for canvas in page.locator("canvas").all()]
    assert seen == [int(moving()[11, 0, 0, 0]), 255 - int(moving()[11, 0, 0, 0])]
    assert page.locator("canvas").first.bounding_box()["width"] >= films.SMALLEST
    targets = [button.bounding_box() for button in page.get_by_role("button").all()]
    assert min(box["height"] for box in targets) >= 24  # WCAG's smallest target
    page.set_viewport_size({"width": 320, "height": 844})
    one, other = (canvas.bounding_box() for canvas in page.locator("canvas").all())
    assert one["y"] == other["y"]  # side by side, on the smallest phone as well
    assert page.locator("canvas").first.get_attribute("aria-label") == "up: two films"
    page.context.close()


def test_a_film_is_quiet_for_those_who_asked_for_less_motion(chromium, shown):
    """Without it: people get sick."""
    page = page_of(chromium, shown, reduced_motion="reduce")
    page.get_by_role("button", name="Play").wait_for()
    page.wait_for_timeout(300)
    assert frame(page) == "frame 0 (0 to 12)"
    page.context.close()


def test_the_still_is_there_on_demand_and_where_no_script_runs(chromium, shown):
    page = page_of(chromium, shown)
    page.get_by_role("button", name="Show all frames").click()
    assert page.get_by_alt_text("two films").is_visible()
    page.get_by_role("button", name="Hide all frames").click()
    assert not page.get_by_alt_text("two films").is_visible()
    shown.clear()
    silent = page_of(chromium, shown, java_script_enabled=False)
    assert silent.get_by_alt_text("two films").is_visible()
    for one in (page, silent):
        one.context.close()


# Schematics


COLOURS = {letter: np.array(to_rgb(colour)) for letter, colour in schematics.AXES.items()}
EYES = [None, *("deuteranomaly", "protanomaly", "tritanomaly")]


def seen_by(eyes, colour):
    """A colour for those who see so, in a space where distances are those that people see."""
    if eyes is not None:
        space = {"name": "sRGB1+CVD", "cvd_type": eyes, "severity": 100}
        colour = cspace_convert(colour, space, "sRGB1").clip(0, 1)
    return cspace_convert(colour, "sRGB1", "CAM02-UCS")


@pytest.mark.parametrize("eyes", EYES)
def test_the_axes_are_told_apart_by_all_eyes(eyes):
    """Without it: one man in twelve cannot tell two axes of a drawing apart."""
    for one, other in itertools.combinations(COLOURS, 2):
        far = np.linalg.norm(seen_by(eyes, COLOURS[one]) - seen_by(eyes, COLOURS[other]))
        assert far > 12, (one, other)


@pytest.mark.parametrize("letter", COLOURS)
def test_an_axis_can_be_read_on_white(letter):
    linear = np.where(
        COLOURS[letter] > 0.04045,
        ((COLOURS[letter] + 0.055) / 1.055) ** 2.4,
        COLOURS[letter] / 12.92,
    )
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5  # WCAG's contrast for text


STAGES = {
    "input": dict(zip("BCTHW", (2, 3, 16, 48, 56), strict=True)),
    "layer4": dict(zip("BCTHW", (2, 512, 4, 3, 7), strict=True)),
    "average": {"B": 2, "C": 512},
}
DRAWN = {
    "blocks": circuits.blocks,
    "places": circuits.places,
    "squeeze_excite_scale": lambda: circuits.squeeze_excite_scale(256, 4, 6, 7),
    "lstm": circuits.lstm,
    "batch": lambda: schematics.batch(5, 16, 3, 48, 40),
    "people": lambda: schematics.people({"train": 41, "validation": 7, "test": 12}),
    "funnel": lambda: schematics.funnel(STAGES),
    "funnel of time": lambda: schematics.funnel(STAGES, "T"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_schematic_has_the_colours_of_the_axes_and_no_other(name):
    figure = DRAWN[name]()
    (axis,) = figure.axes
    marks = [patch.get_facecolor() for patch in axis.patches]
    marks += [patch.get_edgecolor() for patch in axis.patches if patch.get_linewidth()]
    marks += [text.get_color() for text in axis.texts]
    ours = {to_hex(colour) for colour in schematics.AXES.values()}
    for colour in marks:
        red, green, blue = to_rgb(colour)
        assert to_hex(colour) in ours or red == green == blue, colour
    plt.close(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_a_colour_never_stands_alone(name):
    """Without it: an axis is shown by its colour only."""
    figure = DRAWN[name]()
    words = {text.get_text() for text in figure.axes[0].texts}
    used = {to_hex(patch.get_facecolor()) for patch in figure.axes[0].patches}
    for letter, colour in schematics.AXES.items():
        assert to_hex(colour) not in used or letter in words, letter
    plt.close(figure)


def test_a_batch_shows_its_sizes():
    figure = DRAWN["batch"]()
    words = [text.get_text() for text in figure.axes[0].texts]
    assert [word for word in words if word.isdigit()] == ["5", "16", "3", "48", "40"]
    assert {"5 videos", "16 frames", "3 colours", "48 rows, 40 columns"} <= set(words)
    tall = [
        patch for patch in figure.axes[0].patches if getattr(patch, "get_height", int)() == 0.17
    ]
    assert len({patch.get_y() for patch in tall}) == 5  # as many rows as it says
    plt.close(figure)


@pytest.mark.parametrize(("drawn", "meant"), [("funnel", "BCTHW"), ("funnel of time", "T")])
def test_a_funnel_has_every_size_and_a_card_for_each_step(drawn, meant):
    figure = DRAWN[drawn]()
    (axis,) = figure.axes
    sizes = [str(stage.get(letter, "gone")) for stage in STAGES.values() for letter in "BCTHW"]
    told = [text for text in axis.texts if text.get_text() in {*sizes}]
    assert [text.get_text() for text in told] == sizes
    for text, letter in zip(told, "BCTHW" * 3, strict=True):
        assert (to_hex(text.get_color()) == schematics.AXES[letter]) == (letter in meant)
    tall = [patch.get_height() for patch in axis.patches if patch.get_height() not in (0.27, 1.0)]
    assert len(tall) == 16 + 4  # none for the average
    assert tall[0] == tall[15] == pytest.approx(4 * tall[16])  # 48 and 3 rows, as square roots
    plt.close(figure)


def test_a_gate_is_drawn_with_the_sizes_of_its_features():
    figure = circuits.squeeze_excite_scale(128, 4, 6, 7, reduction=8)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert [word for word in words if word.isdigit()] == [
        *("128", "4", "6", "7") * 2,
        *("128", "1", "1", "1", "16", "1", "1", "1", "128", "1", "1", "1"),
    ]
    plt.close(figure)


def test_idle_is_the_forget_gate_of_the_first_step_alone():
    """Without it: the drawing shows parts as idle that learn."""
    figure = circuits.lstm()
    idle = {circuits.IDLE_TEXT: [], circuits.INK: []}
    for text in figure.axes[0].texts:
        idle.setdefault(text.get_color(), []).append(text.get_text())
    assert idle[circuits.IDLE_TEXT].count("f") == 2  # of one step, and of the first of two
    assert idle[circuits.INK].count("f") == 1
    assert not {"i", "g", "o"} & set(idle[circuits.IDLE_TEXT])
    plt.close(figure)


def test_merged_axes_share_a_tile():
    figure, axis = schematics.canvas(2, 1, "")
    end = schematics.shape(axis, 0.1, 0.5, {"BT": 80, "C": 3})
    fills = [to_hex(patch.get_facecolor()) for patch in axis.patches]
    assert fills == [schematics.AXES[letter] for letter in "BTC"]
    assert axis.patches[0].get_width() == axis.patches[1].get_width() < axis.patches[2].get_width()
    assert end > axis.patches[2].get_x() + axis.patches[2].get_width()
    plt.close(figure)
