"""The drawings of the cheat sheet are the same as in the lessons."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tools import drawings

NUMBER = re.compile(r"-?\d+\.?\d*")


def reduced(svg):
    """What is drawn, without the numbers, and the numbers; names of parts and versions left out."""
    body = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    body = re.sub(r"(?<=[\"#])[mp][0-9a-f]{10}\b", "part", body)
    return NUMBER.sub("", body), np.array([float(number) for number in NUMBER.findall(body)])


@pytest.fixture(scope="module")
def made():
    with plt.rc_context({**plt.rcParamsDefault, "svg.hashsalt": "r3d"}):
        return {name: drawings.svg(figure) for name, figure in drawings.drawings()}


def test_the_stored_drawings_are_those_that_the_command_makes(made):
    """Without it: a lesson and the cheat sheet show a gate in different places."""
    stored = {path.stem: path.read_text() for path in drawings.FOLDER.iterdir()}
    assert set(stored) == set(made)
    for name, svg in made.items():
        (drawn, at), (was, where) = reduced(svg), reduced(stored[name])
        assert drawn == was, f"{name}: renew it, python -m tools.drawings"
        np.testing.assert_allclose(at, where, atol=0.5, err_msg=name)
