"""A browser for the tests that look at pages, and how two processes share the tests."""

import gc
import os
import shutil
from pathlib import Path

import pytest
from sharing import LONGEST, group, slow

# Processes that run tests side by side share the cores, and so do the kernels that they start.
# torch asks once, when it is imported: two threads each would wait for one another.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))

# glibc, in the processes from here on: keep the memory of large tensors for the next ones. To get
# new memory from the system takes an eighth of the time of tests of the real network.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**31))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**32))

import forked

gc.disable()  # until everything is imported, which stays
forked.install()

collect_ignore = ["bare.py"]  # a program, which a test starts

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
PLACES = (  # of the usual installers on macOS and Windows, which put nothing on the PATH
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


def pytest_collectstart():
    """Before a test imports torchvision, which r3d_helpers may repair; not where none is run."""
    import r3d_helpers  # noqa: F401


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, and mark what `make check` leaves out."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(group(item.nodeid.partition("::")[0]), len(LONGEST)))
    for item in items:
        browser = "chromium" in getattr(item, "fixturenames", ())
        if browser or slow(item.nodeid.partition("::")[0]):
            item.add_marker("slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share the groups between the processes of ``-n``."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group(nodeid.partition("::")[0])

    return Groups(config, log)


def find_chromium():
    """Where this machine's Chromium is: R3D_CHROMIUM, else on the PATH or at a usual place."""
    if named := os.environ.get("R3D_CHROMIUM"):
        if not Path(named).is_file():
            raise FileNotFoundError(
                f"R3D_CHROMIUM={named}: no such file; give the path of a Chromium, or unset it"
            )
        return named
    found = [shutil.which(name) for name in BROWSERS]
    return next((path for path in (*found, *PLACES) if path and Path(path).is_file()), None)


@pytest.fixture(scope="module")
def quick_weights():
    """For tests of the real network, which do not ask how it starts."""
    import quick

    with pytest.MonkeyPatch.context() as patch:
        quick.draw_few(patch.setattr)
        yield


@pytest.fixture(scope="module")  # not "session": asyncio.run fails while Playwright is at work
def chromium():
    """A headless Chromium, driven by Playwright, which downloads nothing."""
    path = find_chromium()
    if path is None:
        pytest.skip(
            "no page was looked at in a browser, for no Chromium was found: install one "
            "(Debian: apt install chromium) or name yours in R3D_CHROMIUM"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()
