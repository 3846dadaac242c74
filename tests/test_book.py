"""The book, as files and in a browser: complete, without a network, usable by everybody."""

import functools
import re
import subprocess
import sys
from urllib.parse import unquote

import lessons
import nbformat
import pytest
from bs4 import BeautifulSoup

from tools import book, notebooks

CHAPTERS = (
    "README",
    "docs/learn/install",
    "docs/learn/trouble",
    "docs/learn/symptoms",
    "docs/learn/how-sure",
    "docs/learn/published-fix",
    "docs/learn/cheat-sheet",
    "docs/learn/glossary",
    "docs/reference/api",
    "docs/teach/instructor",
    "docs/teach/lesson-by-lesson",
    "docs/maintain/maintainers",
    "docs/learn/access",
    "docs/reference/own-videos",
    "docs/reference/ethics",
    "docs/reference/moved",
    "docs/maintain/experiments",
    "docs/maintain/not-run",
    "CHANGELOG",
)
LESSONS = [path.stem for path in sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))]
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The book, built as ``make book`` does, but elsewhere."""
    out = tmp_path_factory.mktemp("build") / "book"
    done = subprocess.run(
        [sys.executable, "-m", book.__name__, notebooks.NOTEBOOKS, out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr  # a warning is an error
    return out


@functools.cache
def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def pages(folder):
    return sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)


def test_every_chapter_is_there_and_in_the_contents(folder):
    contents = soup(folder / "index.html").select_one(".sidebar-tree")
    listed = {a["href"] for a in contents.select("a")}
    for name in (*CHAPTERS[1:], *(f"notebooks/{lesson}" for lesson in LESSONS)):
        assert (folder / f"{name}.html").exists()
        assert f"{name}.html" in listed


def test_every_link_leads_somewhere(folder):
    """Without it: dead links in the book."""
    ids = {path: {e["id"] for e in soup(path).select("[id]")} for path in pages(folder)}
    for path in ids:
        page = soup(path)
        asks = (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"))
        for tag, attribute in (*asks, ("source", "srcset")):
            for element in page.select(f"{tag}[{attribute}]"):
                target = element[attribute]
                if target.startswith(("data:", "mailto:", "#/")):  # "#/": a slide
                    continue
                if target.startswith("http"):  # only where a reader decides to go there
                    assert tag == "a", f"{path.name} asks {target}"
                    continue
                file, _, anchor = target.partition("#")
                file = unquote(file.partition("?")[0])
                there = (path.parent / file).resolve() if file else path
                assert there.exists(), f"{path.name}: {target}"
                if anchor and there in ids:
                    assert unquote(anchor) in ids[there], f"{path.name}: {target}"


def test_every_picture_is_described(folder):
    """Without it: a screen reader says only "image"."""
    for path in pages(folder):
        for image in soup(path).select("img"):
            assert len(image.get("alt", "")) > 20, f"{path.name}: {image.get('src', '')[:80]}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_shows_what_is_stored(folder, name):
    page = soup(folder / "notebooks" / f"{name}.html")
    every = lessons.load(name).cells
    asked = [c for c in every if set(book.ASKED) & set(c.metadata.get("tags", ()))]
    cells = [c for c in every if c.cell_type == "code" and c not in asked]
    outputs = [output for cell in cells for output in cell.outputs]
    errors = [output for output in outputs if output.output_type == "error"]
    shown = page.select(".traceback")
    assert len(shown) == len(errors)
    for output, box in zip(errors, shown, strict=True):
        assert output.ename in box.text
    data = [output.get("data", {}) for output in outputs]
    views = [d for d in data if notebooks.WIDGET_VIEW in d and "text/html" not in d]
    assert len(page.select('script[type$="widget-view+json"]')) == len(views)
    assert len(page.select("div.cell_input")) == len(cells)
    assert not page.select("details[open]")
    assert "0%|" not in page.text  # a progress bar, as it was stored
    counted = any(book.PROGRESS in c.metadata.get("tags", ()) for c in every)
    assert (book.NO_PROGRESS.strip("*") in page.text) == counted
    answers = sum(book.GUESS in c.metadata.tags for c in asked)
    assert len(page.select("summary")) == answers + sum(c.source.count("<summary>") for c in every)


def test_figures_carry_the_text_below_them():
    notebook = book.readable(lessons.load("01_bug_permute"))
    alts = [c.metadata.mystnb.image.alt for c in notebook.cells if "mystnb" in c.metadata]
    assert len(alts) == 4
    assert all(alt.startswith(("The figure", "The film")) and "\n" not in alt for alt in alts)


def test_a_figure_without_a_text_is_an_error():
    cell = nbformat.v4.new_code_cell("plot()")
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": ""})]
    below = nbformat.v4.new_markdown_cell("It shows nothing.")
    with pytest.raises(ValueError, match=r"below the cell 'plot\(\)'"):
        book.readable(nbformat.v4.new_notebook(cells=[cell, below]))


@pytest.mark.parametrize("name", lessons.BUG_LESSONS)
def test_slides_show_the_chosen_cells_and_no_solution(folder, name):
    """Without it: the solution is on the wall while people work on it."""
    page = soup(folder / "slides" / f"{name}.html")
    tags = [set(cell.metadata.get("tags", ())) for cell in lessons.load(name).cells]
    chosen = [t for t in tags if t & {book.SLIDE, book.MORE}]
    starts = [t for t in chosen if book.SLIDE in t]
    assert len(page.select(".slides > section > section")) == len(starts) >= 20
    assert len(page.select(".jp-Cell")) == len(chosen)
    assert "Solution" not in page.text
    guide = soup(folder / "docs" / "teach" / "instructor.html")
    assert guide.select(f'a[href="../../slides/{name}.html"]')
    words = page.text.split()
    for heading in ("Symptom", "Predict", "Localise", "Prove", "Guard", "Exercise", "Recap"):
        assert heading in " ".join(words)


@pytest.fixture(scope="module")
def open_page(chromium, folder):
    """Open a page of the book without a network; whatever it complains of is an error."""
    contexts = []

    def opener(name, viewport=LAPTOP, **options):
        context = chromium.new_context(viewport=viewport, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on(
            "console",
            lambda m: page.complaints.append(m.text) if m.type == "error" else None,
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("requestfailed", lambda request: page.complaints.append(request.url))
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith(("file:", "data:", "blob:"))
                else page.complaints.append(r.url)
            ),
        )
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield opener
    for context in contexts:
        context.close()


WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Contrast takes axe most of its time. What looks alike, and is within elements that look alike,
# has the same contrast: one of each kind is enough.
ONE_OF_A_KIND = """
{
    const kinds = new Map(), seen = new Set();
    for (const element of document.body.querySelectorAll('*')) {  // parents come first
        const style = getComputedStyle(element);
        const look = ['color', 'fontSize', 'fontWeight', 'backgroundColor', 'backgroundImage',
            'opacity'].map(property => style[property]);
        const kind = [kinds.get(element.parentElement), element.localName, ...look].join();
        kinds.set(element, kind);
        element.toggleAttribute('data-again', seen.has(kind));
        seen.add(kind);
    }
    axe.configure({rules: [{id: 'color-contrast', selector: ':not([data-again])'}]});
    axe.run(document, {resultTypes: ['violations'], preload: false}).then(  // no style is fetched
        found => found.violations.map(({impact, id, nodes}) => [impact, id, nodes[0].html]));
}
"""
LOOKS = {"on a phone by night": (PHONE, "dark"), "then on a laptop by day": (LAPTOP, "light")}


@pytest.fixture(scope="module")
def seen(open_page, folder):
    """What is wrong with each page, by look; it is loaded once, for that takes longest."""
    from axe_playwright_python.base import AXE_SCRIPT

    page = open_page("index")
    found = {look: {} for look in LOOKS}

    def turn(look):
        viewport, scheme = LOOKS[look]
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)

    for path in pages(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name.startswith("slides/"):
            continue
        turn(next(iter(LOOKS)))
        page.goto(path.as_uri())
        if page.query_selector('script[type$="widget-view+json"]'):
            page.wait_for_selector(".widget-vbox")
        page.evaluate(AXE_SCRIPT)
        for look in LOOKS:
            turn(look)
            violations = page.evaluate(ONE_OF_A_KIND)
            wrong = [v for v in violations if v[0] in ("serious", "critical")] + page.complaints
            found[look][name] = wrong + ["scrolls sideways"] * (page.evaluate(WIDTH) > 0)
        page.complaints.clear()
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_pages_are_whole_without_a_network(seen, look):
    """Without it: a page works at your desk, and has no style or scripts in the room."""
    assert {name: wrong for name, wrong in seen[look].items() if wrong} == {}
    assert len(seen[look]) > 40


def test_a_page_fits_any_window(open_page):
    """Without it: on a laptop 1366 pixels wide, every page scrolls sideways."""
    page = open_page("docs/teach/instructor")
    for width in (360, 700, 1100, 1313, 1366, 1400, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(WIDTH) <= 0, width


def test_what_is_printed_is_wrapped(open_page):
    """Without it: the last line of an error ends where the screen does, and nothing shows that."""
    page = open_page("notebooks/01_bug_permute", PHONE)
    printed = page.locator(".cell_output pre")
    assert printed.count() > 10
    assert printed.evaluate_all("all => all.every(pre => pre.scrollWidth <= pre.clientWidth)")


def test_an_option_keeps_its_hyphens(open_page):
    """Without it: readers copy "--" without the word, which is in the next line."""
    page = open_page("docs/reference/own-videos", PHONE)
    lines = page.locator("code .pre").evaluate_all(
        "all => all.filter(e => e.textContent.startsWith('--')).map(e => e.getClientRects().length)"
    )
    assert len(lines) > 5
    assert set(lines) == {1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tracebacks_are_red(open_page, scheme):
    page = open_page("notebooks/01_bug_permute", color_scheme=scheme)
    colour = "e => getComputedStyle(e).color"
    red, green, blue = map(
        int, re.findall(r"\d+", page.eval_on_selector(".traceback .ne", colour))[:3]
    )
    assert red > green + 80
    assert red > blue + 80


def test_a_widget_that_needs_a_kernel_stands_still(open_page):
    page = open_page("notebooks/11_your_own_videos")
    page.get_by_text("The file stays on this machine").first.wait_for()
    assert page.is_disabled("button.widget-upload")


@pytest.mark.parametrize("name", ["01_bug_permute", "02_bug_se_access", "03_bug_redundant_lstm"])
def test_explorers_are_drawn_without_a_kernel(open_page, name):
    page = open_page(f"notebooks/{name}")
    page.wait_for_function("document.querySelector('.r3d-explorer p')?.textContent")
    words = page.locator(".r3d-explorer p").inner_text()
    slider = page.locator(".r3d-explorer").get_by_role("slider")
    slider.press("End" if slider.input_value() == "0" else "Home")
    assert page.locator(".r3d-explorer p").inner_text() != words
    assert page.locator(".r3d-explorer canvas").bounding_box()["height"] > 40


def test_an_explorer_answers_without_a_kernel(open_page):
    """Without it: the explorers do nothing in the book."""
    page = open_page("notebooks/00_meet_the_clip")
    explorer = page.locator(".r3d-explorer")
    text, canvas = explorer.get_by_role("status"), explorer.locator("canvas")
    pixels = "canvas => canvas.toDataURL()"
    page.wait_for_function("document.querySelector('.r3d-explorer p')?.textContent")
    words, picture = text.inner_text(), canvas.evaluate(pixels)
    explorer.get_by_role("slider", name="frames").press("Home")
    assert text.inner_text().split("\n") == [f"kept: {[0] * 16}", "never seen: none"]
    assert canvas.evaluate(pixels) != picture
    explorer.get_by_role("slider", name="frames").press("End")
    assert (text.inner_text(), canvas.evaluate(pixels)) == (words, picture)
    explorer.get_by_role("combobox", name="sampler").select_option("dense")
    assert f"kept: {[*range(16)]}" in text.inner_text()
    assert page.complaints == []


def test_the_page_on_certainty_has_something_to_move(open_page):
    page = open_page("docs/learn/how-sure")
    page.wait_for_function("document.querySelector('.r3d-explorer p')?.textContent")
    page.get_by_role("slider", name="splits").press("End")
    said = page.locator(".r3d-explorer").get_by_role("status").inner_text()
    assert re.match(r"plain t: sure 46%.*\ncorrected: sure 4%", said)
    assert page.complaints == []


def test_the_row_of_memory_answers_without_a_kernel(open_page):
    page = open_page("notebooks/01_bug_permute", PHONE)
    row = page.locator(".r3d-memory")
    row.get_by_role("radio", name="view").check()
    row.get_by_label("frame 0", exact=True).get_by_text("15", exact=True).click()
    assert "is read from cell 15: frame 0, blue" in row.get_by_role("status").inner_text()
    assert page.complaints == []


def test_a_solution_opens_with_the_keyboard(open_page):
    page = open_page("notebooks/01_bug_permute")
    solution = page.locator("details", has_text="Solution").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").press("Enter")
    assert solution.locator("pre").is_visible()


def test_the_search_finds(open_page):
    page = open_page("index")
    page.fill("input[name=q]", "permute")
    page.press("input[name=q]", "Enter")
    page.wait_for_selector("#search-results li a")
    assert "The permute that met four axes" in page.inner_text("#search-results")
    assert page.complaints == []


def test_the_reader_chooses_dark_or_light(open_page):
    page = open_page("index", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(background)}
    for _ in range(2):  # automatic, light, dark
        page.click(".content-icon-container .theme-toggle")
        seen.add(page.evaluate(background))
    assert len(seen) == 2


@pytest.mark.parametrize("name", lessons.BUG_LESSONS)
def test_every_slide_fits_the_wall(open_page, name):
    page = open_page(f"slides/{name}", {"width": 1280, "height": 720})
    page.wait_for_selector(".reveal.ready")
    count = len(page.query_selector_all(".slides > section > section"))
    for number in range(count):
        slide = page.locator(".slides > section.present > section.present")
        box = slide.bounding_box()
        assert box["y"] >= 0, number
        assert box["y"] + box["height"] <= 721, f"slide {number + 1}: {slide.inner_text()[:60]}"
        page.keyboard.press("ArrowRight")
    assert page.complaints == []


def test_the_cheat_sheet_is_a_sheet_of_paper(open_page):
    """Without it: a printed sheet loses its end, or states wrong sizes."""
    page = open_page("docs/learn/cheat-sheet")
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2  # front and back
