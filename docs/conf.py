"""Settings of the book, for Sphinx. Its source folder is the whole repository: links between
README, pages and lessons are the same there and on a code host. Build it with ``make book``.
"""

import re
import shutil
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

import r3d_helpers
from r3d_helpers.classroom.sure import SureExplorer
from tools import book, opening

project = "Three bugs in an emotion recogniser"
html_title = project
version = release = r3d_helpers.__version__
copyright = "code MIT, lessons CC BY 4.0"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data_samples/README.md"]
include_patterns += ["docs/*/*.md", "docs/maintain/template.ipynb", "notebooks/*.ipynb"]
exclude_patterns = [".*", "build", "runs", "playground", "data_samples/Actor*"]

myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {"jupyter-widgets-html-manager/embed.js": {}}

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_show_sphinx = False
html_copy_source = False
html_domain_indices = False
html_show_search_summary = False  # it is fetched, which a browser refuses for a file

CONTENTS = """
```{toctree}
:hidden:
:caption: Lessons
:glob:

notebooks/*
```

```{toctree}
:hidden:
:caption: To look things up

docs/learn/install
docs/learn/trouble
docs/learn/symptoms
docs/learn/how-sure
docs/learn/guards
docs/learn/published-fix
docs/learn/cheat-sheet
docs/learn/glossary
docs/reference/api
docs/learn/access
```

```{toctree}
:hidden:
:caption: To teach

docs/teach/instructor
docs/teach/lesson-by-lesson
docs/teach/answers
docs/teach/room
```

```{toctree}
:hidden:
:caption: With your own data

docs/reference/own-videos
docs/reference/reading
docs/reference/several-machines
docs/reference/ethics
docs/reference/moved
data_samples/README
```

```{toctree}
:hidden:
:caption: To maintain

docs/maintain/maintainers
docs/maintain/template
docs/maintain/benchmarks
docs/maintain/experiments
docs/maintain/not-run
CONTRIBUTING
CHANGELOG
```
"""


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give Sphinx the text of a page, where the book shows another text than the file."""
    if docname == root_doc:
        source[0] += CONTENTS
    elif (path := app.env.doc2path(docname)).suffix == ".ipynb":
        if docname.startswith("notebooks/"):
            path = Path(app.config.lessons, path.name)
        source[0] = nbformat.writes(book.readable(nbformat.read(path, as_version=4)))
    elif docname == "docs/learn/how-sure":  # a code host has no scripts
        explorer = f"<figure>\n{SureExplorer().page()}\n</figure>"
        source[0] = source[0].replace("<!-- explorer -->", f"```{{raw}} html\n{explorer}\n```")
    elif docname == "docs/teach/instructor":  # the book alone has the slides
        source[0] = re.sub(r"`(slides/\w+\.html)`", r'<a href="../../\1">\1</a>', source[0])


def carry(app: Sphinx, error: Exception | None) -> None:
    """Copy into the book: other people's scripts, the slides, and pictures named in HTML."""
    if error is None:
        for path in (opening.FILM, opening.STILL):
            shutil.copy(path, app.outdir / path.relative_to(book.ROOT))
        book.unpack("jupyter-widgets-html-manager", Path(app.outdir, "_static"))
        book.write_slides(Path(app.outdir, "slides"), Path(app.config.lessons))


def setup(app: Sphinx) -> None:
    """Register the functions above with Sphinx."""
    app.add_config_value("lessons", str(book.NOTEBOOKS), "env")
    app.connect("source-read", read)
    app.connect("build-finished", carry)
