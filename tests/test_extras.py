"""The package works without extras, and names an extra that is missing."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from r3d_helpers._extras import MissingExtraError, needed

TESTS = Path(__file__).parent


def bare_distributions():
    """What `pip install r3d-helpers` installs, by name."""
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]
    found, left = set(), [Requirement(text) for text in project["dependencies"]]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            asked = [Requirement(t) for t in importlib.metadata.requires(name) or ()]
            left += [r for r in asked if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What `bare.py` says where nothing but these can be imported."""
    allowed = bare_distributions()
    modules, distributions = set(), set()
    for module, owners in importlib.metadata.packages_distributions().items():
        if module != "r3d_helpers" and not allowed & {canonicalize_name(o) for o in owners}:
            modules.add(module)
            distributions.update(owners)
    assert {"captum", "matplotlib", "onnx", "optuna", "ipywidgets", "einops"} <= modules
    done = subprocess.run(
        [sys.executable, TESTS / "bare.py", tmp_path_factory.mktemp("bare")],
        input=json.dumps([sorted(modules), sorted(distributions)]),
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", "2 clips of 1 subject: UAR"),
        ("evaluate", "6 clips of 3 subjects: UAR"),
        ("predict", "happy"),
        ("describe", "6 clips of 3 subjects"),
        ("export hub", "model.safetensors"),
        ("export torch", "logits differ"),
        ("doctor", "This machine is ready."),
    ],
)
def test_it_works_without_any_extra(bare, command, words):
    """Without it: people who only train have to install JupyterLab and Optuna."""
    status, out = bare["commands"][command]
    assert status == 0, out
    assert words in out


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        ("predict --figures", "matplotlib", "apply"),
        ("export onnx", "onnx", "apply"),
        ("experiment se", "optuna", "studies"),
        ("experiment tuning", "optuna", "studies"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(bare, command, library, extra):
    remedy = f"pip install 'r3d-helpers[{extra}]'"
    assert bare["commands"][command] == [2, f"error: {library} is not installed: {remedy}\n"]


EXTRA_OF = {"apply.plots": "apply", "studies": "studies", "classroom": "lessons"}


def test_every_file_can_be_imported_or_names_its_extra(bare):
    """Without it: a new import in a basic file needs the libraries of an extra."""
    assert len(bare["modules"]) > 25
    for module, message in bare["modules"].items():
        name = module.removeprefix("r3d_helpers.")
        extra = next((e for start, e in EXTRA_OF.items() if name.startswith(start)), None)
        if extra is None:
            assert message == "", module
        else:
            expected = rf"MissingExtraError: \w+ is not installed: .*\[{extra}\]'"
            assert re.fullmatch(expected, message), (module, message)


def test_an_error_of_another_kind_is_not_mistaken_for_a_missing_extra():
    message = r"^nowhere is not installed: .*\[apply\]'$"
    with pytest.raises(MissingExtraError, match=message), needed("apply"):
        import nowhere.at_all  # noqa: F401
    with pytest.raises(ZeroDivisionError), needed("apply"):
        _ = 1 / 0
